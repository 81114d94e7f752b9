"""The scanner gives the columns that the ordinary reader of EDN gives, or leaves the file to it."""

from __future__ import annotations

import gc
import gzip
import io
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.errors import HistoryError
from harness.history import reader
from harness.history.columns import Columns, columns, outcomes
from harness.history.compiled import fast_scan
from harness.history.compiled.fast_columns import LazyOperations
from harness.history.compiled.fast_edn import read_fast
from harness.history.history import History
from harness.history.reader import parse_history, read_history
from harness.history.values import Tagged

pytest.importorskip("numba")

FIELDS = ("index", "time", "process", "type", "f", "value")
ERRORS = (
    "nil",
    ":timeout",
    '"lost"',
    '"zwölf"',
    '[:conn-refused "a ] and a } in \\" it"]',
    '{:via [{:type clojure.lang.ExceptionInfo, :at [x.y "f.clj" 12]}] :n 1.5}',
    '#object[java.net.X 0x1 "x"]',
    "#{1 \\a \\] #_gone}",
    '#inst "2020-01-01"',
)


def ordinary(path: Path) -> History:
    return parse_history(path.read_bytes(), str(path), "edn")


def transactions_of(view: Columns) -> list[tuple[int, Any]]:
    return [
        (place, view.value_at(place))
        for place in range(len(view))
        if view.process[place] >= 0 and view.value_kind[place]
    ]


def assert_alike(fast: History, slow: History) -> None:
    view, plain = columns(fast), columns(slow)
    for name in ("index", "time", "type", "process", "pair"):
        assert np.array_equal(getattr(view, name), getattr(plain, name)), name
    assert [view.f_names[f] for f in view.f] == [plain.f_names[f] for f in plain.f]
    assert transactions_of(view) == transactions_of(plain)
    assert np.array_equal(view.micro.txn, plain.micro.txn)
    assert list(fast.operations) == list(slow.operations)
    assert fast.header == slow.header
    assert fast.notices == slow.notices
    assert outcomes(view) == outcomes(plain)


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "history.edn"
    path.write_text(text, "utf-8")
    return path


def micro(draw: st.DrawFn, atoms: st.SearchStrategy[str]) -> tuple[str, str]:
    """A micro-operation as asked and as answered."""
    key, blank = draw(atoms), draw(st.sampled_from((" ", ", ", ",")))
    if draw(st.booleans()):
        same = f"[{draw(st.sampled_from((':append', ':w')))}{blank}{key}{blank}{draw(atoms)}]"
        return same, same
    items = blank.join(draw(st.lists(atoms, max_size=5)))
    answer = draw(st.sampled_from((f"[{items}]", f"[ {items} ]", draw(atoms))))
    return f"[:r{blank}{key}{blank}nil]", f"[:r{blank}{key}{blank}{answer}]"


def line(draw: st.DrawFn, fields: dict[str, str]) -> str:
    """One operation, its keys in any order."""
    order = draw(st.permutations(sorted(fields)))
    comma = draw(st.sampled_from((", ", " ", ",")))
    tag = draw(st.sampled_from(("", "", "#jepsen.history.Op", "#jepsen.history.Op ")))
    body = comma.join(f":{key} {fields[key]}" for key in order)
    return f"{tag}{{{body}}}"


@st.composite
def histories(draw: st.DrawFn) -> str:
    """A whole file, well formed."""
    atoms = st.sampled_from(
        draw(
            st.sampled_from(
                (
                    ["0", "1", "7"],
                    ["1", "-1", '"1"', ":x", '"x"', '"é ]"', "999999999999"],
                    ["3", "2000000000", "2147483646", "2147483647"],
                )
            )
        )
    )
    leaves_out = draw(st.sampled_from(((), (), ("index",), ("time",), ("index", "time"))))
    lines: list[str] = []

    def record(process: str, kind: str, value: str, **more: str) -> None:
        f = ":txn" if process != ":nemesis" else draw(st.sampled_from((":start", '"stop"')))
        stated = {"index": str(len(lines)), "time": str(9 * len(lines)), "process": process}
        fields = {**stated, "type": f":{kind}", "f": f, "value": value, **more}
        lines.append(line(draw, {k: v for k, v in fields.items() if k not in leaves_out}))

    for process in range(draw(st.integers(1, 6))):
        pairs = [micro(draw, atoms) for _ in range(draw(st.integers(1, 3)))]
        asked, answered = (" ".join(half) for half in zip(*pairs, strict=True))
        record(str(process), "invoke", f"[{asked}]")
        kind = draw(st.sampled_from(("ok", "info", "fail", "")))
        if kind == "ok":
            record(str(process), kind, f"[{answered}]")
        elif kind:
            errors = {"error": draw(st.sampled_from(ERRORS)), "node": '"n1"'}
            record(str(process), kind, draw(st.sampled_from((f"[{asked}]", "nil"))), **errors)
        if draw(st.booleans()):
            record(":nemesis", "info", draw(st.sampled_from((*ERRORS, ":all", "[[:r 1 2]]"))))
    ends = draw(st.sampled_from(("\n", "\n", "\r\n", " ", "\n\n,")))
    text = ends.join(lines) + draw(st.sampled_from((ends, "")))
    opening, closing = draw(st.sampled_from((("", ""), ("", ""), ("[", "]"), ("(", ")\n"))))
    header = draw(st.sampled_from(("", "; notes\n", ';; polygraph {"polygraph":1,"seed":5}\n')))
    return f"{header}{opening}{text}{closing}"


