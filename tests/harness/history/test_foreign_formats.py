"""Jepsen's logs and folders, Porcupine's key-value text, Plume's and AWDIT's transactions."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import pytest

from harness.errors import HistoryError
from harness.history.formats.known import READERS, detect
from harness.history.history import History
from harness.history.reader import parse_history, read_bytes, read_history
from harness.history.values import Tagged
from tests.shared_data import HISTORIES

LOG = (
    "INFO  jepsen.core - nothing to see here\n"
    "INFO  jepsen.util - 0\t:invoke\t:write\t4\n"
    "INFO  jepsen.util - 1\t:invoke\t:cas\t[4 3]\n"
    'INFO  jepsen.util - :nemesis\t:info\t:start\t"cut off"\n'
    "INFO  jepsen.util - 0\t:ok\t:write\t4\n"
    "INFO  jepsen.util - 1\t:info\t:cas\t:timed-out\n"
)
MODERN = (
    "2024-01-02 03:04:05,678{GMT}\tINFO\t[jepsen worker 3] jepsen.util: 3\t:invoke\t:read\tnil\n"
    "2024-01-02 03:04:05,679{GMT}\tWARN\t[main] jepsen.core: something else: :odd\n"
    "2024-01-02 03:04:05,680{GMT}\tINFO\t[jepsen worker 3] jepsen.util: 3\t:fail\t:read\tnil"
    "\t[:no-leader 4]\n"
)
KV = (
    '{:process 0, :type :invoke, :f :append, :key "7", :value "x"}\n'
    '{:process 0, :type :ok, :f :append, :key "7", :value "x"}\n'
    '{:process 0, :type :invoke, :f :get, :key "7", :value nil}\n'
    '{:process 0, :type :ok, :f :get, :key "7", :value "x"}\n'
)
PLUME = "w(1,10,0,5)\nr(1,0,1,6)\nw(2,20,0,5)\nw(1,11,1,-1)\nr(9,9,1,-1)\n"
AWDIT = "w 0 0\nw 1 0\n-----\nr 0 0\n=====\nr 1 0\n---\n"


def parse(text: str) -> History:
    return parse_history(text.encode(), "file")


def told(history: History) -> list[tuple[Any, ...]]:
    return [(op.process, op.type, op.f, op.value) for op in history]


def test_an_old_log_is_a_history_in_file_order() -> None:
    history = parse(LOG)
    assert told(history) == [
        (0, "invoke", "write", 4),
        (1, "invoke", "cas", [4, 3]),
        ("nemesis", "info", "start", "cut off"),
        (0, "ok", "write", 4),
        (1, "info", "cas", None),
    ]
    assert history.operations[4].error == "timed-out"
    assert [op.index for op in history] == [0, 1, 2, 3, 4]
    assert history.header.model == "cas-register"


def test_columns_may_be_parted_by_blanks() -> None:
    assert told(parse(LOG.replace("\t", "   "))) == told(parse(LOG))


def test_a_modern_log_has_time_thread_and_error() -> None:
    history = parse(MODERN)
    assert told(history) == [(3, "invoke", "read", None), (3, "fail", "read", None)]
    assert history.operations[1].error == ["no-leader", 4]


def test_history_txt_has_the_columns_alone() -> None:
    text = '0\t:invoke\t:txn\t[[:append 1 2]]\n0\t:ok\t:txn\t[[:append 1 2]]\t"fine"\n'
    history = parse(text)
    assert told(history)[1] == (0, "ok", "txn", [["append", 1, 2]])
    assert history.operations[1].error == "fine"
    assert history.header.model is None


def test_a_torn_log_loses_its_last_line_with_a_notice() -> None:
    for cut in range(1, len("INFO  jepsen.util - 1\t:info\t:cas")):
        history = parse(LOG[: LOG.rindex("INFO") + cut])
        assert len(history) == 4, cut
        assert history.partial


def test_a_log_line_with_an_unknown_type_is_refused() -> None:
    with pytest.raises(HistoryError, match=r"line 3, column 21: .* has type 'okay'"):
        parse(LOG.replace(":invoke\t:cas", ":okay\t:cas"))


def test_a_log_line_with_a_broken_value_is_refused_with_its_place() -> None:
    with pytest.raises(HistoryError, match="line 3, column 36: expected ] after"):
        parse(LOG.replace("[4 3]", "[4 3"))


def test_a_log_that_breaks_the_rules_names_the_operation() -> None:
    with pytest.raises(HistoryError, match=r"operation 1 \(process 0 invoke write\) .* still open"):
        parse(LOG.replace("1\t:invoke\t:cas\t[4 3]", "0\t:invoke\t:write\t5"))


def test_porcupines_keys_go_into_the_values() -> None:
    history = parse(KV)
    assert told(history) == [
        (0, "invoke", "append", ["7", "x"]),
        (0, "ok", "append", ["7", "x"]),
        (0, "invoke", "get", ["7", None]),
        (0, "ok", "get", ["7", "x"]),
    ]
    assert (history.header.model, history.header.independent) == ("kv", True)
    assert all(op.extra is None for op in history)


def test_lines_of_one_transaction_belong_together_wherever_they_stand() -> None:
    history = parse(PLUME)
    assert told(history) == [
        (0, "invoke", "txn", [["w", 1, 10], ["w", 2, 20]]),
        (0, "ok", "txn", [["w", 1, 10], ["w", 2, 20]]),
        (1, "invoke", "txn", [["r", 1, None]]),
        (1, "ok", "txn", [["r", 1, None]]),
        (1, "invoke", "txn", [["w", 1, 11]]),
        (1, "fail", "txn", [["w", 1, 11]]),
    ]
    assert history.header.initial is None
    assert history.header.extra == {"order": "session"}


def test_a_transaction_of_two_sessions_is_refused() -> None:
    with pytest.raises(HistoryError, match="line 2, column 1: transaction 5 is of session 0"):
        parse("w(1,10,0,5)\nw(1,11,1,5)\n")


def test_rules_end_transactions_and_sessions() -> None:
    assert told(parse(AWDIT))[1::2] == [
        (0, "ok", "txn", [["w", 0, 0], ["w", 1, 0]]),
        (0, "ok", "txn", [["r", 0, 0]]),
        (1, "ok", "txn", [["r", 1, 0]]),
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("w(1,2,3,4)\nw(1,2,3)\n", r"line 2, column 1: expected r\(KEY,VALUE,SESSION,TXN\)"),
        ("w(1,2,3,4)\nw(1,2,3,4\xe9)\n", "line 2, column 10: .* found byte 0xc3"),
        ("w 1 2\nq 1 2\n", "line 2, column 1: expected r KEY VALUE"),
        ("w 1 2\nw 1\n", "line 2, column 1: expected r KEY VALUE"),
    ],
)
def test_other_lines_are_refused_with_their_place(text: str, expected: str) -> None:
    with pytest.raises(HistoryError, match=expected):
        parse(text)


@pytest.mark.parametrize(
    ("text", "format"),
    [(LOG, "jepsen-log"), (MODERN, "jepsen-log"), (KV, "edn"), (PLUME, "plume"), (AWDIT, "awdit")],
)
def test_the_format_is_told_by_content(text: str, format: str) -> None:
    assert detect(text.encode(), "x") == format
    assert format in READERS


@pytest.mark.parametrize("name", ["history.edn", "history.edn.gz", "history.txt", "jepsen.log"])
def test_a_folder_of_jepsens_store_is_a_history(name: str, tmp_path: Path) -> None:
    text = "{:process 0, :type :invoke, :f :read}\n" if "edn" in name else MODERN.split("\n")[0]
    data = text.encode()
    (tmp_path / name).write_bytes(gzip.compress(data) if name.endswith("gz") else data)
    (tmp_path / "results.edn").write_text("{:valid? true}")
    history = read_history(tmp_path)
    assert [op.f for op in history] == ["read"]
    assert not history.partial


def test_completions_without_a_process_close_what_they_are_like() -> None:
    lines = [("invoke", 1), ("invoke", 2), ("ok", 2), ("invoke", 2), ("ok", 1), ("ok", 2)]
    text = "".join(f"{{:type :{kind} :f :write :value {value}}}\n" for kind, value in lines)
    assert told(parse(text)) == [
        (0, "invoke", "write", 1),
        (1, "invoke", "write", 2),
        (1, "ok", "write", 2),
        (1, "invoke", "write", 2),
        (0, "ok", "write", 1),
        (1, "ok", "write", 2),
    ]


@pytest.mark.slow
@pytest.mark.histories
def test_every_recorded_history_is_read() -> None:
    paths = [
        path
        for path in HISTORIES.rglob("*.*")
        if path.is_file() and path.name != "INDEX.md" and "LICEN" not in path.name
    ]
    assert len(paths) > 140
    assert [path.name for path in paths if not len(read_history(path))] == []


WRITE = (
    '{:process 0, :type :invoke, :f :write, :value "é"}\n'
    '{:process 0, :type :ok, :f :write, :value "é"}\n'
)


def values(data: bytes) -> list[Any]:
    return [operation.value for operation in read_bytes(data, "x.edn").operations]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_file_may_say_its_encoding(encoding: str) -> None:
    assert values(WRITE.encode(encoding)) == ["é", "é"]


def test_a_half_character_of_utf_16_is_refused() -> None:
    with pytest.raises(HistoryError, match="UTF-16"):
        values(WRITE.encode("utf-16")[:-1])


def test_a_file_may_be_compressed_twice() -> None:
    assert values(gzip.compress(gzip.compress(WRITE.encode()))) == ["é", "é"]


def test_clients_with_names_are_numbered_and_a_nemesis_is_not() -> None:
    nemesis = '{:process "nemesis", :type :invoke, :f :cut, :value nil}\n'
    other = "{:process :watcher, :type :info, :f :look, :value nil}\n"
    text = WRITE.replace(":process 0", ":process :a") + nemesis + other
    history = read_bytes((text + WRITE.replace(":process 0", ':process "b"')).encode(), "x.edn")
    found = [operation.process for operation in history.operations]
    assert found == [0, 0, "nemesis", "watcher", 1, 1]
    assert "names instead of numbers" in history.notices[-1]


def test_names_beside_numbers_are_no_clients() -> None:
    text = WRITE + WRITE.replace(":process 0", ":process :a")
    found = [operation.process for operation in read_bytes(text.encode(), "x.edn").operations]
    assert found == [0, 0, "a", "a"]


def test_times_with_a_fraction_are_rounded_down() -> None:
    text = WRITE.replace(":type :ok", ":type :ok :time 2.75")
    assert [operation.time for operation in read_bytes(text.encode(), "x.edn").operations] == [0, 2]


def test_a_regular_expression_is_no_text() -> None:
    assert values(WRITE.replace('"é"', r'#"a\d\"]"').encode()) == [Tagged(r'#"a\d\"]"')] * 2


def test_the_last_name_of_a_format_counts() -> None:
    text = b'{"polygraph": 1}\n'
    assert detect(text, "history.edn.jsonl") == "jsonl"
    assert detect(text, "history.edn.gz") == "edn"
