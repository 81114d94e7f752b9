"""predicates: conditions that miss rows, and what follows from rows that were not there."""

from __future__ import annotations

from typing import Any

import pytest

from checkers.isolation.predicates.checker import PredicateReads, matches
from harness.history.history import History
from harness.history.operation import Header, Operation
from harness.history.values import Tagged
from harness.verdict.record import Record
from harness.verdict.verdict import UNKNOWN, Budget, Verdict

Steps = list[list[Any]]


def judged(*rounds: list[tuple[str, Steps]], init: Any = None, **options: Any) -> Verdict:
    """Rounds of transactions (end, steps): those of one round overlap, rounds follow each other."""
    operations: list[Operation] = []

    def record(process: int, kind: str, f: str, value: Any) -> None:
        at = len(operations)
        operations.append(Operation(at, at * 1_000_000, process, kind, f, [7, value]))

    if init is not None:
        record(99, "invoke", "init", init)
        record(99, "ok", "init", init)
    for together in rounds:
        for process, (_, steps) in enumerate(together):
            record(process, "invoke", "txn", steps)
        for process, (end, steps) in enumerate(together):
            record(process, end, "txn", steps)
    history = History(operations, Header(independent=True))
    return PredicateReads(options).check(Record(history=history), Budget.start(60))


def asked(condition: Any, **rows: Any) -> list[Any]:
    return ["rp", condition, {name[1:]: value for name, value in rows.items()}]


@pytest.mark.parametrize(
    ("condition", "value", "expected"),
    [
        ("true", 3, True),
        ("true", None, False),
        (["=", 3], 3, True),
        (["=", 3], 4, False),
        (["mod", 2, 1], 3, True),
        (["mod", 2, 0], None, False),
    ],
)
def test_conditions(condition: Any, value: Any, expected: bool) -> None:
    assert matches(condition, value) is expected


def test_each_did_not_find_what_the_other_inserted() -> None:
    skew = [
        ("ok", [asked("true"), ["insert", "1", 5]]),
        ("ok", [asked(["mod", 2, 0]), ["insert", "2", 8]]),
    ]
    swapped = [skew[0], ("ok", [asked(["=", 5]), ["insert", "2", 8]])]
    assert judged(skew).valid is True  # 5 is odd, so the second may have come after the first
    verdict = judged(swapped)
    assert verdict.valid is False
    (case,) = verdict.anomalies["G2"]
    assert "did not find row 1 by the condition" in case.message
    assert "made it 5, which fulfils it" in case.message
    assert len(case.witness) == 2
    assert "serializable" in verdict.not_
    assert judged(swapped, claims=["snapshot-isolation"]).valid is True


def test_half_of_a_transaction_is_read_skew() -> None:
    verdict = judged(
        [("ok", [["insert", "1", 5], ["insert", "2", 8]]), ("ok", [asked("true", r1=5)])]
    )
    assert set(verdict.anomalies) == {"G-single"}
    assert "found row 1 = 5, which T" in verdict.anomalies["G-single"][0].message


def test_a_row_missed_after_it_was_inserted_breaks_real_time_only() -> None:
    rounds = ([("ok", [["insert", "1", 5]])], [("ok", [asked("true")])])
    verdict = judged(*rounds)
    assert set(verdict.anomalies) == {"G-single-realtime"}
    assert "had completed before" in verdict.anomalies["G-single-realtime"][0].message
    assert judged(*rounds, claims=["serializable"]).valid is True


def test_circular_finds_are_g1c() -> None:
    verdict = judged(
        [
            ("ok", [asked("true", r2=8), ["insert", "1", 5]]),
            ("ok", [asked("true", r1=5), ["insert", "2", 8]]),
        ]
    )
    assert set(verdict.anomalies) == {"G1c"}


def test_a_row_that_always_matched_must_be_found() -> None:
    found = [("ok", [asked(["mod", 2, 1], r1=3)])]
    missed = [("ok", [asked(["mod", 2, 1])])]
    assert judged(found, init={"1": 3}).valid is True
    verdict = judged([("ok", [["w", "1", 5]])], missed, init={"1": 3})
    assert set(verdict.anomalies) == {"predicate-read-miss"}
    assert judged([("ok", [["w", "1", 4]]), missed[0]], init={"1": 3}).valid is True
    assert judged([("ok", [["delete", "1"]]), missed[0]], init={"1": 3}).valid is True


def test_what_was_found_must_match_and_have_been_written() -> None:
    insert = ("ok", [["insert", "1", 5]])
    assert "predicate-mismatch" in judged([insert, ("ok", [asked(["=", 4], r1=5)])]).anomalies
    assert "thin-air" in judged([insert, ("ok", [asked("true", r1=6)])]).anomalies
    failed = ("fail", [["insert", "1", 5]])
    assert "G1a" in judged([failed, ("ok", [asked("true", r1=5)])]).anomalies


def test_own_inserts_and_unknown_outcomes_accuse_nobody() -> None:
    assert judged([("ok", [["insert", "1", 5], asked("true", r1=5)])]).valid is True
    lost = ([("info", [["insert", "1", 5]])], [("ok", [asked("true")])])
    assert judged(*lost).valid is True
    seen = (*lost, [("ok", [asked("true", r1=5)])])
    assert judged(*seen).valid is True


def test_rows_changed_twice_tell_no_order() -> None:
    rounds = [("ok", [["insert", "1", 5]]), ("ok", [["w", "1", 7]]), ("ok", [asked(["=", 5])])]
    assert judged(rounds).valid is True


def test_without_conditions_nothing_is_known() -> None:
    assert judged([("ok", [["insert", "1", 5]])]).valid == UNKNOWN


def test_conditions_and_rows_may_be_keywords() -> None:
    """Elle's own closed predicates are EDN: ``[:rp [:= 3] {:a 3}]``."""
    insert = ("ok", [["insert", Tagged(":a"), 3]])
    for condition in (Tagged(":true"), [Tagged(":="), 3], [Tagged(":mod"), 2, 1]):
        assert judged([insert], [("ok", [["rp", condition, {"a": 3}]])], init={}).valid is True
    none = [("ok", [["rp", [Tagged(":mod"), 2, 0], {"a": 3}]])]
    assert "predicate-mismatch" in judged([insert], none, init={}).anomalies


def test_two_rows_that_a_map_cannot_tell_apart_are_unknown() -> None:
    rows = [("ok", [["insert", Tagged(":a"), 3], ["insert", "a", 4]])]
    verdict = judged(rows, [("ok", [["rp", "true", {"a": 3}]])], init={})
    assert verdict.valid == UNKNOWN
    assert "like another one" in verdict.why
