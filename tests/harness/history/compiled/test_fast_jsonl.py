"""The scanner gives the columns that the ordinary reader gives, or leaves the file to it."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest

from checkers.run.unhandled_exceptions import UnhandledExceptions
from harness.history.columns import Columns, columns, outcomes
from harness.history.compiled import fast_scan
from harness.history.compiled.fast_columns import LazyOperations
from harness.history.compiled.fast_jsonl import read_fast
from harness.history.history import History
from harness.history.reader import parse_history, read_history
from harness.verdict.record import Record
from harness.verdict.verdict import Budget

pytest.importorskip("numba")


def transactions(seed: int, count: int, keys: list[Any], values: list[Any]) -> list[dict[str, Any]]:
    """Records of well-formed transactions over ``keys`` and ``values``, with a nemesis."""
    rng = Random(seed)
    records: list[dict[str, Any]] = []

    def record(process: int | str, kind: str, value: Any, **more: Any) -> None:
        fields = {"index": len(records), "time": 10 * len(records), "process": process}
        f = "txn" if process != "nemesis" else "start"
        records.append({**fields, "type": kind, "f": f, "value": value, **more})

    for process in range(count):
        micro = []
        for _ in range(rng.randint(1, 4)):
            key = rng.choice(keys)
            if rng.random() < 0.5:
                micro.append(["append", key, rng.choice(values)])
            else:
                micro.append(["r", key, [rng.choice(values) for _ in range(rng.randint(0, 5))]])
        asked = [[f, key, None if f == "r" else value] for f, key, value in micro]
        record(process, "invoke", asked)
        kind = rng.choice(("ok", "ok", "info", "fail", None))
        if kind == "ok":
            record(process, "ok", micro, node="n1")
        elif kind is not None:
            record(process, kind, asked, error=["lost", {"why": "a ] and a } in \\"}])
        if rng.random() < 0.1:
            record("nemesis", "info", rng.choice((None, {"cut": [1, 2]}, [["r", 1, 2]], "x")))
    return records


def written(tmp_path: Path, records: list[Any], separators: tuple[str, str] = (",", ":")) -> Path:
    path = tmp_path / "history.jsonl"
    lines = [json.dumps(record, separators=separators, ensure_ascii=False) for record in records]
    path.write_text("\n".join(lines) + "\n", "utf-8")
    return path


def ordinary(path: Path) -> History:
    return parse_history(path.read_bytes(), str(path))


def transactions_of(view: Columns) -> list[tuple[int, Any]]:
    return [
        (place, view.value_at(place))
        for place in range(len(view))
        if view.process[place] >= 0 and view.value_kind[place]
    ]


def assert_alike(path: Path) -> None:
    fast = read_fast(path)
    assert fast is not None
    slow = ordinary(path)
    view, plain = columns(fast), columns(slow)
    for name in ("index", "time", "type", "process", "pair"):
        assert np.array_equal(getattr(view, name), getattr(plain, name)), name
    assert [view.f_names[f] for f in view.f] == [plain.f_names[f] for f in plain.f]
    assert transactions_of(view) == transactions_of(plain)
    assert np.array_equal(view.micro.txn, plain.micro.txn)
    assert list(fast.operations) == list(slow.operations)
    assert fast.operations[3] == slow.operations[3]
    assert list(fast.operations[2:9]) == list(slow.operations[2:9])
    assert fast.header == slow.header
    assert outcomes(view) == outcomes(plain)


NAMES = ["x", "y", "a longer name", "zwölf"]


@pytest.mark.parametrize(
    ("keys", "values"),
    [
        ([0, 1, 2], list(range(50))),
        (NAMES, list(range(50))),
        ([0, 7], ["a", "b", "ç", "{]"]),
        ([1, "1", -1], [1, "1", -5, 1 << 40]),
        ([5, 1_000_000_000], list(range(9))),
    ],
)
@pytest.mark.parametrize("separators", [(",", ":"), (", ", ": ")])
def test_columns_are_those_of_the_ordinary_reader(
    tmp_path: Path, keys: list[Any], values: list[Any], separators: tuple[str, str]
) -> None:
    assert_alike(written(tmp_path, transactions(3, 300, keys, values), separators))


def test_a_header_is_read(tmp_path: Path) -> None:
    header = {"polygraph": 1, "seed": 5, "workload": "list-append"}
    assert_alike(written(tmp_path, [header, *transactions(3, 50, [1], [1])]))


@pytest.mark.slow
def test_thousands_of_names_find_room(tmp_path: Path) -> None:
    names = [f"name {n}" for n in range(5000)]
    assert_alike(written(tmp_path, transactions(4, 4000, names, names)))


def test_lines_that_lie_across_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fast_scan, "BLOCK", 700)
    monkeypatch.setattr(fast_scan, "LONGEST_LINE", 2000)
    assert_alike(written(tmp_path, transactions(5, 200, [1, 2], list(range(30)))))


@pytest.mark.parametrize(("most", "kind"), [(32766, "i2"), (32767, "i4"), (70_000, "i4")])
def test_values_take_two_bytes_where_all_fit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, most: int, kind: str
) -> None:
    monkeypatch.setattr(fast_scan, "BLOCK", 700)
    records = transactions(11, 200, [1, 2], list(range(30)))
    told = [each for each in records if each["type"] == "ok"]
    told[-1]["value"] = [["r", 1, [5, most]]]
    path = written(tmp_path, records)
    assert_alike(path)
    fast = read_fast(path)
    assert fast is not None
    assert columns(fast).micro.elements.dtype == np.dtype(kind)
    assert columns(fast).micro.value.dtype == np.dtype(kind)


def test_names_are_numbered_by_their_first_places(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fast_scan, "BLOCK", 700)
    names = [f"name {n}" for n in range(300)]
    records = transactions(12, 400, names, names)
    told = [each["value"] for each in records if each["process"] != "nemesis"]
    met = list(dict.fromkeys(key for value in told for _, key, _ in value))
    for _ in range(5):  # whichever thread takes which block
        fast = read_fast(written(tmp_path, records))
        assert fast is not None
        keys = [key for key in columns(fast).micro.keys if key != "r"]
        assert [key for key in keys if key in met] == met


def test_a_line_longer_than_a_block_is_left_to_the_ordinary_reader(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fast_scan, "BLOCK", 300)
    monkeypatch.setattr(fast_scan, "LONGEST_LINE", 600)
    records = transactions(13, 100, [1, 2], list(range(30)))
    assert read_fast(written(tmp_path, records)) is not None
    records[90]["error"] = "x" * 2000
    assert read_fast(written(tmp_path, records)) is None


def odd(change: str) -> list[Any]:
    records: list[Any] = transactions(6, 40, [1, 2], list(range(20)))
    records = [record for record in records if record["process"] != "nemesis"]
    last = records[-1]
    changes: dict[str, Any] = {
        "a float": {"value": [["append", 1, 1.5]]},
        "an escape": {"value": [["append", 'a"b', 1]]},
        "a list in a list": {"value": [["r", 1, [[1]]]]},
        "another micro-operation": {"value": [["cas", 1, [1, 2]]]},
        "no transaction": {"value": {"x": 1}},
        "a short micro-operation": {"value": [["r", 1]]},
        "a boolean": {"value": [["append", 1, True]]},
        "an empty transaction": {"value": []},
        "a negative process": {"process": -3},
        "another thread": {"process": "helper"},
        "an index that falls": {"index": 0},
    }
    last.update(changes.get(change, {}))
    if change == "a missing key":
        del last["time"]
    if change == "two at once":
        invoked = next(record for record in records if record["type"] == "invoke")
        records.append({**invoked, "index": last["index"] + 1, "process": last["process"]})
        records.append({**invoked, "index": last["index"] + 2, "process": last["process"]})
    return records


@pytest.mark.parametrize(
    "change",
    [
        "a float",
        "an escape",
        "a list in a list",
        "another micro-operation",
        "no transaction",
        "a short micro-operation",
        "a boolean",
        "an empty transaction",
        "a negative process",
        "another thread",
        "an index that falls",
        "a missing key",
        "two at once",
    ],
)
def test_the_unusual_is_left_to_the_ordinary_reader(tmp_path: Path, change: str) -> None:
    assert read_fast(written(tmp_path, odd(change))) is None


@pytest.mark.parametrize("tail", ["]\n", '{"index":900,,}\n', "x\n", '{"index":01,"time":0}\n'])
def test_what_is_not_json_is_left_to_the_ordinary_reader(tmp_path: Path, tail: str) -> None:
    path = written(tmp_path, transactions(6, 40, [1, 2], list(range(20))))
    path.write_text(path.read_text("utf-8") + tail, "utf-8")
    assert read_fast(path) is None


@pytest.mark.parametrize("cut", [1, 2, 30])
def test_a_last_line_without_end_is_told_as_by_the_ordinary_reader(
    tmp_path: Path, cut: int
) -> None:
    path = written(tmp_path, transactions(6, 40, [1, 2], list(range(20))))
    path.write_bytes(path.read_bytes()[:-cut])
    fast, plain = read_fast(path), ordinary(path)
    assert fast is not None
    assert (list(fast), fast.notices) == (list(plain), plain.notices)
    assert fast.partial == plain.partial == (cut > 1)
    assert len(fast.notices) == 1


def test_small_files_are_not_worth_it(tmp_path: Path) -> None:
    path = written(tmp_path, transactions(6, 40, [1, 2], list(range(20))))
    assert read_history(path).prepared is None


def test_operations_are_picked_out_as_they_are(tmp_path: Path) -> None:
    records = transactions(9, 60, ["x", "y"], list(range(20)))
    records[-1]["exception"] = {"via": [{"type": "IOException"}]}
    fast = read_fast(path := written(tmp_path, records))
    assert fast is not None
    assert isinstance(fast.operations, LazyOperations)
    plain = ordinary(path).operations
    places = [n for n in range(len(plain)) if plain[n].type != "invoke"]
    assert list(fast.operations.pick(places)) == [plain[n] for n in places]


def test_errors_are_grouped_alike_from_columns(tmp_path: Path) -> None:
    path = written(tmp_path, transactions(10, 80, ["x", "y"], list(range(20))))
    fast = read_fast(path)
    assert fast is not None
    fast_verdict, plain = (
        UnhandledExceptions({}).check(Record(history=history), Budget.start(60))
        for history in (fast, ordinary(path))
    )
    assert fast_verdict == plain
    assert plain.stats["count"] > 0


def test_long_records_are_decoded_few_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fast = read_fast(path := written(tmp_path, transactions(11, 60, [1, 2], list(range(20)))))
    assert fast is not None
    operations = fast.operations
    assert isinstance(operations, LazyOperations)
    monkeypatch.setattr(LazyOperations, "_BYTES", 500)
    spans: list[tuple[int, int]] = []
    decoded = LazyOperations._decoded

    def noted(self: LazyOperations, first: int, last: int) -> Any:
        spans.append((first, last))
        return decoded(self, first, last)

    monkeypatch.setattr(LazyOperations, "_decoded", noted)
    assert list(operations) == list(ordinary(path).operations)
    sizes = [operations._span(*span) for span in spans]
    assert len(spans) > 10
    assert all(
        end - start <= 1000 or last == first + 1
        for (start, end), (first, last) in zip(sizes, spans, strict=True)
    )
