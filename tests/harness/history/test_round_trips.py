"""What is written in any format is read back with every field, header included."""

from __future__ import annotations

import io
import itertools
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.history.formats.edn import HEADER_COMMENT
from harness.history.formats.known import FORMATS, export
from harness.history.history import History
from harness.history.journal import Journal
from harness.history.operation import Header, Operation
from harness.history.reader import parse_history, read_history
from harness.history.values import number

text = st.text(max_size=8) | st.sampled_from(
    [
        "",
        "append",
        ":k",
        "nil",
        "1",
        "-0",
        "01",
        "a b",
        'quote"back\\slash',
        "\u2028",
        "\U0001f600",
        "lone \udc80",
    ]
)
scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(min_value=1 << 62, max_value=1 << 70)
    | st.floats(allow_nan=False, allow_infinity=False).map(repr).map(number)
    | text
)
keys = text | st.integers(-20, 20).map(str)
json_values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=4),
    max_leaves=10,
)
micro_operations = st.lists(
    st.tuples(st.sampled_from(["append", "r", "w", "rp"]), scalars, json_values).map(list),
    min_size=1,
    max_size=3,
)
values = (
    json_values
    | micro_operations
    | st.tuples(scalars, micro_operations).map(list)
    | st.dictionaries(st.integers(0, 9).map(str), st.integers(), max_size=4)
)
KNOWN = {*Operation.__struct_fields__} - {"extra"}
extras = st.none() | st.dictionaries(
    text.filter(lambda key: key not in KNOWN), json_values, min_size=1, max_size=3
)
names = text | st.sampled_from(["read", "write", "cas", "txn", "start-partition", "a/b"])


@st.composite
def histories(draw: st.DrawFn) -> list[Operation]:
    """Operations that keep the rules, with every optional field now and then."""
    recorded: list[Operation] = []
    open_operations: dict[int, str] = {}
    time = 0
    for index in range(draw(st.integers(0, 6))):
        time += draw(st.integers(0, 1 << 40))
        process: int | str = draw(st.integers(0, 2) | st.sampled_from(["nemesis", "odd name"]))
        if isinstance(process, str):
            kind, f = "info", draw(names)
        elif process in open_operations:
            kind, f = draw(st.sampled_from(["ok", "fail", "info"])), open_operations.pop(process)
        else:
            kind, f = "invoke", draw(names)
            open_operations[process] = f
        recorded.append(
            Operation(
                index,
                time,
                process,
                kind,
                f,
                draw(values),
                error=draw(json_values),
                node=draw(st.none() | text),
                trace=draw(st.none() | text),
                wall_time_ns=draw(st.none() | st.integers(0, 1 << 62)),
                extra=draw(extras),
            )
        )
    return recorded


headers = st.builds(
    Header,
    run=st.none() | text,
    seed=st.none() | st.integers(0, 1 << 64),
    start_wall_ns=st.none() | st.integers(0, 1 << 62),
    system=st.none() | text,
    workload=st.none() | text,
    model=st.none() | text,
    initial=json_values,
    claims=st.lists(text, max_size=3),
    independent=st.booleans(),
    options=st.dictionaries(text, json_values, max_size=3),
    extra=st.none()
    | st.dictionaries(
        text.filter(lambda key: key not in (*Header.__struct_fields__, "initial_state", "type")),
        json_values,
        min_size=1,
        max_size=2,
    ),
)


def same(left: Any, right: Any) -> bool:
    """Equal, of equal types all the way down (``1`` is neither ``1.0`` nor ``True``)."""
    if type(left) is not type(right):
        return False
    if isinstance(left, dict):
        return left.keys() == right.keys() and all(same(left[key], right[key]) for key in left)
    if isinstance(left, list):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, float):
        return left == right and math.copysign(1, left) == math.copysign(1, right)
    return bool(left == right)


def assert_same(found: History, header: Header, operations: list[Operation]) -> None:
    assert len(found) == len(operations)
    for left, right in zip(found, operations, strict=True):
        for field in Operation.__struct_fields__:
            assert same(getattr(left, field), getattr(right, field)), (field, left, right)
    for field in Header.__struct_fields__:
        left, right = getattr(found.header, field), getattr(header, field)
        assert same(left, right), (field, left, right)
    assert not found.partial


