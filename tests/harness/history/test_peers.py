"""Histories of other checkers: the same in every notation, and what none of them can say."""

from __future__ import annotations

import gzip
import json
import struct
from pathlib import Path
from typing import Any

import pytest

from harness.errors import HistoryError
from harness.history.bounds import Bounds
from harness.history.columns import columns
from harness.history.formats import awdit, cobra, plume
from harness.history.formats.known import READERS, detect
from harness.history.history import History
from harness.history.reader import parse_history, read_history
from tests.harness.history import peers
from tests.harness.history.peers import SESSIONS

TEXTS = {
    "plume": peers.plume(SESSIONS),
    "awdit": peers.awdit(SESSIONS),
    "dbcop": peers.dbcop(SESSIONS),
    "dbcop-json": peers.dbcop_json(SESSIONS),
    "cobra": peers.cobra(SESSIONS)["T0.log"],
    "veristrong": peers.VERISTRONG,
    "etcd-operations": peers.ETCD,
    "chaos": peers.CHAOS,
}


def parse(data: bytes, format: str | None = None) -> History:
    return parse_history(data, "file", format)


def told(history: History) -> list[tuple[Any, ...]]:
    return [(op.process, op.type, op.f, op.value) for op in history]


def in_folder(folder: Path, files: dict[str, bytes]) -> Path:
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


@pytest.mark.parametrize("format", TEXTS)
def test_each_format_is_told_by_its_content(format: str) -> None:
    assert detect(TEXTS[format], "x") == format
    assert format in READERS


def test_the_same_transactions_are_the_same_history_everywhere(tmp_path: Path) -> None:
    expected = told(parse(TEXTS["plume"]))
    assert [row[3] for row in expected[1::2]] == [
        [["w", 1, 12], ["r", 2, None]],
        [["r", 1, 12]],
        [["w", 2, 345], ["r", 1, 12]],
    ]
    assert expected[0] == (0, "invoke", "txn", [["w", 1, 12], ["r", 2, None]])
    for is_short in (False, True):
        for is_bare in (False, True):
            text = peers.dbcop_json(SESSIONS, is_short=is_short, is_bare=is_bare)
            assert told(parse(text)) == expected
    assert told(parse(TEXTS["dbcop"])) == expected
    for number, stamp in enumerate((b"", struct.pack(">Q", 1_700_000_000_000))):
        folder = in_folder(tmp_path / str(number), peers.cobra(SESSIONS, stamp=stamp))
        assert told(read_history(folder)) == expected
    (tmp_path / "dbcop").mkdir()
    (tmp_path / "dbcop" / "history.bincode").write_bytes(TEXTS["dbcop"])
    assert told(read_history(tmp_path / "dbcop")) == expected
    packed = tmp_path / "packed"
    packed.write_bytes(gzip.compress(TEXTS["dbcop"]))
    assert told(read_history(packed)) == expected


def test_columns_made_at_once_say_what_the_operations_say() -> None:
    for data in (TEXTS["plume"], TEXTS["dbcop-json"], b"w(18446744073709551614,7,3,9)\n"):
        history = parse(data)
        assert history.prepared is not None
        made = columns(History(list(history.operations), history.header))
        found = columns(history)
        assert [found.value_at(at) for at in range(len(found))] == [
            made.value_at(at) for at in range(len(made))
        ]
        assert [list(getattr(found, name)) for name in ("type", "process", "pair", "index")] == [
            list(getattr(made, name)) for name in ("type", "process", "pair", "index")
        ]
        assert list(history.operations[1:3]) == list(history.operations)[1:3]
        assert history.operations[-1] == list(history.operations)[-1]


