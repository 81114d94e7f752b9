"""Lists appended to by a get and a put: what the workload undid is no fault of the system."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
from msgspec import structs

from checkers.isolation.list_append import put_lists
from harness.history.history import History
from harness.history.operation import Header, Operation
from harness.verdict.verdict import UNKNOWN, Verdict
from tests.checkers.elle.lists.drawing import drawn_lists, judged

PUTS = Header(options={"appends": "get-and-put"})


def by_puts(history: History) -> History:
    return History(history.operations, PUTS)


@pytest.mark.parametrize(
    ("model", "drawing", "answer"),
    [
        ("read-committed", "a: [ax1]      [rx1]\nb: [ax2]            [rx2]", UNKNOWN),
        ("read-committed", "a: [ax1]\nb: [ax2]\nc:          [rx12]", True),
        ("read-committed", "a: [ax1] [rx1] [ax2]  [rx12]", True),
        ("serializable", "a: [ax1]      [rx1]\nb: [ax2]            [rx2]", False),
        ("read-committed", "a: [ax1 !\nb:          [rx1]\nc: [ay1]\nd:        [ry1]", False),
        ("read-committed", "a: [ax1 !\nb:        [ax2]\nc:               [rx12]", False),
        ("read-committed", "a: [ax1 ax2]\nb: [rx1     ]", False),
        ("read-committed", "a: [ax1 ry1]\nb: [ay1 rx1]", False),
        ("read-committed", "a: [ax1]\nb: [rx19]", False),
        ("read-committed", "a: [rx1 ax1]", False),
        ("read-committed", "a: [ax1 rx]\nb:           [rx1]", False),
    ],
)
def test_puts_are_judged_as_registers_below_models_that_forbid_lost_updates(
    model: str, drawing: str, answer: Any
) -> None:
    verdict = judged(by_puts(drawn_lists(drawing)), model)
    assert verdict.valid == answer, verdict.why
    if answer is UNKNOWN:
        assert "a get and a put" in verdict.why
        assert "`append`" in verdict.settle


def test_an_update_that_was_lost_is_told_as_that_and_rules_out_nothing_weaker() -> None:
    """Of lists that would be two orders of one key, and writes that are interleaved: no doing of
    the system, which took one write after the other."""
    drawing = "a: [rx ax1]      [rx1]\nb:  [rx ax2]          [rx2]"
    verdict = judged(by_puts(drawn_lists(drawing)), "repeatable-read")
    assert verdict.valid is False
    assert "lost-update" in verdict.anomalies
    assert not {"incompatible-order", "G0", "G1c"} & set(verdict.anomalies)
    assert not {"read-uncommitted", "read-committed"} & {*verdict.not_, *verdict.also_not}
    assert "incompatible-order" in judged(drawn_lists(drawing), "repeatable-read").anomalies


def test_what_only_the_lists_contradict_breaks_the_claim_and_no_weaker_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    drawing = "a: [ax1]      [rx1]\nb: [ax2]            [rx2]"
    undecided = Verdict(valid=UNKNOWN, why="the time was not enough")
    monkeypatch.setattr(put_lists.RwRegister, "check", lambda *given: undecided)
    verdict = judged(by_puts(drawn_lists(drawing)), "serializable")
    assert verdict.valid is False
    assert verdict.not_ == verdict.also_not == ()


def test_without_the_headers_word_lists_are_lists() -> None:
    drawing = "a: [ax1]      [rx1]\nb: [ax2]            [rx2]"
    assert judged(drawing, "read-committed").valid is False


def read_committed(rng: Random, count: int) -> History:
    """Transactions of four processes that get and put lists, step by step, at read committed."""
    committed: dict[str, list[int]] = {}
    value = 0
    records: list[Operation] = []
    for _ in range(count):
        open_: dict[int, tuple[list[Any], dict[str, list[int]], list[Any]]] = {}
        for process in range(4):
            steps: list[list[Any]] = []
            for _ in range(rng.randint(1, 3)):
                value += 1
                key = rng.choice("xy")
                steps.append(rng.choice((["r", key, None], ["append", key, value])))
            records.append(Operation(0, 0, process, "invoke", "txn", [list(s) for s in steps]))
            open_[process] = (steps, {}, [])
        while open_:
            process = rng.choice(sorted(open_))
            steps, mine, done = open_[process]
            if not steps:
                kind = rng.choice(("ok", "ok", "ok", "info", "fail"))
                if kind == "ok" or (kind == "info" and rng.random() < 0.5):
                    committed.update(mine)
                kind = "fail" if kind == "info" and rng.random() < 0.5 and not mine else kind
                records.append(Operation(0, 0, process, kind, "txn", done))
                del open_[process]
                continue
            f, key, item = steps.pop(0)
            seen = mine.get(key, committed.get(key, []))
            if f == "append":
                mine[key] = [*seen, item]
            done.append([f, key, list(seen) if f == "r" else item])
    numbered = [structs.replace(one, index=n, time=n) for n, one in enumerate(records)]
    return History(numbered, PUTS)


@pytest.mark.slow
def test_a_read_committed_store_is_never_accused_of_what_the_workload_undid() -> None:
    rng = Random("puts")
    answers = {}
    for number in range(150):
        history = read_committed(rng, rng.randint(1, 4))
        verdict = judged(history, "read-committed")
        assert verdict.valid is not False, (number, verdict, history.operations)
        as_lists = judged(History(history.operations), "read-committed").valid
        answers[as_lists, verdict.valid] = True
    assert {(False, UNKNOWN), (True, True)} <= set(answers)
