"""Which record comes first, where files leave it open: shuffled lines, joined logs, completions."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import HistoryError
from harness.history.history import History
from harness.history.intakes import is_timed
from harness.history.operation import INVOKE, OK
from harness.history.reader import parse_history, read_history

Spans = list[tuple[int, int]]


def lines(*operations: dict[str, Any]) -> bytes:
    return b"".join(json.dumps(operation).encode() + b"\n" for operation in operations)


def record(process: int, type: str, time: int, **more: Any) -> dict[str, Any]:
    return {"process": process, "type": type, "f": "write", "value": 1, "time": time, **more}


def joined(clients: Iterable[Spans]) -> bytes:
    """The logs of several clients, one behind the other; each value names one operation."""
    return lines(
        *(
            record(process, kind, time, value=[process, number])
            for process, spans in enumerate(clients)
            for number, span in enumerate(spans)
            for kind, time in zip((INVOKE, OK), span, strict=True)
        )
    )


def precedence(history: History) -> set[tuple[tuple[int, int], tuple[int, int]]]:
    """Which operation, by its value, completes before which other is invoked."""
    done: list[tuple[int, int]] = []
    found = set()
    for operation in history:
        name = tuple(operation.value)
        if operation.type == INVOKE:
            found.update((before, name) for before in done)
        else:
            done.append(name)
    return found


def test_lines_in_another_order_than_their_indices_are_put_in_order() -> None:
    first, then = record(0, INVOKE, 1, index=0), record(0, OK, 2, index=1)
    history = parse_history(lines(then, first), "file")
    assert [operation.index for operation in history] == [0, 1]
    assert "not in the order of the indices" in history.notices[0]


def test_an_index_that_is_there_twice_is_refused() -> None:
    with pytest.raises(HistoryError, match="expected an index above 0"):
        parse_history(lines(record(0, INVOKE, 1, index=0), record(0, OK, 2, index=0)), "file")


def test_times_that_change_what_precedes_what_are_refused_without_indices() -> None:
    text = joined([[(0, 10), (20, 30)], [(12, 15), (40, 45)]])
    with pytest.raises(HistoryError, match="times run backwards") as caught:
        parse_history(text, "file")
    assert "--sort-by-time" in str(caught.value.hint)


def test_times_that_change_nothing_are_taken() -> None:
    operations = [
        record(0, INVOKE, 11),
        record(1, INVOKE, 10),
        record(1, OK, 21),
        record(0, OK, 20),
    ]
    assert len(parse_history(lines(*operations), "file")) == 4


def test_indices_count_and_times_do_not() -> None:
    operations = [record(0, INVOKE, 5, index=0), record(0, OK, 9, index=1)]
    operations += [record(1, INVOKE, 1, index=2), record(1, OK, 2, index=3)]
    assert [op.process for op in parse_history(lines(*operations), "file")] == [0, 0, 1, 1]


def test_ties_are_concurrent_and_an_error_widens() -> None:
    text = joined([[(0, 10)], [(10, 20)], [(31, 40)]])
    sharp = parse_history(text, "file", sort_by_time=0)
    assert precedence(sharp) == {((0, 0), (2, 0)), ((1, 0), (2, 0))}
    assert precedence(parse_history(text, "file", sort_by_time=6)) == {((0, 0), (2, 0))}
    assert sharp.stricter is None


def test_without_times_there_is_nothing_to_sort_by() -> None:
    with pytest.raises(HistoryError, match="has no times"):
        parse_history(lines({"process": 0, "type": INVOKE, "f": "read"}), "x", sort_by_time=5)


@given(st.data())
def test_what_sorting_says_is_true_of_every_clock(data: st.DataObject) -> None:
    """Each client's clock is off by up to the error; what is said to precede did so in truth."""
    error = data.draw(st.integers(0, 20))
    truth: list[Spans] = []
    for _ in range(data.draw(st.integers(1, 4))):
        cuts = sorted(data.draw(st.lists(st.integers(0, 100), min_size=2, max_size=8, unique=True)))
        truth.append(list(zip(cuts[::2], cuts[1::2], strict=False)))
    offsets = [data.draw(st.integers(-error, error)) for _ in truth]
    told = [
        [(begin + offset + 100, end + offset + 100) for begin, end in spans]
        for spans, offset in zip(truth, offsets, strict=True)
    ]
    history = parse_history(joined(told), "file", sort_by_time=error)
    real = {
        ((p, n), (q, m))
        for p, mine in enumerate(truth)
        for n, first in enumerate(mine)
        for q, others in enumerate(truth)
        for m, then in enumerate(others)
        if first[1] < then[0]
    }
    own = {pair for pair in real if pair[0][0] == pair[1][0]}
    said = precedence(history)
    assert said <= real
    stricter = history.stricter
    assert (precedence(stricter) >= said | own) if stricter is not None else own <= said


def test_completions_alone_are_transactions_without_times() -> None:
    text = b"[{:type :ok, :value [[:append :k 1] [:r :m [1]]]}\n {:type :ok, :value [[:r :k nil]]}]"
    history = parse_history(text, "file")
    assert not is_timed(history.header)
    assert [operation.type for operation in history] == [INVOKE, OK] * 2
    assert [operation.process for operation in history] == [0, 0, 1, 1]
    assert history.operations[0].value[1][2] is None
    with pytest.raises(HistoryError, match="only transactions can be judged so"):
        parse_history(b'{"type":"ok","f":"read","value":1,"process":0}\n', "file")


def test_a_key_beside_the_value_is_the_key() -> None:
    history = parse_history(lines(record(0, INVOKE, 1, key="a"), record(0, OK, 2, key="a")), "file")
    assert history.header.independent
    assert [operation.value for operation in history] == [["a", 1], ["a", 1]]
    with pytest.raises(HistoryError, match="has no field key"):
        parse_history(lines(record(0, INVOKE, 1, key="a"), record(0, OK, 2)), "file")


def test_what_was_guessed_stays_a_guess_in_every_format(tmp_path: Path) -> None:
    from harness.history.formats.known import FORMATS, export

    text = b'{"type":"invoke","f":"read","value":null}\n{"type":"ok","f":"read","value":1}\n'
    history = parse_history(text, "file")
    assert history.is_paired_by_guess
    for format in FORMATS:
        path = tmp_path / f"history.{format}"
        with path.open("wb") as out:
            export(history, out, format)
        assert read_history(path).is_paired_by_guess