def test_plain_text_is_read_as_line_by_line(monkeypatch: pytest.MonkeyPatch) -> None:
    odd = b"w(1,2,0,7)\nr(1,0,1,8)\nw(3,3,1,-1)\nr(1,2,0,9)\nr(4,4,4,-1)\nw(9,1,0,7)\nw(3,4,1,-1)\n"
    for module, data in ((plume, odd), (awdit, TEXTS["awdit"])):
        quick = told(module.read(data, "x"))
        assert module._quick(data) is not None
        if module is plume:  # a block holds a line
            monkeypatch.setattr(plume, "_BLOCK", 16)
            assert told(plume.read(data, "x")) == quick
        monkeypatch.setattr(module, "_quick", lambda data: None)
        assert told(module.read(data, "x")) == quick
    assert [row[1] for row in told(plume.read(odd, "x"))[1::2]] == [
        "ok", "ok", "fail", "ok", "fail",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "line",
    [
        b"w(1,2,3)\n", b"w1(1,2,3,4)\n", b"5w(1,2,3,4)\n", b"w(,1,2,3)\n", b"w(1,2,3,4)5\n",
        b"w(1,-2,3,4)\n", b"w(1,2,3,-2)\n", b"w(1,2,3,--1)\n", b"w(1,2,3,4)w(1,2,3,4)\n",
        b"r(1,2,3,18446744073709551615)\n", b"r(1,99999999999999999999999,3,4)\n",
        b"q(1,2,3,4)\n", b"w(1,2,3,4\n", b"w(1,2,3000000000,4)\n", b"w(1,2,3,\xff)\n",
    ],
)  # fmt: skip
def test_what_is_no_line_of_plumes_is_refused_with_its_place(line: bytes) -> None:
    with pytest.raises(HistoryError, match=r"file: .*(line 2|expected a session)"):
        parse(b"w(1,1,0,0)\n" + line, "plume")


@pytest.mark.parametrize(
    "line",
    [b"w 1\n", b"w1 2 3\n", b"w 1 2 3\n", b"--5--\n", b"w 1 18446744073709551616\n", b"=-\n"],
)
def test_what_is_no_line_of_awdits_is_refused_with_its_place(line: bytes) -> None:
    with pytest.raises(HistoryError, match="file: line 2, column 1"):
        parse(b"w 1 1\n" + line + b"---\n", "awdit")


@pytest.mark.parametrize("text", [b"---\n", b"=====\n---\n", b"---\n\n"])
def test_a_text_of_rules_alone_is_empty(text: bytes) -> None:
    assert len(parse(text)) == 0


def test_what_failed_is_aborted() -> None:
    failed = peers.dbcop([[[("w", 1, 5)]]], happened=False)
    assert told(parse(failed))[1] == (0, "fail", "txn", [["w", 1, 5]])
    text = json.dumps([[{"events": [["w", 1, 5]], "committed": False}]]).encode()
    assert told(parse(text))[1] == (0, "fail", "txn", [["w", 1, 5]])
    event = struct.pack("<BQQB", 1, 1, 5, 1)
    lost = peers.dbcop([[[("w", 1, 5), ("w", 2, 6)]]]).replace(event, event[:-1] + b"\0")
    assert [row[1:] for row in told(parse(lost))[1::2]] == [
        ("ok", "txn", [["w", 2, 6]]),
        ("fail", "txn", [["w", 1, 5]]),
    ]


def test_a_zero_that_somebody_wrote_is_no_initial_state() -> None:
    for text in (b"w(1,0,0,0)\nr(1,0,1,1)\nr(2,0,1,1)\n", None):
        data = text or peers.dbcop([[[("w", 1, 0)]], [[("r", 1, 0), ("r", 2, 0)]]])
        assert told(parse(data))[-1][3] == [["r", 1, 0], ["r", 2, None]]