def written(history: History, format: str) -> bytes:
    out = io.BytesIO()
    export(history, out, format)
    return out.getvalue()


@pytest.mark.slow
@pytest.mark.parametrize("format", FORMATS)
@given(operations=histories(), header=headers)
@settings(deadline=None, max_examples=100)
def test_every_field_survives(format: str, operations: list[Operation], header: Header) -> None:
    data = written(History(operations, header), format)
    assert_same(parse_history(data, "exported"), header, operations)


@pytest.mark.slow
@given(operations=histories(), header=headers, formats=st.permutations(sorted(FORMATS)))
@settings(deadline=None, max_examples=50)
def test_every_field_survives_all_formats_one_after_another(
    operations: list[Operation], header: Header, formats: list[str]
) -> None:
    history = History(operations, header)
    for format in formats:
        history = parse_history(written(history, format), "exported")
    assert_same(history, header, operations)


counter = itertools.count()


@pytest.mark.slow
@given(operations=histories(), header=headers)
@settings(
    deadline=None,
    max_examples=50,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_the_journal_keeps_every_field(
    tmp_path: Path, operations: list[Operation], header: Header
) -> None:
    path = tmp_path / f"{next(counter)}.jsonl"
    with Journal(path, header) as journal:
        recorded = [journal.append(operation) for operation in operations]
    assert_same(read_history(path), header, recorded)


@pytest.mark.parametrize("format", FORMATS)
def test_an_empty_history_keeps_its_header(format: str) -> None:
    header = Header(system="etcd", initial={"0": 10}, independent=True)
    found = parse_history(written(History([], header), format), "exported")
    assert len(found) == 0
    assert found.header == header


def edn_of(operation: Operation, **header: Any) -> str:
    first, second = written(History([operation], Header(**header)), "edn").decode().splitlines()
    assert first.startswith(HEADER_COMMENT)
    return second


def test_edn_has_keywords_where_jepsen_has_them() -> None:
    line = edn_of(Operation(0, 5, 1, "invoke", "txn", [["append", "x", 1], ["r", "x", None]]))
    assert line == (
        "{:index 0, :time 5, :process 1, :type :invoke, :f :txn, "
        ':value [[:append "x" 1] [:r "x" nil]]}'
    )


def test_edn_maps_get_integer_keys_only_if_all_are_canonical() -> None:
    read = Operation(1, 5, 1, "ok", "read", {"0": 97, "-3": 1})
    assert ":value {0 97, -3 1}" in edn_of(read)
    odd = Operation(1, 5, 1, "ok", "read", {"0": 97, "01": 1})
    assert ':value {"0" 97, "01" 1}' in edn_of(odd)


def test_edn_errors_are_keywords_where_they_can_be() -> None:
    short = edn_of(Operation(0, 5, 1, "info", "read", None, error="timed-out"))
    assert short.endswith(":value nil, :error :timed-out}")
    long = edn_of(Operation(0, 5, 1, "info", "read", None, error="refused: port 2379"))
    assert long.endswith(':error "refused: port 2379"}')
    both = edn_of(Operation(0, 5, 1, "info", "read", None, error=["duplicate-key", "x"]))
    assert both.endswith(':error [:duplicate-key "x"]}')


def test_edn_of_the_nemesis_is_of_a_keyword_process() -> None:
    line = edn_of(Operation(0, 5, "nemesis", "info", "start-partition", "isolated"))
    assert ":process :nemesis, :type :info, :f :start-partition" in line


def test_edn_of_independent_keys_has_keyword_micro_operations() -> None:
    value = ["k", [["w", 1, 2]]]
    keyed = Operation(0, 5, 1, "invoke", "txn", value)
    assert ':value ["k" [[:w 1 2]]]' in edn_of(keyed, independent=True)


def test_the_json_array_is_what_elle_cli_reads() -> None:
    import json

    operations = [Operation(0, 5, 1, "invoke", "txn", [["r", 1, None]])]
    found = json.loads(written(History(operations, Header(seed=1)), "json"))
    assert found[0] == {
        "index": 0,
        "time": 5,
        "process": 1,
        "type": "invoke",
        "f": "txn",
        "value": [["r", 1, None]],
    }
    carrier = found[-1]
    assert (carrier["process"], carrier["type"], carrier["index"]) == ("nemesis", "info", 1)
