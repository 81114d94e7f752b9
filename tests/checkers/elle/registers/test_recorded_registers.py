"""Recorded register histories of other projects: never a wrong verdict.

AWDIT's have sessions of transactions without times (their verdicts are on read committed, read
atomic and causal consistency), IsoVista's ``r|w(key,value,session,transaction)`` lines. Neither is
asked for what it says of its own model alone: ``unknown`` is an answer, a wrong one is not.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from checkers.isolation.causal import Causal
from checkers.isolation.torn import Torn
from harness.history.history import History
from harness.history.intakes import ORDER, SESSION_ORDER, with_fact
from harness.history.operation import Header, Operation
from harness.verdict.record import Record
from harness.verdict.verdict import UNKNOWN, Budget
from tests.checkers.elle.registers.drawing import judged
from tests.shared_data import HISTORIES

recorded = pytest.mark.histories
AWDIT = {  # what holds, by folder
    "causal": {"read-committed", "read-atomic", "causal"},
    "read-atomic": {"read-committed", "read-atomic"},
    "read-committed": {"read-committed"},
    "none": set(),
}

Session = list[list[list[Any]]]


def all_at_once(sessions: list[Session]) -> History:
    """Sessions whose transactions follow each other, and between which no time tells of order."""
    operations: list[Operation] = []

    def record(process: int, kind: str, value: Any) -> None:
        at = len(operations)
        operations.append(Operation(at, at * 1000, process, kind, "txn", value))

    for turn in range(max(map(len, sessions))):
        here = [(p, session[turn]) for p, session in enumerate(sessions) if turn < len(session)]
        for process, value in here:
            record(process, "invoke", value)
        for process, value in here:
            record(process, "ok", value)
    return History(operations, with_fact(Header(), ORDER, SESSION_ORDER))


def awdit(path: Path) -> History:
    sessions: list[Session] = [[[]]]
    for line in path.read_text().splitlines():
        if line.startswith("=="):
            sessions.append([[]])
        elif line.startswith("--"):
            sessions[-1].append([])
        elif line.strip():
            f, key, value = line.split()
            sessions[-1][-1].append([f, int(key), int(value)])
    return all_at_once([[txn for txn in session if txn] for session in sessions])


def isovista(path: Path) -> History:
    sessions: dict[int, dict[int, list[list[Any]]]] = {}
    for f, key, value, session, txn in re.findall(
        r"([rw])\((\d+),(\d+),(\d+),(\d+)\)", path.read_text()
    ):
        step = [f, int(key), int(value)]
        sessions.setdefault(int(session), {}).setdefault(int(txn), []).append(step)
    return all_at_once([list(session.values()) for session in sessions.values()])


def awdit_files() -> list[Path]:
    return sorted((HISTORIES / "awdit").glob("**/*.txt"))


@recorded
@pytest.mark.parametrize("path", awdit_files(), ids=lambda path: "/".join(path.parts[-2:]))
def test_awdits_verdicts_are_never_contradicted(path: Path) -> None:
    """Its read committed and read atomic count the order of sessions, too."""
    holds = AWDIT[path.relative_to(HISTORIES / "awdit").parts[0]]
    history = awdit(path)
    record = Record(history=history)
    committed = judged(history, "strong-session-read-committed")
    assert committed.valid in (UNKNOWN, "read-committed" in holds), committed.why
    atomic = judged(history, "read-atomic")
    assert atomic.valid is not False or "read-atomic" not in holds, atomic.why
    torn = Torn({"claims": ["read-atomic"]}).check(record, Budget.start(60))
    assert torn.valid is not False or "read-atomic" not in holds, torn.why
    causal = Causal({}).check(record, Budget.start(60))
    assert causal.valid is ("causal" in holds), causal.why


@pytest.mark.slow
@recorded
@pytest.mark.parametrize(
    ("name", "model"),
    [("dgraph_si.txt", "snapshot-isolation"), ("yugabyte_tcc.txt", "causal-cerone")],
)
@pytest.mark.parametrize("assume", [{}, {"wfr_keys": True}])
def test_isovistas_bugs_are_never_called_valid(
    name: str, model: str, assume: dict[str, bool]
) -> None:
    history = isovista(HISTORIES / "isovista" / name)
    assert judged(history, model, **assume).valid is not True
