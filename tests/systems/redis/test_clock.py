"""Redis comes by the time as it declares."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest


@pytest.mark.database
def test_the_declared_clock_path_is_not_refuted_by_a_trace() -> None:
    argv = [sys.executable, "-m", "harness.cli.main", "doctor", "--clock", "redis", "--json"]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=200, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "faithful" in json.dumps(json.loads(done.stdout))
