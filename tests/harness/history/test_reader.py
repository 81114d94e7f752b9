"""The reader: any format by content, torn ends survived, errors that name the place."""

from __future__ import annotations

import gzip
import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest
import zstandard

from harness.errors import HistoryError, UsageError
from harness.history.history import History
from harness.history.operation import Header, Operation
from harness.history.reader import parse_history, read_history

INVOKE = '{"index":0,"time":1,"process":0,"type":"invoke","f":"read","value":null}\n'
OK = '{"index":1,"time":2,"process":0,"type":"ok","f":"read","value":5}\n'
HEADER = '{"polygraph":1,"system":"etcd","independent":false}\n'
EDN = "{:index 0 :time 1 :process 0 :type :invoke :f :read :value nil}\n"
OPERATIONS = [Operation(0, 1, 0, "invoke", "read", None), Operation(1, 2, 0, "ok", "read", 5)]


def parse(text: str | bytes, name: str = "file") -> History:
    return parse_history(text if isinstance(text, bytes) else text.encode(), name)


def refused(text: str | bytes) -> str:
    with pytest.raises(HistoryError) as caught:
        parse(text)
    return str(caught.value)


def test_the_header_is_optional() -> None:
    with_header = parse(HEADER + INVOKE + OK)
    without = parse(INVOKE + OK)
    assert list(with_header) == list(without) == OPERATIONS
    assert with_header.header.system == "etcd"
    assert without.header == Header()


def test_a_header_of_another_tool_gives_initial_state_and_keeps_the_rest() -> None:
    found = parse('{"schema":1,"initial_state":{"0":10},"total":10,"note":"n"}\n' + INVOKE)
    assert found.header.initial == {"0": 10}
    assert found.header.extra == {"schema": 1, "total": 10, "note": "n"}
    assert len(found) == 1


def test_an_operation_with_a_key_called_schema_is_no_header() -> None:
    line = INVOKE.replace("}", ',"schema":3}')
    assert parse(line).operations[0].extra == {"schema": 3}


def test_a_fact_of_the_wrong_type_in_our_header_is_refused() -> None:
    message = refused('{"polygraph":1,"independent":"yes"}\n' + INVOKE)
    assert "independent: expected bool, found 'yes'" in message
    claimed = refused('{"polygraph":1,"claims":"serializable"}\n' + INVOKE)
    assert "claims: expected list, found 'serializable'" in claimed
    assert 'try: a list of models, as "claims": ["serializable"]' in claimed


@pytest.mark.parametrize("cut", range(1, len(OK) - 1))
def test_a_torn_last_line_is_left_out_with_a_notice(cut: int) -> None:
    found = parse(HEADER + INVOKE + OK[:cut])
    assert list(found) == OPERATIONS[:1]
    assert found.partial
    assert found.notices == ("file: the last line is torn and was left out",)


def test_a_last_line_that_lacks_only_its_end_is_whole() -> None:
    found = parse(INVOKE + OK.rstrip("\n"))
    assert list(found) == OPERATIONS
    assert not found.partial


def test_a_torn_header_is_an_empty_history() -> None:
    found = parse(HEADER[:20])
    assert (list(found), found.partial) == ([], True)


def test_a_torn_line_within_is_an_error_with_line_and_column() -> None:
    message = refused(HEADER + INVOKE[:30] + "\n" + OK)
    assert message.startswith("file: line 2, column ")
    assert "expecting" in message


@pytest.mark.parametrize("cut", range(1, len(EDN) - 1))
def test_a_torn_last_edn_line_is_left_out_with_a_notice(cut: int) -> None:
    second = EDN.replace(":process 0", ":process 1").replace(":index 0", ":index 1")
    found = parse(EDN + second[:cut])
    assert list(found) == OPERATIONS[:1]
    assert found.partial
    assert found.notices == ("file: the last line is torn and was left out",)


