"""Leaving operations of a name out changes nothing about the others."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from harness.history.columns import columns
from harness.history.history import History
from harness.history.operation import Operation
from harness.history.without import without

SET = [
    (0, "invoke", "add", 1),
    (1, "invoke", "remove", 9),
    (0, "ok", "add", 1),
    (2, "invoke", "read", None),
    (1, "info", "remove", 9),
    (2, "ok", "read", [1]),
    (3, "invoke", "remove", 8),
    ("nemesis", "info", "remove", None),
]


def drawn() -> History:
    rows = enumerate(SET)
    return History([Operation(i, i, p, kind, f, value) for i, (p, kind, f, value) in rows])


def test_both_halves_go_and_the_rest_keeps_its_indices() -> None:
    left = without(drawn(), ["remove"])
    assert [operation.index for operation in left] == [0, 2, 3, 5, 7]
    assert left.pairs == [1, 0, 3, 2, -1]
    assert [each.index for each in left.operations[1:3]] == [2, 3]
    assert left.notices == ("2 operations 'remove' were left out, as --ignore-f says",)


def test_a_name_that_nothing_has_is_told() -> None:
    left = without(drawn(), ["remvoe"])
    assert len(left) == len(SET)
    assert "no client operation has that name" in left.notices[0]


def in_columns() -> History:
    """A history that is in columns already, with transactions and lists in them."""
    operations = []
    for number in range(300):
        f, asked = "txn", [["append", number % 7, number], ["r", 3, None]]
        answered: Any = [["append", number % 7, number], ["r", 3, [number]]]
        if number % 3 == 1:
            f, asked, answered = "purge", number, number
        for kind, value in (("invoke", asked), ("ok", answered)):
            at = len(operations)
            operations.append(Operation(at, at, number % 5, kind, f, value))
    return History(operations, prepared=columns(History(operations)))


def test_columns_are_cut_down_as_if_they_had_been_made_of_what_is_left() -> None:
    whole = in_columns()
    left = without(whole, ["purge"])
    assert left.prepared is not None
    assert left.notices == ("100 operations 'purge' were left out, as --ignore-f says",)
    plain = columns(without(History(whole.operations), ["purge"]))
    for name in ("index", "time", "type", "process", "pair"):
        assert np.array_equal(getattr(left.prepared, name), getattr(plain, name)), name
    for name in ("txn", "value"):
        assert len(getattr(left.prepared.micro, name)) == len(getattr(plain.micro, name))
    for place in (0, 17, len(plain) - 1):
        assert left.prepared.value_at(place) == plain.value_at(place)
    assert left.operations[17] == list(left)[17]


def test_an_order_that_is_stricter_than_certain_is_cut_down_too() -> None:
    sorted_by_time = replace(drawn(), stricter=drawn())
    left = without(sorted_by_time, ["remove"])
    assert left.stricter is not None
    assert [operation.index for operation in left.stricter] == [0, 2, 3, 5, 7]


def test_completions_alone_are_counted_as_what_they_are() -> None:
    alone = History([Operation(0, 0, 0, "ok", "read", 1), Operation(1, 0, 1, "fail", "read", 1)])
    assert alone.outcomes == {"read": {"ok": 1, "fail": 1, "info": 0}}
    columned = History(alone.operations, prepared=columns(alone))
    assert columned.outcomes == alone.outcomes