FREE = settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True
)


@pytest.mark.slow
@FREE
@given(histories())
def test_columns_are_those_of_the_ordinary_reader(text: str) -> None:
    with tempfile.TemporaryDirectory() as directory:
        path = written(Path(directory), text)
        fast = read_fast(path)
        assert fast is not None
        assert_alike(fast, ordinary(path))


@pytest.mark.slow
@FREE
@given(histories(), st.data())
def test_a_damaged_file_is_read_as_by_the_ordinary_reader_or_left_to_it(
    text: str, data: st.DataObject
) -> None:
    place = data.draw(st.integers(0, len(text) - 1))
    width = data.draw(st.integers(0, 3))
    put_in = data.draw(st.text('[]{}():;,#_"\\ \n019-nilkrwx\u00a0', max_size=3))
    with tempfile.TemporaryDirectory() as directory:
        path = written(Path(directory), text[:place] + put_in + text[place + width :])
        fast = read_fast(path)
        if fast is None:
            return
        try:
            slow = ordinary(path)
        except HistoryError as error:
            raise AssertionError(f"the ordinary reader refuses it: {error}") from error
        assert_alike(fast, slow)


ORDINARY = """\
{:index 0, :time 0, :process 0, :type :invoke, :f :txn, :value [[:append 5 1] [:r 5 nil]]}
{:index 1, :time 1, :process 0, :type :ok, :f :txn, :value [[:append 5 1] [:r 5 [1]]]}
"""


def test_the_ordinary_is_scanned(tmp_path: Path) -> None:
    fast = read_fast(written(tmp_path, ORDINARY))
    assert fast is not None
    assert columns(fast).value_at(1) == [["append", 5, 1], ["r", 5, [1]]]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (":index 1", ":index 0"),
        (":index 1, ", ""),
        (":process 0, :type :ok", ":process 1, :type :ok"),
        (":type :ok", ":type :okay"),
        (":f :txn, :value [[:append 5 1] [:r 5 [1]]]", ":f :other, :value [[:r 5 [1]]]"),
        ("[:r 5 [1]]", "[:r 5 [1.5]]"),
        ("[:r 5 [1]]", "[:r 5 [1N]]"),
        ("[:r 5 [1]]", "[:r 5 [01]]"),
        ("[:r 5 [1]]", '[:r 5 ["a\\nb"]]'),
        ("[:r 5 [1]]", "[:r 5 #{1}]"),
        ("[:r 5 [1]]", "(:r 5 [1])"),
        ("[:r 5 [1]]", "[:cas 5 [1 2]]"),
        ("[:r 5 [1]]", "[:r [5] [1]]"),
        ("[:r 5 [1]]", "[:r 5]"),
        ("[:r 5 [1]]", "[:r 5 true]"),
        ("[:append 5 1] [:r 5 [1]]", ""),
        ("5 1", "5 ; 1"),
        (":value [[:append 5 1] [:r 5 [1]]]", ":value {:x 1}"),
        (":time 1", ":time 1 :time 1"),
        (":time 1", ":time 1 :x 1 :x 2"),
        (":time 1", ":time nil"),
        (":time 1", ":time 1 :e {:a}"),
        (":time 1", ":time 1 :e #_ 5"),
        (":time 1", ":time 1\n"),
        ("{:index 1", "#_{:index 1"),
        (":f :txn", ":f :polygraph-header"),
    ],
)
def test_the_unusual_is_left_to_the_ordinary_reader(tmp_path: Path, old: str, new: str) -> None:
    assert old in ORDINARY
    changed = new.join(ORDINARY.rsplit(old, 1))
    assert read_fast(written(tmp_path, changed)) is None


