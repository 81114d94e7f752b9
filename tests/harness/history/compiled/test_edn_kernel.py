"""The compiled reading of EDN says what the ordinary one says, or leaves the file to it."""

from __future__ import annotations

import importlib.util
import io
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.fuzz_parsers import Inputs, seeds_of
from harness.errors import HistoryError
from harness.history.formats import edn
from harness.history.formats.known import export
from harness.history.history import History
from harness.history.operation import Header, Operation
from harness.history.reader import parse_history

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("numba") is None, reason="numba (the extra fast) is not installed"
)

LINE = (
    "{:index 0, :time 1, :process 0, :type :invoke, :f :txn, :value [[:append 1 2] (:r x nil)]}\n"
)
PLAIN = LINE.replace(" x ", " " + '"a\\n\u00e9"' + " ")


@pytest.fixture(autouse=True)
def _small_files_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(edn, "QUICK_BYTES", 1)


def slowly(data: bytes, monkeypatch: pytest.MonkeyPatch) -> Any:
    with monkeypatch.context() as patch:
        patch.setattr(edn, "QUICK_BYTES", 1 << 60)
        return read(data)


def read(data: bytes) -> Any:
    try:
        found = parse_history(data, "x", "edn")
    except HistoryError as error:
        return str(error)
    return [*found.operations], found.header, found.notices


def translated(text: str) -> str | None:
    lines = edn.json_lines(text.encode())
    return None if lines is None else bytes(lines).decode()


def test_operations_become_json_lines() -> None:
    assert translated("[" + PLAIN + "]") == (
        '{"index":0,"time":1,"process":0,"type":"invoke","f":"txn",'
        '"value":[["append",1,2],["r","a\\n\u00e9",null]]}\n'
    )
    assert translated("{:a true :b false,:c -5}{:a []}") == (
        '{"a":true,"b":false,"c":-5}\n{"a":[]}\n'
    )


@pytest.mark.parametrize(
    "odd",
    [
        "{:a {:b 1}}",
        "{:a #{1}}",
        "{:a #inst 1}",
        "{:a 1.5}",
        "{:a 1N}",
        "{:a 01}",
        "{:a -0}",
        "{:a 1/2}",
        "{:a 1234567890123456789}",
        "{:a \\c}",
        "{:a b}",
        "{:a nilly}",
        "{:a 1 :a 2}",
        "{:a}",
        "{a 1}",
        '{"a" 1}',
        "{:a 1",
        "{:a [1)}",
        "{:a 1]",
        "[{:a 1}",
        "[{:a 1}] {:a 1}",
        '{:a "\\u0041"}',
        '{:a "\\q"}',
        '{:a "\n"}',
        "{:a 1} ; comment",
        "{:a :}",
        "{:\u00e9 1}",
        "7",
    ],
)
def test_what_is_not_plain_is_left_to_the_ordinary_reader(odd: str) -> None:
    assert translated(odd) is None


def test_an_export_is_read_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    operations = [
        Operation(0, 5, 0, "invoke", "txn", [["append", "k", 1], ["r", 2, None]]),
        Operation(1, 6, "nemesis", "info", "kill", ["n1", 'a"b'], node="n1"),
        Operation(2, 7, 0, "fail", "txn", None, error=["aborted", True]),
    ]
    out = io.BytesIO()
    export(History(operations, Header(model="list-append", seed=4)), out, "edn")
    assert translated(out.getvalue().split(b"\n", 1)[1].decode()) is not None
    found = read(out.getvalue())
    assert found[0] == operations
    assert found[1].seed == 4
    assert found == slowly(out.getvalue(), monkeypatch)


def test_fuzzed_inputs_are_read_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    inputs = Inputs(11, [PLAIN.encode(), *seeds_of(None)])
    quick = 0
    for number in range(3000):
        data, _ = inputs[number]
        quick += edn.json_lines(data) is not None
        assert read(data) == slowly(data, monkeypatch), data
    assert quick > 20


atoms = st.integers(-(10**20), 10**20) | st.booleans() | st.none() | st.text(max_size=5)
nested = st.recursive(atoms, lambda inner: st.lists(inner, max_size=3), max_leaves=8)


@pytest.mark.slow
@settings(max_examples=200)
@given(values=st.lists(nested, max_size=4))
def test_any_values_are_read_alike(values: list[Any]) -> None:
    operations = [Operation(n, n, "nemesis", "info", "f", value) for n, value in enumerate(values)]
    out = io.BytesIO()
    export(History(operations, Header()), out, "edn")
    assert read(out.getvalue())[0] == operations


def test_torn_files_are_read_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    data = (PLAIN + PLAIN.replace("invoke", "ok").replace(":index 0", ":index 1")).encode()
    random = Random(5)
    for cut in random.sample(range(1, len(data)), 60):
        assert read(data[:cut]) == slowly(data[:cut], monkeypatch)
