"""Whole runs on a real MariaDB: what a promotion is worth."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.database, pytest.mark.timeout(280)]

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize(("fencing", "code"), [("before", 0), ("after", 1)])
def test_a_promotion_loses_only_what_an_old_primary_took_that_nobody_stopped(
    tmp_path: Path, fencing: str, code: int
) -> None:
    """Unfenced for three seconds, half of the clients write hundreds of elements to the old one."""
    done = subprocess.run(
        [
            *(sys.executable, "-m", "harness.cli.main", "test", "mariadb", "--store", tmp_path),
            *("--nodes", "2", "--workload", "set", "--nemesis", "admin"),
            *("--admin-actions", "promote", "--fencing", fencing),
            *("--nemesis-interval", "6", "--time-limit", "14"),
        ],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=240,
    )
    (found,) = tmp_path.glob("mariadb/set/2*/verdict.json")
    verdict = json.loads(found.read_text())
    assert done.returncode == code, verdict["why"]
    assert verdict["faults"]["admin"]["done"] >= 1
    kinds = {kind for part in verdict["checkers"].values() for kind in part["anomaly_types"]}
    assert ("lost" in kinds) == (fencing == "after")