def long_history(names: list[str], count: int) -> str:
    lines = []
    for n in range(count):
        value = f"[[:append {names[n % len(names)]} {names[-n % len(names)]}]]"
        for half, kind in enumerate(("invoke", "ok")):
            fields = f":index {2 * n + half}, :time {n}, :process {n % 7}, :type :{kind}"
            lines.append(f"{{{fields}, :f :txn, :value {value}}}\n")
    return "".join(lines)


@pytest.mark.slow
def test_thousands_of_names_find_room(tmp_path: Path) -> None:
    path = written(tmp_path, long_history([f'"name {n}"' for n in range(5000)], 5000))
    fast = read_fast(path)
    assert fast is not None
    assert_alike(fast, ordinary(path))


def test_keywords_and_strings_are_two(tmp_path: Path) -> None:
    path = written(tmp_path, long_history([":x", '"x"', ":y", '"x y"'], 60))
    fast = read_fast(path)
    assert fast is not None
    assert sorted(columns(fast).values) == [Tagged(":x"), Tagged(":y"), "x", "x y"]


def test_lines_that_lie_across_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fast_scan, "BLOCK", 700)
    monkeypatch.setattr(fast_scan, "LONGEST_LINE", 2000)
    path = written(tmp_path, "[" + long_history(["1", "2"], 300) + "]")
    fast = read_fast(path)
    assert fast is not None
    assert_alike(fast, ordinary(path))


def test_a_large_file_is_scanned_and_a_small_one_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(tmp_path, ORDINARY)
    assert read_history(path).prepared is None
    monkeypatch.setattr(reader, "SMALLEST_SCANNED", 1)
    assert read_history(path).prepared is not None
    assert read_history(path, "edn").prepared is not None


@pytest.mark.parametrize("wrap", [gzip.compress, zstandard.compress], ids=["gzip", "zstd"])
def test_a_compressed_file_is_scanned_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wrap: Callable[[bytes], bytes]
) -> None:
    plain = read_history(written(tmp_path, ORDINARY))
    path = tmp_path / "compressed"
    path.write_bytes(wrap(ORDINARY.encode()))
    monkeypatch.setattr(reader, "SMALLEST_SCANNED", 1)
    gc.collect()  # what other tests left open is not ours to count
    held = len(os.listdir("/proc/self/fd"))
    history = read_history(path)
    assert history.prepared is not None
    assert list(history.operations) == list(plain.operations)
    assert len(os.listdir("/proc/self/fd")) == held + 1
    del history
    gc.collect()
    assert len(os.listdir("/proc/self/fd")) == held


def test_standard_input_is_scanned_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = read_history(written(tmp_path, ORDINARY))
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(ORDINARY.encode())))
    monkeypatch.setattr(reader, "SMALLEST_SCANNED", 1)
    history = read_history(Path("-"))
    assert history.prepared is not None
    assert list(history.operations) == list(plain.operations)


def test_what_is_unusual_in_a_compressed_file_is_left_to_the_ordinary_reader(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "compressed"
    path.write_bytes(gzip.compress(ORDINARY.encode() + b"{:type :no}\n"))
    monkeypatch.setattr(reader, "SMALLEST_SCANNED", 1)
    gc.collect()  # what other tests left open is not ours to count
    held = len(os.listdir("/proc/self/fd"))
    with pytest.raises(HistoryError, match="compressed: "):
        read_history(path)
    assert len(os.listdir("/proc/self/fd")) == held


@pytest.mark.parametrize("numbered", [True, False])
def test_operations_are_picked_out_as_they_are(tmp_path: Path, numbered: bool) -> None:
    places = ":index {0}, :time {0}, " if numbered else ""
    lines = [
        "{{{}:process {}, :type :{}, :f :txn, :value [[:append 1 {}]]}}".format(
            places.format(2 * n + (kind != "invoke")), n % 3, kind, n
        )
        for n in range(20)
        for kind in ("invoke", "ok" if n % 4 else "info")
    ]
    path = written(tmp_path, "\n".join(lines) + "\n")
    fast = read_fast(path)
    assert fast is not None
    assert isinstance(fast.operations, LazyOperations)
    wanted = [n for n, operation in enumerate(fast.operations) if operation.type != "invoke"]
    plain = ordinary(path).operations
    assert list(fast.operations.pick(wanted)) == [plain[n] for n in wanted]
