"""The columnar view says the same as the operations, in flat arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.errors import HistoryError
from harness.history.columns import (
    INTEGER,
    INTERNED,
    NIL,
    columns,
)
from harness.history.history import History
from harness.history.operation import TYPES, Header, Operation


def history(*lines: tuple[Any, ...], independent: bool = False) -> History:
    operations = [Operation(index, index * 10, *line) for index, line in enumerate(lines)]
    return History(operations, Header(independent=independent))


REGISTER = history(
    (0, "invoke", "write", ["x", 5]),
    (1, "invoke", "read", ["y", None]),
    ("nemesis", "info", "kill", ["n1", "n2"]),
    (0, "ok", "write", ["x", 5]),
    (1, "info", "read", ["y", None]),
    ("nemesis", "info", "kill", "done"),
    (2, "invoke", "cas", ["x", [5, 6]]),
    independent=True,
)


def test_a_register_history_in_columns() -> None:
    view = columns(REGISTER)
    assert len(view) == 7
    assert view.index.tolist() == list(range(7))
    assert view.time.tolist() == [0, 10, 20, 30, 40, 50, 60]
    assert view.type.tolist() == [0, 0, 3, 1, 3, 3, 0]
    assert view.process.tolist() == [0, 1, -1, 0, 1, -1, 2]
    assert [view.f_names[f] for f in view.f] == [op.f for op in REGISTER]
    assert view.pair.tolist() == [3, 4, 5, 0, 1, 2, -1]
    assert view.keys == ("x", "y")
    assert view.key.tolist() == [0, 1, -1, 0, 1, -1, 0]
    assert view.value_kind.tolist() == [INTEGER, NIL, INTERNED, INTEGER, NIL, INTERNED, INTERNED]
    assert [view.value_at(position) for position in range(7)] == [
        5,
        None,
        ["n1", "n2"],
        5,
        None,
        "done",
        [5, 6],
    ]
    assert len(view.micro.txn) == 0


def test_arrays_have_the_types_of_the_design() -> None:
    view = columns(REGISTER)
    kinds = {"time": "i8", "type": "i1", "process": "i4", "f": "i2", "pair": "i4", "key": "i4"}
    for name, kind in {**kinds, "value": "i8"}.items():
        assert getattr(view, name).dtype == np.dtype(kind)
    kinds = {"txn": "i4", "f": "i1", "key": "i4", "value": "i8", "elements": "i4"}
    for name, kind in {**kinds, "list_start": "i8", "list_end": "i8"}.items():
        assert getattr(view.micro, name).dtype == np.dtype(kind)


def test_without_independent_a_pair_stays_a_value() -> None:
    view = columns(history((0, "invoke", "cas", [1, 2])))
    assert view.key.tolist() == [-1]
    assert view.value_at(0) == [1, 2]


def test_micro_operations_of_transactions() -> None:
    view = columns(
        history(
            (0, "invoke", "txn", [["append", "x", 7], ["r", 3, None]]),
            (0, "ok", "txn", [["append", "x", 7], ["r", 3, [9, 7, []]]]),
            (0, "invoke", "txn", [["r", "x", []]]),
        )
    )
    micro = view.micro
    assert micro.txn.tolist() == [0, 0, 1, 1, 2]
    assert [micro.f_names[f] for f in micro.f] == ["append", "r", "append", "r", "r"]
    assert [micro.keys[key] for key in micro.key] == ["x", 3, "x", 3, "x"]
    assert micro.value.tolist()[1] == -1
    assert view.values[micro.value[0]] == 7
    assert micro.value[0] == micro.value[2]
    bounds = list(zip(micro.list_start.tolist(), micro.list_end.tolist(), strict=True))
    assert bounds == [(-1, -1), (-1, -1), (-1, -1), (0, 3), (3, 3)]
    assert [view.values[element] for element in micro.elements] == [9, 7, []]
    assert micro.elements[1] == micro.value[0]  # what was appended is what was read


def test_values_are_one_entry_only_if_they_are_the_same_json() -> None:
    distinct: list[Any] = [1.0, True, "1", [1], [1.0], [True], ["1"], {"a": 1}, 1 << 70, False, 0.0]
    lines = [(process, "invoke", "w", value) for process, value in enumerate(distinct + distinct)]
    view = columns(history(*lines))
    half = len(distinct)
    assert len(set(view.value[:half].tolist())) == half
    assert view.value[:half].tolist() == view.value[half:].tolist()
    assert [type(view.value_at(position)) for position in range(half)] == list(map(type, distinct))


def test_a_number_out_of_range_is_refused() -> None:
    with pytest.raises(HistoryError, match="columns"):
        columns(history((1 << 40, "invoke", "read", None)))


@given(
    st.lists(
        st.tuples(
            st.integers(0, 3) | st.just("nemesis"),
            st.sampled_from(TYPES),
            st.sampled_from(["read", "write"]),
            st.recursive(
                st.none() | st.integers() | st.text(max_size=3) | st.booleans(),
                lambda inner: st.lists(inner, max_size=3),
                max_leaves=4,
            ),
        ),
        max_size=8,
    ),
    st.booleans(),
)
@settings(deadline=None, max_examples=100)
def test_the_view_loses_nothing(lines: list[tuple[Any, ...]], independent: bool) -> None:
    recorded = history(*lines, independent=independent)
    view = columns(recorded)
    for position, operation in enumerate(recorded):
        value = view.value_at(position)
        if view.key[position] >= 0:
            value = [view.keys[view.key[position]], value]
        assert value == operation.value
        assert TYPES[view.type[position]] == operation.type
        assert view.f_names[view.f[position]] == operation.f
    assert view.pair.tolist() == recorded.pairs
