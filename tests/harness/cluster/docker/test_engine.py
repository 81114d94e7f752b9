"""The SDK of Docker is loaded without what only an engine beyond ssh needs."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

TRIED = """
import json, sys
from harness.cluster.docker.engine import connect
from harness.errors import NeedsError
try:
    connect(timeout_s=5)
    told = ""
except NeedsError as error:
    told = str(error)
loaded = "paramiko" in sys.modules
import paramiko  # whoever wants it has it
print(json.dumps([told, loaded, paramiko.__name__]))
"""


@pytest.mark.parametrize(
    ("settings", "is_loaded"),
    [
        ({"DOCKER_HOST": "unix:///nowhere"}, False),
        ({}, False),
        ({"DOCKER_HOST": "ssh://nobody@127.0.0.1:9"}, True),
        ({"DOCKER_CONTEXT": "default"}, True),
    ],
)
def test_paramiko_is_loaded_where_an_engine_may_be_beyond_ssh(
    settings: dict[str, str], is_loaded: bool, tmp_path: Path
) -> None:
    argv = [sys.executable, "-c", TRIED]
    environment = {"HOME": str(tmp_path), "PATH": "/usr/bin:/bin", **settings}
    done = subprocess.run(argv, env=environment, capture_output=True, text=True, check=True)
    told, loaded, name = json.loads(done.stdout)
    assert (loaded, name) == (is_loaded, "paramiko")
    if "DOCKER_HOST" in settings:
        assert settings["DOCKER_HOST"] in told