def test_a_log_of_cobras_alone_is_refused_unless_that_is_all() -> None:
    data = TEXTS["cobra"]
    with pytest.raises(HistoryError, match="one session of Cobra's"):
        parse(data)
    assert len(parse(data, "cobra")) == 4


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ((b"S", b"A"), "byte 0: expected S"),
        ((struct.pack(">Q", 12), struct.pack(">Q", 0xABCDEFAB)), "byte 9: the record deletes"),
        ((struct.pack(">Q", 12), struct.pack(">Q", 0xDEADBEEF)), "id of the initial state"),
        (
            (b"R" + struct.pack(">QQ", 7, 12), b"R" + struct.pack(">QQ", 7, 0xADEAFBEE)),
            "already thrown away",
        ),
        (
            (b"R" + struct.pack(">Q", 7), b"R" + struct.pack(">Q", 0xBEBEEBEE)),
            "from the initial transaction a write that is not of it",
        ),
        ((b"C" + struct.pack(">Q", 102), b"C" + struct.pack(">Q", 9)), "byte .*: expected W, R or"),
    ],
)
def test_odd_records_of_cobras_are_refused(
    change: tuple[bytes, bytes], expected: str, tmp_path: Path
) -> None:
    files = peers.cobra(SESSIONS)
    assert change[0] in files["T0.log"]
    files["T0.log"] = files["T0.log"].replace(*change)
    with pytest.raises(HistoryError, match=expected):
        cobra.read_files(files, "folder")


def test_long_transactions_are_walked_like_short_ones() -> None:
    rows = [("w", number, number + 1) for number in range(50)]
    few, many = [[rows]], [[[("w", 1, number)]] for number in range(1, 101)]
    for sessions in (few, [*few, *many]):
        found = cobra.read_files(peers.cobra(sessions), "x")
        assert told(found)[1][3] == [list(row) for row in rows]
        assert len(found) == 2 * len(sessions)


def test_a_list_text_is_a_list_append_history() -> None:
    history = parse(peers.VERISTRONG)
    assert history.header.model == "list-append"
    assert told(history)[1::2] == [
        (0, "ok", "txn", [["append", 1, 12], ["r", 2, []]]),
        (1, "ok", "txn", [["append", 1, 345], ["r", 1, [12, 345]]]),
        (0, "ok", "txn", [["r", 1, [12, 345]]]),
        (1, "ok", "txn", [["r", 1, []]]),
    ]
    for bad in (b"2\n0 1 A 1 2\n", b"1\n0 1 R 1 2 3\n", b"1\n0 1 A 1 2 3\n", b"1\n0 1 A 1 2"):
        with pytest.raises(HistoryError):
            parse(bad, "veristrong")


def test_etcds_operations_are_registers_by_key() -> None:
    history = parse(peers.ETCD)
    assert (history.header.model, history.header.independent) == ("cas-register", True)
    assert told(history) == [
        (1, "invoke", "write", ["k", "12"]),
        (2, "invoke", "read", ["k", None]),
        (2, "ok", "read", ["k", "12"]),
        (1, "ok", "write", ["k", "12"]),
        (2, "invoke", "cas", ["k", ["12", "345"]]),
        (2, "ok", "cas", ["k", ["12", "345"]]),
        (1, "invoke", "read", ["k", None]),
        (1, "ok", "read", ["k", "345"]),
    ]


def test_an_error_of_etcds_stays_open_and_a_condition_that_did_not_hold_says_nothing() -> None:
    lost = peers.etcd(1, 5, peers.put("k", "1"), {"Error": "timeout"}, 0)
    held = peers.etcd(2, 6, peers.put("k", "2", 9), peers.done(3, failed=True), 8)
    history = parse(lost + held, "etcd-operations")
    assert told(history) == [(1, "invoke", "write", ["k", "1"])]
    assert "condition that did not hold (1)" in history.notices[-1]


