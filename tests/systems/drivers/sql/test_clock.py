"""The SQL servers come by the time as they declare."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

pytestmark = [pytest.mark.database, pytest.mark.timeout(400)]


@pytest.mark.parametrize(
    ("system", "path"),
    [("postgresql", "faithful"), ("mariadb", "waits on the true clock")],
)
def test_the_declared_clock_path_is_not_refuted_by_a_trace(system: str, path: str) -> None:
    argv = [sys.executable, "-m", "harness.cli.main", "doctor", "--clock", system, "--json"]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=380, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert path in json.dumps(json.loads(done.stdout))