def test_a_half_character_at_the_end_is_a_torn_line() -> None:
    lines = EDN.encode() + '{:index 1 :value "\U0001f600'.encode()[:-2]
    found = parse(lines)
    assert (len(found), found.partial) == (1, True)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("hello\n", "line 1, column 1: expected a history"),
        (INVOKE + "[1]\n", "line 2, column 1: expected an operation"),
        (INVOKE + "nonsense\n" + OK, "line 2, column 1: not JSON: expecting value"),
        (INVOKE + '{"index":NaN}\n' + OK, "line 2, column 1: not JSON: expected a finite number"),
        (INVOKE + '{"a": 1e999}\n' + OK, "line 2, column 1: not JSON: expected a number that fits"),
        ("[" + INVOKE + "," + OK, "line 3, column 1: not JSON: expecting ',' delimiter"),
        ("[" + INVOKE + ",7]", "line 2, column 2: expected an operation"),
        (EDN + "{:index 1 :type}\n" + EDN, "line 2, column 1: expected a value for each key"),
        (EDN + "{:index 1 :type :ok\n" + EDN, "expected } after the { that is here"),
        ("[" + EDN + EDN, "line 1, column 1: expected ] after the [ that is here"),
        (EDN + "{:a 1)\n" + EDN, "line 2, column 6: expected }, found )"),
        (EDN + "{:a 1 :a 2}\n" + EDN, "line 2, column 1: expected each key once"),
        (EDN + "{:a 1x}\n" + EDN, "line 2, column 5: expected a number, found '1x'"),
        (EDN + '{:a "\\q"}\n' + EDN, "line 2, column 6: expected an escape, found \\q"),
        (EDN + "7\n" + EDN, "line 2, column 1: expected an operation (a map), found 7"),
    ],
)
def test_an_error_names_line_column_and_what_was_expected(text: str, expected: str) -> None:
    assert expected in refused(text)


def test_bytes_that_are_not_utf8_are_an_error_with_a_place() -> None:
    message = refused(INVOKE.encode() + b'{"index": "\xff"}\n' + OK.encode())
    assert "line 2, column 12: expected UTF-8, found 0xff" in message
    message = refused(EDN.encode() + b'{:index "\xff"}\n' + EDN.encode())
    assert "line 2, column 10: expected UTF-8, found byte 0xff" in message


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (
            INVOKE.replace('index":0', 'index":1'),
            "operation 0 (process 0 invoke read) is still open",
        ),
        (OK.replace('process":0', 'process":3'), "process 3 has nothing open"),
        (
            OK.replace("read", "write"),
            "it completes operation 0 (process 0 invoke read), of another f",
        ),
        (OK.replace('index":1', 'index":0'), "expected an index above 0"),
        (OK.replace("ok", "done"), "expected a type out of invoke ok fail info"),
    ],
)
def test_what_breaks_the_rules_is_refused_and_named(line: str, expected: str) -> None:
    message = refused(INVOKE + line)
    assert expected in message
    assert "file: operation " in message


def test_an_unknown_type_is_refused_and_named_where_the_line_is_not_ours() -> None:
    message = refused('[{"index":7,"process":1,"type":"done","f":"read"}]')
    assert "line 1, column 2: operation index 7 process 1 f 'read' has type 'done'" in message


def test_the_nemesis_and_an_open_invocation_break_no_rule() -> None:
    lines = (
        INVOKE
        + '{"index":1,"time":2,"process":"nemesis","type":"info","f":"kill","value":null}\n'
        + '{"index":2,"time":2,"process":"nemesis","type":"info","f":"kill","value":null}\n'
    )
    assert parse(lines).pairs == [-1, 2, 1]


def test_operations_without_index_and_time_are_in_file_order() -> None:
    found = parse(
        '{"process":0,"type":"invoke","f":"read"}\n{"process":0,"type":"ok","f":"read","value":1}\n'
    )
    assert list(found) == [
        Operation(0, 0, 0, "invoke", "read", None),
        Operation(1, 1, 0, "ok", "read", 1),
    ]


def test_operations_without_process_close_the_oldest_open_one_of_their_f() -> None:
    found = parse(
        "{:type :invoke :f :read} {:type :invoke :f :write :value 1}"
        "{:type :invoke :f :read} {:type :ok :f :read :value 5}"
        "{:type :info :f :write} {:type :ok :f :read :value 6} {:type :invoke :f :read}"
    )
    assert found.pairs == [3, 4, 5, 0, 1, 2, -1]
    told = "file: no operation names a process; completions were paired by f"
    assert found.notices[-1] == told


def test_a_completion_without_process_that_closes_nothing_is_refused() -> None:
    assert "completes nothing: no write is open" in refused(
        "{:type :invoke :f :read} {:type :ok :f :write}"
    )


def test_a_transaction_without_f_is_a_txn() -> None:
    found = parse('[{"process":1,"type":"invoke","value":[["append",1,2],["r",1,null]]}]')
    assert found.operations[0].f == "txn"


def test_an_f_of_several_keywords_is_one_name() -> None:
    assert parse("{:process :nemesis :type :info :f [:role :kill]}").operations[0].f == "role kill"