@pytest.mark.parametrize(
    ("request_", "why"),
    [
        (peers.get("k", Revision=3), "old revision"),
        (peers.get("k", End="l"), "range of keys"),
        ({"Type": "watch"}, "is a watch"),
        (peers.put("k", "1", 9), "expects revision 9"),
    ],
)
def test_what_registers_cannot_do_is_refused_with_its_reason(request_: Any, why: str) -> None:
    answer = peers.done(2) if "Txn" in request_ else peers.got(2)
    with pytest.raises(HistoryError, match=f"line 1, column 1: .*{why}"):
        parse(peers.etcd(1, 5, request_, answer, 9), "etcd-operations")
    leased = peers.put("k", "1")
    leased["Txn"]["OperationsOnSuccess"][0]["Put"]["LeaseID"] = 7
    with pytest.raises(HistoryError, match="lease"):
        parse(peers.etcd(1, 5, leased, peers.done(2), 9), "etcd-operations")


def test_a_report_of_etcds_is_read_as_a_whole_and_a_client_alone_is_refused(
    tmp_path: Path,
) -> None:
    mine = [line + b"\n" for line in peers.ETCD.split(b"\n") if b'"ClientId": 1' in line]
    other = [line + b"\n" for line in peers.ETCD.split(b"\n") if b'"ClientId": 2' in line]
    files = {
        "client-1/operations.json": b"".join(mine),
        "client-2/operations.json": b"".join(other),
    }
    folder = in_folder(tmp_path, {**files, "client-1/watch.json": b"{}\n"})
    assert told(read_history(folder)) == told(parse(peers.ETCD))
    with pytest.raises(HistoryError, match="of one client"):
        read_history(folder / "client-1" / "operations.json")
    with pytest.raises(HistoryError, match="files of more than"):
        read_history(folder, bounds=Bounds(100))


CAS = (
    ("dump", 0, -1),
    ("call", 0, {"Op": 1, "Arg1": 3, "Arg2": 0}),
    ("invoke", -1, {"Name": "partition", "Ops": []}),
    ("return", 0, {"Ok": False, "Exists": False, "Value": 0, "Unknown": False}),
    ("call", 1, {"Op": 2, "Arg1": 3, "Arg2": 4}),
    ("return", 1, {"Ok": False, "Exists": False, "Value": 0, "Unknown": True}),
    ("call", 2, {"Op": 2, "Arg1": 9, "Arg2": 4}),
    ("return", 2, {"Ok": False, "Exists": False, "Value": 0, "Unknown": False}),
    ("call", 3, {"Op": 0, "Arg1": 0, "Arg2": 0}),
    ("return", 3, {"Ok": False, "Exists": False, "Value": 0, "Unknown": False}),
    ("recover", -1, "partition"),
)


def test_calls_and_returns_are_what_each_test_means_by_them() -> None:
    history = parse(peers.chaos(*CAS))
    assert (history.header.model, history.header.initial) == ("cas-register", None)
    assert told(history) == [
        (0, "invoke", "write", 3),
        ("nemesis", "info", "partition", "invoke"),
        (0, "ok", "write", 3),
        (1, "invoke", "cas", [3, 4]),
        (1, "info", "cas", [3, 4]),
        (2, "invoke", "cas", [9, 4]),
        (2, "fail", "cas", [9, 4]),
        (3, "invoke", "read", None),
        (3, "ok", "read", None),
        ("nemesis", "info", "partition", "recover"),
    ]
    register = parse(peers.CHAOS)
    assert (register.header.model, register.header.initial) == ("register", 0)
    assert told(register)[1] == (0, "ok", "write", 12)
    assert told(register)[3] == (1, "ok", "read", 12)


