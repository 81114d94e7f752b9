"""Whole runs against toys of Dgraph: sound ones pass, and each of its known bugs is found.

The toy speaks what a real Dgraph speaks, so these runs go through the very adapter, workload and
checkers that found the bugs in the real ones. Each bug bites every time its moment comes, and
moments come dozens of times in a run, so that a run without a finding is a defect.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from harness.history.reader import read_history

pytestmark = pytest.mark.cluster

TOY = Path(__file__).parents[2] / "toys" / "dgraph_toy.py"
QUICK = ("--time-limit", "8", "--rate", "40", "--held-share", "0.1", "--recovery-timeout", "60")


def run(folder: Path, broken: str, *arguments: str) -> Any:
    """The verdict of one run on the toy that is broken so."""
    program = folder / "dgraph"
    program.write_text(f'#!/bin/sh\nDGRAPH_TOY={broken} exec {sys.executable} {TOY} "$@"\n')
    program.chmod(0o755)
    argv = [sys.executable, "-m", "harness.cli.main", "test", "dgraph", "--binary", str(program)]
    argv += ["--release", "25.4.0", "--store", str(folder / "store"), *QUICK, *arguments]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=240, check=False)
    found = list(folder.glob("store/*/*/2*/verdict.json"))
    assert found, done.stdout + done.stderr
    return json.loads(found[0].read_text())


MOVING = ("--nemesis", "admin", "--admin-actions", "move-tablet", "--nemesis-interval", "1")


def test_a_sound_one_passes_with_both_timestamps_in_each_completion(tmp_path: Path) -> None:
    verdict = run(tmp_path, "", "--workload", "bank", "--nodes", "2", "--replicas", "1", *MOVING)
    assert verdict["valid"] is True, verdict["why"]
    assert verdict["faults"]["admin"]["done"] >= 1, verdict["faults"]
    history = read_history(next(tmp_path.glob("store/*/*/2*/history.jsonl*")))
    done = [each for each in history.operations if each.f == "transfer" and each.type == "ok"]
    assert done
    for each in done:
        told = each.timestamps or {}
        assert int(told["start"]) < int(told["commit"])


def test_a_snapshot_that_loses_what_was_deleted_later_is_found(tmp_path: Path) -> None:
    verdict = run(tmp_path, "snapshot-cache", "--workload", "bank", "--nodes", "1")
    assert verdict["valid"] is False, verdict["why"]
    anomalies = verdict["checkers"]["bank"]["anomalies"]
    proofs = [each["message"] for found in anomalies.values() for each in found]
    assert any("deleted, by" in proof and "commit" in proof for proof in proofs), proofs


def test_an_old_owner_that_serves_after_a_move_is_found(tmp_path: Path) -> None:
    groups = ("--nodes", "2", "--replicas", "1")
    verdict = run(tmp_path, "old-owner", "--workload", "bank", *groups, *MOVING)
    assert verdict["valid"] is False, verdict["why"]
    assert "bank" in verdict["checkers"]


def test_a_commit_proposed_again_with_its_old_timestamp_is_found(tmp_path: Path) -> None:
    verdict = run(tmp_path, "old-timestamp", "--workload", "bank", "--nodes", "1")
    assert verdict["valid"] is False, verdict["why"]
    assert "wrong-total" in verdict["checkers"]["bank"]["anomalies"]
