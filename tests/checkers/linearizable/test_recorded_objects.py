"""Locks, maps and several registers that other projects recorded get the verdicts they gave."""

from __future__ import annotations

import gzip
import re
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from checkers.linearizable import CHECKERS
from harness.history.history import History
from harness.history.operation import Header, Operation
from harness.history.reader import read_history
from harness.verdict.record import Record
from harness.verdict.verdict import Budget, Verdict
from tests.shared_data import HISTORIES

pytestmark = pytest.mark.histories

LINE = re.compile(r':process (\d+), :type :(\w+), :f :(\w+), :key "(.*?)", :value (?:nil|"(.*)")\}')


def map_history(path: Path) -> History:
    data = path.read_bytes()
    text = (gzip.decompress(data) if path.suffix == ".gz" else data).decode()
    found = [match for line in text.splitlines() if (match := LINE.search(line))]
    operations = [
        Operation(n, -1, int(m[1]), m[2], m[3], [m[4], m[5]]) for n, m in enumerate(found)
    ]
    return History(operations, Header(independent=True))


def judged(model: str, history: History, **options: Any) -> Verdict:
    return CHECKERS[model](options).check(Record(history=history), Budget.start(600))


@pytest.mark.slow
def test_the_maps_get_porcupines_verdicts() -> None:
    paths = sorted((HISTORIES / "porcupine/kv").iterdir())
    assert len(paths) >= 3
    wrong = [
        path.name
        for path in paths
        if judged("kv", map_history(path)).valid is not ("ok" in path.name)
    ]
    assert wrong == []


@pytest.mark.slow
def test_the_locks_get_knossos_verdicts() -> None:
    paths = sorted((HISTORIES / "knossos/mutex").glob("*/*.edn"))
    assert paths
    for path in paths:
        verdict = judged("mutex", read_history(path))
        assert verdict.valid is (path.parent.name == "good")


def test_several_registers_get_knossos_verdict() -> None:
    path = HISTORIES / "knossos/multi-register/good/multi-register.edn"
    history = read_history(path)
    assert judged("multi-register", history, initial={"x": 0, "y": 0}).valid is True
    reads = [n for n, op in enumerate(history) if op.type == "ok" and op.value[0][0] == "read"]
    for place in reads[:: len(reads) // 5]:
        wrong = list(history)
        (_, key, _), *rest = wrong[place].value
        wrong[place] = structs.replace(wrong[place], value=[["read", key, 99], *rest])
        verdict = judged("multi-register", History(wrong), initial={"x": 0, "y": 0})
        assert verdict.valid is False