def test_accounts_and_keys_of_tipockets_are_read() -> None:
    transfer = {"Op": 1, "From": 0, "To": 1, "Amount": 5}
    bank = parse(
        peers.chaos(
            ("dump", 0, [10, 10]),
            ("call", 0, transfer),
            ("return", 0, {"Ok": False, "Unknown": False, "Balances": None}),
            ("call", 0, {"Op": 0, "From": 0, "To": 0, "Amount": 0}),
            ("return", 0, {"Ok": False, "Unknown": False, "Balances": [10, 10]}),
        )
    )
    assert (bank.header.model, bank.header.initial) == ("bank", {"0": 10, "1": 10})
    assert told(bank)[1] == (0, "fail", "transfer", {"from": 0, "to": 1, "amount": 5})
    assert told(bank)[3] == (0, "ok", "read", {"0": 10, "1": 10})
    keys = parse(
        peers.chaos(
            ("call", 0, {"Op": 2, "Key": 7, "Val": 0}),
            ("return", 0, {"Val": 0, "Unknown": False}),
            ("call", 0, {"Op": 0, "Key": 7, "Val": 0}),
            ("return", 0, {"Val": 0, "Unknown": False}),
        )
    )
    assert keys.header.independent
    assert told(keys)[0] == (0, "invoke", "write", [7, None])
    assert told(keys)[3] == (0, "ok", "read", [7, None])


def test_transactions_of_tipockets_are_lists_or_registers() -> None:
    def micro(kind: str, value: Any) -> Any:
        return {"type": kind, "m": {"key": "1", "value": value}}

    for kind, name, answer in (("append", "append", [5]), ("write", "w", 5)):
        asked = {"type": "invoke", "value": [micro(kind, 5), micro("read", None)]}
        result = {"type": "ok", "value": [micro(kind, 5), micro("read", answer)]}
        lost = {"Result": {"type": "unknown", "value": None}}
        history = parse(
            peers.chaos(
                ("call", 0, asked), ("return", 0, {"Result": result}),
                ("call", 0, asked), ("return", 0, lost),
            )
        )  # fmt: skip
        assert history.header.model == ("list-append" if kind == "append" else "rw-register")
        assert told(history)[1] == (0, "ok", "txn", [[name, "1", 5], ["r", "1", answer]])
        assert told(history)[3] == (0, "info", "txn", [[name, "1", 5], ["r", "1", None]])


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ({"Kind": "read", "Keys": [1]}, "a request of Keys, Kind is of no test that is known"),
        ({"Op": 7, "Arg1": 1, "Arg2": 1}, "expected an Op below 3, found 7"),
        ({"Op": 1, "Arg1": "x", "Arg2": 1}, "expected a number as Arg1"),
        ([1], "expected an object as data"),
    ],
)
def test_calls_of_other_tests_are_refused_by_what_they_say(data: Any, expected: str) -> None:
    with pytest.raises(HistoryError, match=f"line 1, column 1: {expected}"):
        parse(peers.chaos(("call", 0, data)))


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b'{"Request": {"Key": "a"}, "Responses": []}\n', "watched"),
        (b"[x:=1 y==2]\n---\n[x==?]\n", "short text"),
        (b"\x00\x01\x02\x03 what is this", "expected a history"),
    ],
)
def test_what_is_known_and_not_read_is_refused_by_its_name(data: bytes, expected: str) -> None:
    with pytest.raises(HistoryError, match=f"file.*{expected}"):
        parse(data)


def outcome(data: bytes, format: str | None) -> str:
    try:
        list(parse(data, format))
    except HistoryError as error:
        return "refused" if "file" in str(error) else f"does not name the file: {error}"
    return "read"


@pytest.mark.parametrize("format", TEXTS)
def test_hostile_changes_of_every_byte_end_in_a_history_or_a_clear_refusal(format: str) -> None:
    data = TEXTS[format]
    for at in range(len(data)):
        rest = data[at + 1 :]
        for put in (b"\xff" + rest, b"9" * 30, b"[" * 2000, rest, b""):
            for forced in (None, format):
                assert outcome(data[:at] + put, forced) in ("read", "refused")


@pytest.mark.parametrize("count", [1 << 20, 1 << 40, (1 << 64) - 1])
def test_counts_that_promise_more_than_there_is_take_no_memory(count: int) -> None:
    head = peers.dbcop([])[:-8]
    for tail in ((count,), (1, count), (1, 1, count)):
        with pytest.raises(HistoryError, match="file: byte"):
            parse(head + struct.pack(f"<{len(tail)}Q", *tail), "dbcop")
