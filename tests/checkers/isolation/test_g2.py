"""g2: at most one of two inserts that exclude each other."""

from __future__ import annotations

from typing import Any

from checkers.isolation.g2 import G2
from harness.history.history import History
from harness.history.operation import Header, Operation
from harness.verdict.record import Record
from harness.verdict.verdict import UNKNOWN, Budget, Verdict


def judged(*ends: tuple[int, str, str], **options: Any) -> Verdict:
    """One insert for each (key, table, end), all at once."""
    values = [
        [key, [at, None] if table == "a" else [None, at]] for at, (key, table, _) in enumerate(ends)
    ]
    kinds = [("invoke", value) for value in values]
    kinds += [(end, value) for (_, _, end), value in zip(ends, values, strict=True)]
    operations = [
        Operation(at, at, at % len(ends), kind, "insert", value)
        for at, (kind, value) in enumerate(kinds)
    ]
    record = Record(history=History(operations, Header(independent=True)))
    return G2(options).check(record, Budget.start(60))


def test_two_inserts_of_a_key_are_a_cycle() -> None:
    verdict = judged((5, "a", "ok"), (5, "b", "ok"), (6, "a", "ok"), (6, "b", "fail"))
    assert verdict.valid is False
    (case,) = verdict.anomalies["G2-item"]
    assert (
        "T1 < T2, because T1 saw no row of key 5, and T2 inserted one (row 1 in table b)"
        in case.message
    )
    assert case.witness == (4, 5)
    stats = verdict.stats
    assert (stats["key-count"], stats["legal-count"], stats["illegal-count"]) == (2, 1, 1)
    assert stats["illegal"] == [[5, 2]]


def test_snapshot_isolation_allows_it() -> None:
    allowed = judged((5, "a", "ok"), (5, "b", "ok"), claims=["snapshot-isolation"])
    assert (allowed.valid, allowed.stats["permitted"]) == (UNKNOWN, {"G2-item": 1})
    assert judged((5, "a", "ok"), (5, "b", "ok"), claims=["repeatable-read"]).valid is False


def test_over_conditions_it_is_g2_and_repeatable_read_allows_it() -> None:
    pair = ((5, "a", "ok"), (5, "b", "ok"))
    assert set(judged(*pair, predicates=True).anomalies) == {"G2"}
    assert judged(*pair, predicates=True, claims=["repeatable-read"]).valid == UNKNOWN
    assert judged(*pair, predicates=True, claims=["serializable"]).valid is False


def test_one_or_none_or_an_unanswered_one_is_legal() -> None:
    assert judged((1, "a", "ok"), (1, "b", "fail")).valid is True
    assert judged((1, "a", "ok"), (1, "b", "info")).valid is True
    assert judged((1, "a", "fail"), (1, "b", "fail")).valid == UNKNOWN
