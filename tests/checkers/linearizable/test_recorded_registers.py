"""Registers that other projects recorded get the verdicts that their own checkers gave."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import pytest

from checkers.linearizable import Linearizable
from harness.history.history import History
from harness.history.operation import Operation
from harness.history.reader import read_history
from harness.history.record import Record
from harness.history.verdict import Budget, Valid

ROOT = Path(__file__).parents[3]
HISTORIES = Path(os.environ.get("POLYGRAPH_HISTORIES", ROOT.parent / "shared/histories"))
NO_HISTORIES = "the recorded histories are not here (set POLYGRAPH_HISTORIES)"
pytestmark = pytest.mark.skipif(not HISTORIES.is_dir(), reason=NO_HISTORIES)

LINE = re.compile(r"INFO +jepsen\.util - (\d+)\t:(\w+)\t:(\w+)\t(.*)")


def etcd_log(path: Path) -> History:
    found = [match for line in path.read_text().splitlines() if (match := LINE.match(line))]
    return History(
        [Operation(n, -1, int(m[1]), m[2], m[3], log_value(m[4])) for n, m in enumerate(found)]
    )


def log_value(text: str) -> Any:
    if text.startswith("["):
        return [int(part) for part in text.strip("[] ").split()]
    return int(text) if text.strip().isdigit() else None


def verdict_on(history: History, **options: Any) -> Valid:
    return Linearizable(options).check(Record(history=history), Budget.start(600)).valid


def test_the_etcd_logs_get_porcupines_verdicts() -> None:
    index = (HISTORIES / "INDEX.md").read_text()
    logs = sorted((HISTORIES / "porcupine/etcd-jepsen").glob("*.log"))
    assert len(logs) > 40
    wrong = [
        path.name
        for path in logs
        if verdict_on(etcd_log(path)) is not (f"{path.name} | linearizable=true" in index)
    ]
    assert wrong == []


@pytest.mark.parametrize("initial", [None, 0])
def test_the_cas_registers_get_knossos_verdicts(initial: int | None) -> None:
    paths = sorted((HISTORIES / "knossos/cas-register").glob("*/*.edn"))
    assert len(paths) > 50
    wrong = [
        path.name
        for path in paths
        if verdict_on(read_history(path), initial=initial) is not (path.parent.name == "good")
    ]
    assert wrong == []
