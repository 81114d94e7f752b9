"""Pairs are keys only where the history shows it or somebody says so."""

from __future__ import annotations

from typing import Any

import pytest

from checkers.linearizable import CHECKERS
from checkers.objects.sets import Set
from checkers.proof.independence import independence
from harness.history.history import History
from harness.history.operation import Header, Operation
from harness.verdict.record import Record
from harness.verdict.verdict import UNKNOWN, Budget, Valid


def history(*calls: tuple[str, Any, Any], **header: Any) -> History:
    """Calls as (f, asked, answered), one after the other."""
    operations = []
    for n, (f, asked, answered) in enumerate(calls):
        operations.append(Operation(2 * n, 2 * n, 0, "invoke", f, asked))
        operations.append(Operation(2 * n + 1, 2 * n + 1, 0, "ok", f, answered))
    return History(operations, Header(**header))


def judged(checker: Any, past: History) -> Valid:
    valid: Valid = checker.check(Record(history=past), Budget.start(60)).valid
    return valid


KEYED = [("write", [1, 2], [1, 2]), ("read", [1, None], [1, 2])]
PAIRS = [("write", [1, 2], [1, 2]), ("write", [2, 2], [2, 2]), ("read", [1, 2], [1, 2])]


@pytest.mark.parametrize(
    ("calls", "wanted"),
    [
        (KEYED, True),
        (PAIRS, None),
        ([("write", [1, 2], [1, 2]), ("read", None, [1, 2])], False),
        ([("write", 1, 1), ("read", [1, None], [1, 2])], False),
        ([("write", [1, 2], [1, 2])], False),
        ([("write", [1, 2], [1, 2]), ("read", [1, None], [3, 2])], None),
        ([("cas", [1, 2], [1, 2]), ("read", [1, 2], [1, 2])], False),
        ([("txn", [["r", 1, None], ["w", 1, 2]], None)], False),
        ([("enqueue", [1, 5], None), ("dequeue", [1, None], [1, 5])], True),
        ([("acquire", ["l", None], None), ("release", ["l", None], None)], True),
    ],
)
def test_pairs_are_keys_only_where_that_is_certain(calls: Any, wanted: bool | None) -> None:
    assert independence(history(*calls)) is wanted
    assert independence(history(*calls, model="register")) is False
    assert independence(history(*calls, independent=True)) is True


def test_what_cannot_be_told_is_judged_both_ways() -> None:
    register = CHECKERS["register"]({})
    assert judged(register, history(*PAIRS)) == UNKNOWN  # by key all is well
    assert judged(register, history(*PAIRS, independent=True)) is True
    assert judged(register, history(*PAIRS, model="register")) is False
    assert judged(register, history(*PAIRS[:2], ("read", [2, 2], [2, 2]))) is True
    assert judged(register, history(*PAIRS[:2], ("read", [1, 2], [1, 7]))) is False


def test_nobody_is_accused_by_keys_that_nobody_declared() -> None:
    lost = [("add", [7, 1], [7, 1]), ("read", [7, None], [7, []])]
    found = [("add", [7, 1], [7, 1]), ("read", [7, None], [7, [1]])]
    assert judged(Set({}), history(*lost)) == UNKNOWN
    assert judged(Set({}), history(*lost, independent=True)) is False
    assert judged(Set({}), history(*found)) is True
