"""Real runs of Redis on this machine: what they find, and what they do not."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.database


def run(store: Path, system: str, *arguments: str) -> tuple[int, Any]:
    """Exit code and verdict of one run."""
    argv = [
        sys.executable,
        "-m",
        "harness.cli.main",
        "test",
        system,
        "--store",
        str(store),
        *arguments,
    ]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=240, check=False)
    found = list(store.glob("*/*/2*/verdict.json"))
    assert found, done.stdout + done.stderr
    return done.returncode, json.loads(found[0].read_text())


@pytest.mark.parametrize("workload", ["register", "set"])
def test_a_primary_with_replicas_and_sentinels_is_sound_without_faults(
    workload: str, tmp_path: Path
) -> None:
    code, verdict = run(
        tmp_path, "redis", "--workload", workload, "--nodes", "3", "--time-limit", "5"
    )
    assert (code, verdict["valid"]) == (0, True), verdict["why"]
    assert sum(each["ok"] for each in verdict["operations"].values()) > 100
