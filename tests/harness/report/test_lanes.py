"""The picture of an anomaly: exact order, readable bars."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from harness.history.history import History
from harness.history.operation import Header, Operation
from harness.report.bands import Band
from harness.report.intervals import Calls, pair_calls
from harness.report.lanes import draw
from harness.report.wording import Wording


def calls_of(plan: list[tuple[int, int]]) -> Calls:
    """Alternating invokes and completions of processes: (process, milliseconds since before)."""
    operations: list[Operation] = []
    busy: set[int] = set()
    time = 0
    for process, gap in plan:
        time += gap * 1_000_000
        type = "ok" if process in busy else "invoke"
        busy ^= {process}
        operations.append(Operation(len(operations), time, process, type, "write", 100 + process))
    return pair_calls(History(operations, Header()))


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 5000)), min_size=1, max_size=40))
def test_places_on_the_axis_keep_the_order_of_records(plan: list[tuple[int, int]]) -> None:
    calls = calls_of(plan)
    drawing = draw(calls, list(range(len(calls))), [], Wording(calls))
    assert drawing is not None
    edges: list[tuple[int, float]] = []
    for bar in drawing.bars:
        call = calls.by_index[bar.index]
        first, last = calls.span(call)
        edges.append((first, bar.x))
        if last < len(calls.history):
            edges.append((last, bar.x + bar.width))
    ordered = [x for _, x in sorted(edges)]
    assert all(a < b for a, b in pairwise(ordered))
    assert all(bar.width >= len(bar.label) * 7 for bar in drawing.bars)
    assert drawing.width >= max(ordered)


def test_a_fault_shades_what_it_covered_and_only_if_it_touches() -> None:
    calls = calls_of([(0, 1), (0, 1), (1, 5000), (1, 1)])
    ms = 1_000_000
    bands = [
        Band(fault="cut", start=3 * ms, end=9000 * ms),
        Band(fault="pause", start=9000 * ms, end=9001 * ms),
    ]
    drawing = draw(calls, [0, 1], bands, Wording(calls))
    assert drawing is not None
    (shade,) = drawing.shades
    first, second = drawing.bars
    assert first.x + first.width < shade.x < second.x
    assert shade.x + shade.width >= second.x + second.width


def test_what_ran_beside_the_witness_is_drawn_but_not_as_witness() -> None:
    calls = calls_of([(0, 1), (1, 1), (1, 1), (0, 1), (2, 1), (2, 1)])
    drawing = draw(calls, [0], [], Wording(calls), {0: "T1"})
    assert drawing is not None
    assert [(bar.index, bar.is_witness) for bar in drawing.bars] == [(0, True), (1, False)]
    assert drawing.bars[0].label == "T1 write 100"


def test_without_a_known_witness_there_is_no_picture() -> None:
    calls = calls_of([(0, 1)])
    assert draw(calls, [], [], Wording(calls)) is None


def test_who_served_and_the_systems_own_times_are_told_beside_an_operation() -> None:
    told = {"served": "n2", "timestamps": {"start": 17, "commit": 21}}
    asked = Operation(0, 0, 0, "invoke", "write", 1)
    calls = pair_calls(History([asked, Operation(1, 9, 0, "ok", "write", 1, **told)], Header()))
    assert Wording(calls).beside(0) == "served by n2, start 17, commit 21"
