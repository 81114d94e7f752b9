"""A run that was sealed says what its plain history said: read, judged, exported and reported.

For every workload at a megabyte, and at a hundred for one of transactions and one of registers;
every form that columns take (of names, of numbers, as ranges); with the compiled scanners, with
numba away, and from both compressions.
"""

from __future__ import annotations

import importlib.util
import io
import json
from collections.abc import Callable, Iterator
from functools import cache
from itertools import count
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
from msgspec import structs

from benchmarks.list_histories import Plan, write_history
from harness.cli.main import run
from harness.history import reader
from harness.history.columns import Columns, columns
from harness.history.compiled import fast_scan
from harness.history.formats import jsonl
from harness.history.history import History
from harness.history.operation import INVOKE, OK, Header, Operation
from harness.history.reader import parse_history, read_history
from harness.history.seal import PLAIN, seal
from harness.plugins import Registry
from tests.harness.history.shapes import SHAPES
from tests.harness.history.shapes import history as of_shape
from tests.toys.object_store import ObjectStore
from tests.toys.running_workloads import made, ran

MEGABYTE = 1 << 20
WORKLOADS = tuple(sorted(Registry().names("workloads")))
SCENARIO = 'system = "etcd"\nworkload = "{}"\nseed = 1\n'


@pytest.fixture(params=["compiled", "without numba"])
def how(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Which readers are used, and by what the history is compressed."""
    monkeypatch.setattr(reader, "SMALLEST_SCANNED", 1)
    monkeypatch.setattr(fast_scan, "THREADS", 1)
    if request.param == "without numba":
        leave_out(monkeypatch, "numba")
    return str(request.param)


def leave_out(monkeypatch: pytest.MonkeyPatch, package: str) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == package else found(name)
    )


@cache
def of_workload(name: str) -> History:
    """Some hundred operations of a workload as its own generator asks for them, and honest."""
    return ran(made(name, 12), ObjectStore(), operations=240, concurrency=12)


def tiled(history: History, size: int) -> bytes:
    """``history`` again and again, by ever other clients, until it has so many bytes."""
    out = bytearray(jsonl.encode_header(history.header))
    lines = [beginning_anew(operation) for operation in history]
    at = 0
    for round in count():
        if len(out) >= size:
            return bytes(out)
        for process, rest in lines:
            if isinstance(process, int):
                process += round * 1000
            out += b'{"index":%d,"time":%d,"process":' % (at, at * 1000)
            out += b'"%s"' % process.encode() if isinstance(process, str) else b"%d" % process
            out += rest
            at += 1
    raise AssertionError


def beginning_anew(operation: Operation) -> tuple[int | str, bytes]:
    """The process of an operation, and what stands after it in its line."""
    line = bytearray()
    jsonl.append_operation(operation, line)
    process = json.dumps(operation.process).encode()
    begin = b'{"index":%d,"time":%d,"process":%s' % (operation.index, operation.time, process)
    assert line.startswith(begin)
    return operation.process, bytes(line[len(begin) :])


def run_folder(tmp_path: Path, data: bytes, workload: str) -> Path:
    folder = tmp_path / "store" / "etcd" / workload / "20261130T120000-abcdef"
    folder.mkdir(parents=True)
    (folder / "scenario.toml").write_text(SCENARIO.format(workload))
    (folder / PLAIN).write_bytes(data)
    return folder


def assert_alike(found: Columns, expected: Columns, places: Iterator[int]) -> None:
    """The same in every column; numbers of names may differ, what they stand for may not."""
    for name in ("index", "time", "type", "process", "pair", "value_kind"):
        assert np.array_equal(getattr(found, name), getattr(expected, name)), name
    assert np.array_equal(found.micro.txn, expected.micro.txn)
    for place in places:
        assert found.value_at(place) == expected.value_at(place)
        assert found.f_names[found.f[place]] == expected.f_names[expected.f[place]]
        keys = [(view.keys, int(view.key[place])) for view in (found, expected)]
        one, other = (table[key] if key >= 0 else None for table, key in keys)
        assert one == other


@pytest.mark.slow
@pytest.mark.parametrize("workload", WORKLOADS)
def test_a_megabyte_of_each_workload(workload: str, how: str, tmp_path: Path) -> None:
    data = tiled(of_workload(workload), MEGABYTE)
    folder = run_folder(tmp_path, data, workload)
    expected = parse_history(data, "plain")
    seal(folder)
    found = read_history(folder)
    assert found.header == expected.header
    assert not found.partial
    assert list(found) == list(expected)
    assert_alike(columns(found), columns(expected), iter(range(0, len(expected), 7)))
    assert found.outcomes == expected.outcomes
    texts = [io.BytesIO(), io.BytesIO()]
    for history, out in zip((found, expected), texts, strict=True):
        jsonl.write(history.header, history.operations, out)
    assert texts[0].getvalue() == texts[1].getvalue()


@pytest.mark.parametrize("compression", ["zst", "gz"])
@pytest.mark.parametrize("seed", range(2 * len(SHAPES)))
def test_all_that_a_value_may_be(
    seed: int, compression: str, how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, history = of_shape(seed)
    out = io.BytesIO()
    jsonl.write(history.header, history.operations, out)
    folder = run_folder(tmp_path, out.getvalue(), "register")
    expected = parse_history(out.getvalue(), "plain")
    if compression == "gz":
        leave_out(monkeypatch, "zstandard")
    assert seal(folder).suffix == f".{compression}"
    found = read_history(folder)
    assert list(found) == list(expected)
    assert_alike(columns(found), columns(expected), iter(range(len(expected))))


@pytest.fixture(scope="module")
def lists(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A valid history of transactions on lists that are more than a megabyte when sealed."""
    path = tmp_path_factory.mktemp("lists") / PLAIN
    write_history(path, Plan(transactions=40_000))
    return path.read_bytes()


def named(operation: Operation) -> Operation:
    """With text for keys and elements, which columns hold as tables and not as ranges."""
    value = [
        [f, f"key {key}", [f"e{one}" for one in item] if isinstance(item, list) else item and "e"]
        for f, key, item in operation.value
    ]
    return structs.replace(operation, value=value)


def far(operation: Operation) -> Operation:
    """With keys far apart, which columns number anew."""
    return structs.replace(
        operation, value=[[f, key * 1_000_003, item] for f, key, item in operation.value]
    )


@pytest.mark.slow
@pytest.mark.parametrize("form", [None, named, far], ids=["numbers", "names", "far apart"])
def test_every_form_of_columns_of_transactions(
    form: Callable[[Operation], Operation] | None, lists: bytes, tmp_path: Path
) -> None:
    """Sealed, these are larger than what was once taken from a copy that left forms out."""
    if form is not None:
        out = io.BytesIO()
        history = parse_history(lists, "lists")
        jsonl.write(history.header, [form(operation) for operation in history], out)
        lists = out.getvalue()
    folder = run_folder(tmp_path, lists, "list-append")
    expected = columns(parse_history(lists, "lists"))
    assert seal(folder).stat().st_size > MEGABYTE
    found = read_history(folder)
    assert (found.prepared is not None) == (importlib.util.find_spec("numba") is not None)
    assert_alike(columns(found), expected, iter(range(0, len(found), 501)))


def registers(size: int) -> bytes:
    """Writes and reads of a hundred independent registers, by twenty clients at once."""
    out = bytearray(jsonl.encode_header(Header(workload="register", independent=True)))
    at = 0
    while len(out) < size:
        for kind in ("invoke", "ok"):
            for process in range(20):
                f, value = ("write", at // 40) if process % 2 else ("read", None)
                value = at // 40 - 1 if (f, kind) == ("read", "ok") and at > 40 else value
                key = process // 2 + at // 40 % 10 * 10
                out += (
                    b'{"index":%d,"time":%d,"process":%d,"type":"%s","f":"%s","value":[%d,%s]}\n'
                    % (at, at * 1000, process, kind.encode(), f.encode(), key, _json(value))
                )
                at += 1
    return bytes(out)


def _json(value: Any) -> bytes:
    return b"null" if value is None else b"%d" % value


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["list-append", "register"])
def test_a_hundred_megabytes(kind: str, tmp_path: Path) -> None:
    hundred = 100 * MEGABYTE
    data = registers(hundred) if kind == "register" else tiled(of_workload(kind), hundred)
    folder = run_folder(tmp_path, data, kind)
    expected = columns(read_history(folder))
    seal(folder)
    found = read_history(folder)
    assert not found.partial
    assert_alike(columns(found), expected, iter(range(0, len(found), 10_007)))
    assert found.operations[len(found) - 1] == jsonl.read_part(data[-2000:].split(b"\n")[-2], "")[0]


@pytest.mark.slow
def test_a_large_sealed_run_is_checked_exported_and_reported(
    lists: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plain = tmp_path / "plain.jsonl"
    plain.write_bytes(lists)
    folder = run_folder(tmp_path, lists, "list-append")
    assert seal(folder).stat().st_size > MEGABYTE
    for path in (plain, folder):
        assert run(("check", "-m", "list-append", str(path))) == 0
        assert capsys.readouterr().out == f"{path}\ttrue\n"
    texts = []
    for path in (plain, folder):
        assert run(("export", str(path), "-f", "jsonl", "-o", str(tmp_path / "again"))) == 0
        texts.append((tmp_path / "again").read_bytes())
    assert texts[0] == texts[1]
    assert texts[0].count(b"\n") == lists.count(b"\n") + 1
    assert run(("report", str(folder))) == 0
    assert "No operations can be shown" not in (folder / "report.html").read_text("utf-8")


@pytest.mark.slow
def test_the_columns_of_an_old_run_are_not_believed(tmp_path: Path) -> None:
    """As older versions wrote them, whole and of the right size, with other values in them."""
    rng = Random(5)
    out = bytearray(jsonl.encode_header(Header(workload="register", model="cas-register")))
    for at in range(0, 120_000, 2):
        value = rng.getrandbits(60)
        for kind in (INVOKE, OK):
            index = at + (kind == OK)
            jsonl.append_operation(Operation(index, index, at % 7, kind, "write", value), out)
    folder = run_folder(tmp_path, bytes(out), "register")
    expected = columns(read_history(folder))
    sealed = seal(folder)
    assert sealed.stat().st_size > MEGABYTE
    arrays: dict[str, Any] = {}
    tables: dict[str, Any] = {"of_bytes": sealed.stat().st_size}
    for prefix, part in (("", expected), ("micro.", expected.micro)):
        for name, item in vars(part).items():
            if isinstance(item, np.ndarray):
                arrays[prefix + name] = item
            elif isinstance(item, tuple):
                tables[prefix + name] = item
    arrays["value"] = arrays["value"] + 1
    text = np.frombuffer(json.dumps(tables).encode(), dtype=np.uint8)
    np.savez_compressed(folder / "history.npz", tables=text, **arrays)
    assert np.array_equal(columns(read_history(folder)).value, expected.value)
