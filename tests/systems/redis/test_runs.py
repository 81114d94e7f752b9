"""Real runs of Redis on this machine: what they find, and what they do not."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.disturbance import undisturbed

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

    def one() -> subprocess.CompletedProcess[str]:
        return subprocess.run(argv, capture_output=True, text=True, timeout=240, check=False)

    done = undisturbed(one, store)
    verdict = store / "latest" / "verdict.json"
    assert verdict.exists(), done.stdout + done.stderr
    return done.returncode, json.loads(verdict.read_text())


CUT = ("--nemesis", "partition", "--partition-targets", "primaries", "--nemesis-duration", "8")


@pytest.mark.parametrize(
    ("system", "workload", "provider"),
    [
        ("redis", "register", "local"),
        ("valkey", "list-append", "local"),
        ("valkey", "set", "local:plain"),
    ],
)
def test_a_primary_with_replicas_and_sentinels_is_sound_without_faults(
    system: str, workload: str, provider: str, tmp_path: Path
) -> None:
    where = ("--provider", provider, "--nodes", "3", "--time-limit", "5")
    code, verdict = run(tmp_path, system, "--workload", workload, *where)
    assert (code, verdict["valid"]) == (0, True), verdict["why"]
    assert sum(each["ok"] for each in verdict["operations"].values()) > 100


def test_a_primary_that_is_cut_off_loses_what_it_acknowledged(tmp_path: Path) -> None:
    times = ("--nodes", "3", "--time-limit", "20", "--nemesis-interval", "10")
    code, verdict = run(tmp_path, "redis", "--workload", "set", *CUT, *times)
    assert (code, verdict["valid"]) == (1, False), verdict["why"]
    assert "lost" in verdict["checkers"]["set"]["anomalies"]
    assert verdict["other_claim"]["by"] == "documented"
    kept = tmp_path / "latest" / "evidence" / "milestones.jsonl"
    milestones = [json.loads(line) for line in kept.open()]
    assert {"failover", "promotion"} <= {each["name"] for each in milestones}


def test_the_documentation_forbids_no_such_loss(tmp_path: Path) -> None:
    times = ("--nodes", "3", "--time-limit", "20", "--nemesis-interval", "10")
    argv = ("--workload", "set", "--claims", "documented", *CUT, *times)
    code, verdict = run(tmp_path, "redis", *argv)
    assert (code, verdict["claims"]) == (0, []), verdict["why"]
    assert "agreement" in verdict["checkers"]


def test_sentinels_of_their_own_and_reads_of_replicas(tmp_path: Path) -> None:
    apart = ("--sentinels", "apart", "--nodes", "5", "--read-from", "any", "--wait", "1")
    argv = ("--workload", "set", *apart, "--time-limit", "5", "--rate", "100")
    _, verdict = run(tmp_path, "redis", *argv)
    assert not {"lost", "unexpected"} & set(verdict["checkers"]["set"]["anomalies"])
    folder = tmp_path / "latest" / "nodes"
    assert {path.parent.name for path in folder.glob("*/redis.log")} == {"n1", "n2"}
    assert {path.parent.name for path in folder.glob("*/sentinel.log")} == {"n3", "n4", "n5"}
