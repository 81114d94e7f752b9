"""Whole runs on SQLite, with servers killed and paused: the control that must stay clean."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.disturbance import undisturbed

pytestmark = [pytest.mark.database, pytest.mark.cluster]

SCRIPT = Path(sys.executable).with_name("polygraph")
FAULTS = ("--nemesis", "kill,pause", "--nemesis-interval", "2", "--time-limit", "6")


def verdict(folder: Path, *flags: str) -> dict[str, Any]:
    argv = [SCRIPT, "test", "sqlite", "--nodes", "2", "--store", "store", "--json", *flags]

    def run() -> subprocess.CompletedProcess[str]:
        return subprocess.run(argv, cwd=folder, capture_output=True, text=True, timeout=200)

    done = undisturbed(run, folder / "store")
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("journal_mode", ["wal", "delete"])
def test_transactions_survive_killed_and_paused_processes(
    tmp_path: Path, journal_mode: str
) -> None:
    found = verdict(tmp_path, "--workload", "list-append", "--journal-mode", journal_mode, *FAULTS)
    assert found["valid"] is True, found
    assert {name: each["bit"] for name, each in found["faults"].items()} == {"kill": 1, "pause": 1}
    assert found["operations"]["txn"]["ok"] > 20