@pytest.mark.parametrize(
    "text",
    [
        "[{:index 0, :process 0, :type :invoke, :f :read, :value nil, :time 1}]",
        "({:index 0, :process 0, :type :invoke, :f :read, :value nil, :time 1})",
        "; a comment\n[ ; another\n {:index 0 :process 0 :type :invoke :f :read :time 1}]",
        "#jepsen.history.Op{:index 0 :process 0 :type :invoke :f :read :value nil :time 1}",
        "[#jepsen.history.Op{:index 0 :process 0 :type :invoke :f :read :value nil :time 1}]",
        '[{"index":0,"time":1,"process":0,"type":"invoke","f":"read","value":null}]',
        '\n [ \n{"process":0,"type":"invoke","f":"read","index":0.0,"time":1}\n]\n',
        "\ufeff" + INVOKE,
        "\n\n" + HEADER + "\n" + INVOKE + "\n",
    ],
)
def test_every_shape_of_a_file_is_told_by_its_content(text: str) -> None:
    assert list(parse(text)) == OPERATIONS[:1]


def test_the_name_decides_where_the_content_leaves_the_format_open() -> None:
    assert len(parse("[]", "empty.edn")) == 0
    assert len(parse("", "empty.jsonl")) == 0


def test_a_given_format_overrides_the_content(tmp_path: Path) -> None:
    path = tmp_path / "history"
    path.write_text(INVOKE)
    with pytest.raises(HistoryError):
        read_history(path, "json")
    with pytest.raises(UsageError, match="no history format 'yaml'"):
        read_history(path, "yaml")


@pytest.mark.parametrize("compress", [gzip.compress, zstandard.ZstdCompressor().compress])
def test_compression_is_told_by_content_and_damage_is_named(tmp_path: Path, compress: Any) -> None:
    path = tmp_path / "history.dat"
    data = compress((INVOKE + OK).encode())
    path.write_bytes(data)
    assert list(read_history(path)) == OPERATIONS
    path.write_bytes(data + data)  # two frames: both are read
    with pytest.raises(HistoryError, match="expected an index above 1"):
        read_history(path)
    path.write_bytes(data[:-5])
    with pytest.raises(HistoryError, match="compressed data is damaged"):
        read_history(path)


def test_standard_input_is_a_file_too(monkeypatch: pytest.MonkeyPatch) -> None:
    class Input:
        buffer = io.BytesIO((INVOKE + OK).encode())

    monkeypatch.setattr(sys, "stdin", Input())
    assert list(read_history(Path("-"))) == OPERATIONS


def test_a_missing_file_is_one_clear_message(tmp_path: Path) -> None:
    with pytest.raises(HistoryError, match=r"nothing\.jsonl: cannot be read: No such file"):
        read_history(tmp_path / "nothing.jsonl")


def test_nesting_without_end_is_an_error_and_no_crash() -> None:
    assert "nested too deeply" in refused(INVOKE + "[" * 100_000 + "]" * 100_000 + "\n")


@pytest.mark.parametrize(
    ("field", "value", "told"),
    [
        ("time", 2**63, "a time that 64 bits hold"),
        ("time", -(2**63) - 1, "a time that 64 bits hold"),
        ("index", 2**63, "an index that 64 bits hold"),
        ("process", 2**31, "a process up to 2147483647"),
    ],
)
def test_numbers_that_columns_cannot_hold_are_refused(
    tmp_path: Path, field: str, value: int, told: str
) -> None:
    record = {"index": 0, "time": 1, "process": 0, "type": "invoke", "f": "read", "value": None}
    path = tmp_path / "history.jsonl"
    path.write_text(json.dumps(record | {field: value}) + "\n")
    with pytest.raises(HistoryError, match=told):
        read_history(path)


def test_nemesis_operations_that_overlap_pair_by_their_occurrence() -> None:
    def line(index: int, f: str, occurrence: int) -> str:
        value = {"occurrence": occurrence}
        return json.dumps(
            {"index": index, "time": index, "process": "nemesis", "type": "info", "f": f}
            | {"value": value}
        )

    steps = [("start-kill", 0), ("start-kill", 1), ("start-kill", 1), ("start-kill", 0)]
    steps += [("stop-kill", 1), ("stop-kill", 1)]
    lines = [line(index, *step) for index, step in enumerate(steps)]
    assert parse("\n".join(lines) + "\n").pairs == [3, 2, 1, 0, 5, 4]
