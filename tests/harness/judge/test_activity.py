"""What the clients did by columns is what it is by the operations, one after the other."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.history import reader
from harness.history.columns import columns
from harness.history.formats.jsonl import append_operation, encode_header
from harness.history.history import History
from harness.history.operation import INVOKE, OK, Header, Operation, is_transaction
from harness.judge.activity import Activity, activity_of

FS = ("read", "write", "txn", "drain")
NODES = ("n1", "n2", None)
LATEST = 40
STEP = st.one_of(
    st.tuples(st.just("append"), st.integers(0, 2), st.integers(0, 3)),
    st.tuples(st.just("r"), st.integers(0, 2), st.one_of(st.none(), st.lists(st.integers(0, 3)))),
    st.tuples(st.just("w"), st.integers(0, 2), st.none()),
    st.tuples(st.just("r"), st.integers(0, 2)),
    st.tuples(st.just("r"), st.integers(0, 2), st.sampled_from([{}, "", 0, False])),
).map(list)
VALUE = st.one_of(
    st.none(),
    st.integers(0, 3),
    st.sampled_from([[], {}, [1, None], [1, []], [1, 5], {"a": 1}]),
    st.lists(STEP, max_size=3),
)


@st.composite
def histories(draw: st.DrawFn) -> History:
    """Histories that keep the rules, of clients that may never be answered, and a nemesis."""
    records: list[Operation] = []
    open_now: dict[int, Operation] = {}
    time = 0
    for _ in range(draw(st.integers(0, 14))):
        time += draw(st.integers(0, 4))
        process = draw(st.integers(0, 2))
        if draw(st.integers(0, 9)) == 0:
            records.append(Operation(len(records), time, "nemesis", "info", "start-kill", None))
        elif process in open_now and open_now[process].type == INVOKE:
            asked = open_now.pop(process)
            kind = draw(st.sampled_from([OK, OK, "fail", "info"]))
            value = draw(VALUE)
            records.append(
                Operation(len(records), time, process, kind, asked.f, value, node=asked.node)
            )
        else:
            f, value, node = draw(st.sampled_from(FS)), draw(VALUE), draw(st.sampled_from(NODES))
            asked = Operation(len(records), time, process, INVOKE, f, value, node=node)
            open_now[process] = asked
            records.append(asked)
    return History(records, Header(independent=draw(st.booleans())))


class ByObjects:
    """What :class:`Activity` answers, by loops over all operations: slow, and obvious."""

    def __init__(self, history: History) -> None:
        self.history = history
        self.clients = [each for each in history if each.is_client]

    def times(self, *types: str) -> list[int]:
        return sorted(each.time for each in self.clients if each.type in types)

    def ok_counts(self) -> dict[str, int]:
        ok: dict[str, int] = {}
        for each in self.clients:
            if each.type == INVOKE:
                ok.setdefault(each.f, 0)
            elif each.type == OK:
                ok[each.f] = ok.get(each.f, 0) + 1
        return ok

    def first_invoked_since(self, time_ns: int) -> set[str]:
        asked = [each for each in self.clients if each.type == INVOKE]
        before = {each.f for each in asked if each.time < time_ns}
        return {each.f for each in asked if each.time >= time_ns} - before

    def calls(self) -> Iterator[tuple[Operation, bool]]:
        open_now: dict[Any, Operation] = {}
        for each in self.clients:
            if each.type == INVOKE:
                open_now[each.process] = each
            elif each.process in open_now:
                yield open_now.pop(each.process), each.type == OK
        for invocation in open_now.values():
            yield invocation, False

    def is_under_way_in(self, start_ns: int, end_ns: int) -> bool:
        begun = [time for time in self.times(INVOKE) if time <= end_ns]
        over = [time for time in self.times(OK, "fail", "info") if time < start_ns]
        return len(begun) > len(over)

    def reads_that_saw_nothing(self) -> int | None:
        reads = 0
        for each in self.clients:
            if each.type == OK:
                for seen in self._seen(each):
                    if seen not in (None, [], {}):
                        return None
                    reads += 1
        return reads

    def _seen(self, operation: Operation) -> Iterator[Any]:
        value = operation.value
        if self.history.header.independent and isinstance(value, list) and len(value) == 2:
            value = value[1]
        if operation.f in ("read", "get", "dequeue", "drain"):
            yield value
        elif is_transaction(value):
            yield from (s[-1] for s in value if s[0] in ("r", "read", "rp", "poll"))


def assert_alike(activity: Activity, oracle: ByObjects) -> None:
    assert activity.ok_counts() == oracle.ok_counts()
    assert list(activity.ok_counts()) == sorted(oracle.ok_counts())
    assert activity.ok.tolist() == oracle.times(OK)
    assert activity.invoked.tolist() == oracle.times(INVOKE)
    assert activity.reads_that_saw_nothing() == oracle.reads_that_saw_nothing()
    answered = {each.node for each, is_ok in oracle.calls() if is_ok} - {None}
    assert activity.nodes_that_answered(["n1", "n2", "n3"]) == answered
    for time_ns in range(-1, LATEST, 7):
        assert activity.first_invoked_since(time_ns) == oracle.first_invoked_since(time_ns)
        late = [(each, is_ok) for each, is_ok in oracle.calls() if each.time >= time_ns]
        found = list(activity.calls_since(time_ns))
        ended = [call for call in late if call not in _never_ended(oracle)]
        assert found[: len(ended)] == ended
        assert sorted(map(_index, found)) == sorted(map(_index, late))
        for length in (0, 3, 2**63):
            span = (time_ns, time_ns + length)
            assert activity.is_under_way_in(*span) == oracle.is_under_way_in(*span)


def _index(call: tuple[Operation, bool]) -> tuple[int, bool]:
    return call[0].index, call[1]


def _never_ended(oracle: ByObjects) -> list[tuple[Operation, bool]]:
    pairs = oracle.history.pairs
    return [(each, False) for each in oracle.clients if pairs[each.index] < 0]


@given(histories())
def test_objects_and_columns_tell_the_same(history: History) -> None:
    oracle = ByObjects(history)
    assert_alike(activity_of(history), oracle)
    assert_alike(activity_of(replace(history, prepared=columns(history))), oracle)


@pytest.mark.slow
def test_a_scanned_file_tells_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = bytearray(encode_header(Header(model="list-append")))
    for number in range(3000):
        value: list[Any] = [["r", number % 7, None], ["append", number % 7, number]]
        node = f"n{number % 3 + 1}"
        asked = Operation(2 * number, number, number % 5, INVOKE, "txn", value, node=node)
        append_operation(asked, lines)
        value = [["r", number % 7, [] if number % 2 else None], value[1]]
        kind = OK if number % 5 else "info"
        end = Operation(2 * number + 1, number, number % 5, kind, "txn", value, node=node)
        append_operation(end, lines)
    path = tmp_path / "history.jsonl"
    path.write_bytes(lines)
    objects = reader.read_history(path)
    monkeypatch.setattr(reader, "SMALLEST_SCANNED", 1)
    scanned = reader.read_history(path)
    assert objects.prepared is None
    assert scanned.prepared is not None
    assert activity_of(scanned).reads_that_saw_nothing() == 2400
    assert_alike(activity_of(scanned), ByObjects(objects))


def test_times_beyond_all_clocks_are_very_late() -> None:
    history = History([Operation(0, 2**70, 0, INVOKE, "read", None)])
    assert activity_of(history).invoked.tolist() == [2**63 - 1]
