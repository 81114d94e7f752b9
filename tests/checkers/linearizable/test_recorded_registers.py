"""Registers that other projects recorded get the verdicts that their own checkers gave."""

from __future__ import annotations

from typing import Any

import pytest

from checkers.linearizable import Linearizable
from harness.history.history import History
from harness.history.reader import read_history
from harness.verdict.record import Record
from harness.verdict.verdict import UNKNOWN, Budget, Valid
from tests.shared_data import HISTORIES

pytestmark = pytest.mark.histories

NOTHING_ANSWERED = {"mongodb-v0-ack-rollback-9.edn", "mongodb-v0-ack-rollback-10.edn"}
"""All of it failed."""


def verdict_on(history: History, **options: Any) -> Valid:
    return Linearizable(options).check(Record(history=history), Budget.start(600)).valid


def test_the_etcd_logs_get_porcupines_verdicts() -> None:
    index = (HISTORIES / "INDEX.md").read_text()
    logs = sorted((HISTORIES / "porcupine/etcd-jepsen").glob("*.log"))
    assert len(logs) > 40
    wrong = [
        path.name
        for path in logs
        if verdict_on(read_history(path)) is not (f"{path.name} | linearizable=true" in index)
    ]
    assert wrong == []


@pytest.mark.slow
@pytest.mark.parametrize("initial", [None, 0])
def test_the_cas_registers_get_knossos_verdicts(initial: int | None) -> None:
    paths = sorted((HISTORIES / "knossos/cas-register").glob("*/*.edn"))
    assert len(paths) > 50
    wrong = [
        path.name
        for path in paths
        if verdict_on(read_history(path), initial=initial)
        != (UNKNOWN if path.name in NOTHING_ANSWERED else path.parent.name == "good")
    ]
    assert wrong == []
