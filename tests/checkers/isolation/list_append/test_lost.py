"""Acknowledged appends that are gone after recovery, which no order of transactions shows."""

from __future__ import annotations

from typing import Any

import pytest

from harness.history.history import History
from harness.history.operation import Header, Operation
from harness.verdict.record import Record
from harness.verdict.verdict import Budget, Verdict
from tests.checkers.elle.lists.drawing import drawn_lists

FORGOTTEN = "a: [ax1] [ax2 rx12]\nb:                     [rx1]"
"""The second transaction, and its read, can stand behind the last: serializable, and lost."""


def judged(drawing: str | History, *, header: Header | None = None, final: int = 1) -> Verdict:
    """As a run whose last ``final`` transactions were made after recovery."""
    from checkers.isolation.list_append.checker import ListAppend

    history = drawn_lists(drawing) if isinstance(drawing, str) else drawing
    given = header or Header(claims=("serializable",))
    numbered = [
        Operation(at, at * 10**6, o.process, o.type, o.f, o.value)
        for at, o in enumerate(history.operations)
    ]
    begun = [o.time for o in numbered if o.type == "invoke"][-final]
    run: dict[str, Any] = {"phases": {"final": [begun, begun + 10**9]}}
    record = Record(history=History(numbered, given), run=run)
    return ListAppend({}).check(record, Budget.start())


def test_what_is_gone_after_recovery_is_lost_though_all_is_serializable() -> None:
    verdict = judged(FORGOTTEN)
    assert verdict.valid is False
    assert list(verdict.anomalies) == ["lost"]
    (case,) = verdict.anomalies["lost"]
    assert "appended 2 to" in case.message
    assert "acknowledged before T2 began" in case.message
    assert verdict.stats["lost-count"] == 1


@pytest.mark.parametrize(
    "drawing",
    [
        "a: [ax1] [ax2 rx12]\nb:                     [rx12]",
        "a: [ax1] [ax2 ?    \nb:                     [rx1]",
        "a: [ax1] [ax2 !\nb:                     [rx1]",
        "a: [ax1]      [ax2        ]\nb:             [rx1]",
        "a: [ax1] [ay2 ry2]\nb:                     [rx1]",
    ],
    ids=["shown", "in doubt", "refused", "under way", "of a key that was not read"],
)
def test_what_is_shown_or_was_never_sure_is_not_lost(drawing: str) -> None:
    assert "lost" not in judged(drawing).anomalies


def test_one_last_read_that_shows_it_is_enough() -> None:
    both = FORGOTTEN + "\nc:                          [rx12]"
    assert "lost" not in judged(both, final=2).anomalies


def test_nothing_is_lost_where_durability_is_disclaimed_or_nobody_knows_when_recovery_was() -> None:
    header = Header(claims=("serializable",), not_durable="synchronous_commit=off")
    assert judged(FORGOTTEN, header=header).valid is True
    from tests.checkers.elle.lists.drawing import judged as judged_as_file

    assert judged_as_file(FORGOTTEN, "serializable").valid is True


def test_what_a_put_undid_is_not_called_lost_where_that_is_allowed() -> None:
    header = Header(claims=("read-committed",), options={"appends": "get-and-put"})
    assert "lost" not in judged(FORGOTTEN, header=header).anomalies
