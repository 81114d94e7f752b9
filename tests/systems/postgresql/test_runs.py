"""Whole runs on a real PostgreSQL: what must hold holds, and what is broken is found."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.disturbance import undisturbed

pytestmark = [pytest.mark.database, pytest.mark.timeout(280)]

ROOT = Path(__file__).parents[3]


def run(store: Path, *arguments: str) -> tuple[int, dict[str, Any]]:
    """A run by the command line: its exit code, and the verdict."""
    argv = [sys.executable, "-m", "harness.cli.main", "test", "postgresql", "--store", store]

    def one() -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*argv, *arguments],
            cwd=store,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            timeout=240,
        )

    done = undisturbed(one, store)
    verdict = store / "latest" / "verdict.json"
    assert verdict.exists(), done.stderr[-2000:]
    return done.returncode, json.loads(verdict.read_text())


def anomalies(verdict: dict[str, Any]) -> set[str]:
    return {kind for part in verdict["checkers"].values() for kind in part["anomaly_types"]}


def test_transfers_hold_while_primary_and_standby_are_killed_and_paused(tmp_path: Path) -> None:
    code, verdict = run(
        tmp_path,
        *("--nodes", "2", "--workload", "bank", "--nemesis", "kill,pause"),
        *("--nemesis-interval", "4", "--time-limit", "10"),
    )
    assert (code, verdict["valid"]) == (0, True), verdict["why"]


def test_what_read_committed_does_not_forbid_is_not_tested_and_said_so(tmp_path: Path) -> None:
    code, verdict = run(
        tmp_path,
        *("--nodes", "1", "--workload", "write-skew", "--isolation", "read-committed"),
        *("--time-limit", "4"),
    )
    assert (code, verdict["valid"]) == (2, "unknown")
    assert "does not forbid" in verdict["why"]


def test_updates_are_lost_where_lists_are_read_and_written_back(tmp_path: Path) -> None:
    code, verdict = run(
        tmp_path,
        *("--nodes", "1", "--workload", "list-append", "--isolation", "read-committed"),
        *("--append-by", "get-and-put", "--consistency-models", "snapshot-isolation"),
        *("--time-limit", "8"),
    )
    assert code == 1
    # An append that somebody read before it was written over leaves two orders of one key; where
    # nobody did, both writers have read the same list. Either way an update is lost.
    assert anomalies(verdict) & {"lost-update", "incompatible-order"}


def test_reads_on_a_standby_are_stale_and_nothing_is_called_lost(tmp_path: Path) -> None:
    code, verdict = run(
        tmp_path,
        *("--nodes", "2", "--workload", "set", "--isolation", "read-committed"),
        *("--reads", "any", "--time-limit", "8"),
    )
    assert code == 1
    assert anomalies(verdict) == {"stale"}


@pytest.mark.parametrize(("fencing", "code"), [("before", 0), ("after", 1)])
def test_a_promotion_loses_only_what_an_old_primary_took_that_nobody_stopped(
    tmp_path: Path, fencing: str, code: int
) -> None:
    found, verdict = run(
        tmp_path,
        *("--nodes", "2", "--workload", "set", "--nemesis", "admin", "--admin-actions", "promote"),
        *("--fencing", fencing, "--nemesis-interval", "6", "--time-limit", "14"),
        *("--key-operations", "100000"),
    )
    assert found == code, verdict["why"]
    assert verdict["faults"]["admin"]["done"] >= 1
    assert ("lost" in anomalies(verdict)) == (fencing == "after")
