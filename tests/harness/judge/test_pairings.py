"""Histories without processes: every pairing counts, whether few or many."""

from __future__ import annotations

import json
from itertools import permutations
from random import Random
from typing import Any

import pytest

from checkers.linearizable import CHECKERS
from harness.history.history import History
from harness.history.operation import Operation
from harness.history.reader import parse_history
from harness.judge import pairings
from harness.verdict.record import Record
from harness.verdict.verdict import UNKNOWN, Budget, Verdict


def drawn(random: Random) -> list[tuple[str, str, Any]]:
    """Records (type, f, value) of at most five operations; the answers are drawn blindly."""
    open_calls: list[tuple[str, Any]] = []
    records: list[tuple[str, str, Any]] = []
    left = random.randint(2, 5)
    while left or open_calls:
        if left and (not open_calls or random.random() < 0.6):
            f = random.choice(["read", "read", "write"])
            value = None if f == "read" else random.randrange(2)
            open_calls.append((f, value))
            records.append(("invoke", f, value))
            left -= 1
        else:
            f, value = open_calls.pop(random.randrange(len(open_calls)))
            answer = random.choice([None, 0, 1]) if f == "read" else value
            if random.random() < 0.9:
                records.append((random.choice(["ok"] * 5 + ["info"]), f, answer))
    return records


def every_history(records: list[tuple[str, str, Any]]) -> list[History]:
    """All pairings, found by trying every assignment of completions to invocations."""
    begins = [n for n, record in enumerate(records) if record[0] == "invoke"]
    ends = [n for n, record in enumerate(records) if record[0] != "invoke"]
    found = []
    for chosen in permutations(begins, len(ends)):
        pairs = list(zip(chosen, ends, strict=True))
        if all(begin < end and _belong(records[begin], records[end]) for begin, end in pairs):
            who = {at: at for at in begins} | {end: begin for begin, end in pairs}
            found.append(
                History(
                    [Operation(n, n, who[n], *record) for n, record in enumerate(records)],
                )
            )
    return found


def _belong(invoked: tuple[str, str, Any], closed: tuple[str, str, Any]) -> bool:
    return invoked[1] == closed[1] and invoked[2] in (None, closed[2])


def read(records: list[tuple[str, str, Any]]) -> History:
    lines = [json.dumps({"type": kind, "f": f, "value": v}) for kind, f, v in records]
    return parse_history("\n".join(lines).encode(), "test")


def judged(history: History) -> Verdict:
    check = CHECKERS["register"]({}).check
    return pairings.judged(check, Record(history=history), Budget.start(60))


@pytest.mark.slow
def test_a_history_without_processes_is_judged_under_every_pairing() -> None:
    answers: dict[Any, int] = {}
    for seed in range(600):
        records = drawn(Random(seed))
        wanted = {judged(history).valid for history in every_history(records)}
        assert wanted, records
        verdict = judged(read(records))
        assert verdict.valid == (wanted.pop() if len(wanted) == 1 else UNKNOWN), records
        answers[verdict.valid] = answers.get(verdict.valid, 0) + 1
    assert len(answers) == 3
    assert min(answers.values()) > 4


@pytest.mark.slow
def test_two_histories_bound_the_pairings_that_are_too_many(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pairings, "LONGEST", 0)
    answers: dict[Any, int] = {}
    for seed in range(600):
        records = drawn(Random(seed))
        verdict = judged(read(records))
        if verdict.valid != UNKNOWN:
            wanted = {judged(history).valid for history in every_history(records)}
            assert wanted == {verdict.valid}, records
        answers[verdict.valid] = answers.get(verdict.valid, 0) + 1
    assert len(answers) == 3
    assert min(answers.values()) > 4


def test_sessions_are_a_guess_as_well() -> None:
    records: list[tuple[str, str, Any]] = [
        *(("invoke", "write", 1), ("ok", "write", 1)),
        *(("invoke", "write", 2), ("ok", "write", 2)),
    ]

    def one_session(record: Record, budget: Budget) -> Verdict:
        processes = {operation.process for operation in record.history}
        return Verdict(valid=len(processes) > 1, why="one session")

    verdict = pairings.judged(one_session, Record(history=read(records)), Budget.start(60))
    assert verdict.valid == UNKNOWN
    assert "one session" in verdict.why


def test_a_transaction_is_closed_by_what_answers_it() -> None:
    assert pairings.fits([["r", "x", None], ["w", "y", 1]], [["r", "x", 2], ["w", "y", 1]])
    assert not pairings.fits([["r", "x", None], ["w", "y", 1]], [["r", "x", 2], ["w", "y", 2]])
    assert pairings.fits(["k", None], ["k", 5])
    assert not pairings.fits(["k", None], ["l", 5])
