"""A history that was cut off anywhere is never taken for a whole one without a word.

Every format, cut at every byte: an error, a notice, or no operation at all. Only where the rest
begins with a new record can nobody tell.
"""

from __future__ import annotations

import gzip
import io
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest
import zstandard

from harness.cli.main import run
from harness.errors import HistoryError
from harness.history import reader
from harness.history.formats import edn
from harness.history.formats.known import export
from harness.history.history import History
from harness.history.operation import Header, Operation
from harness.history.reader import parse_history, read_history
from tests.harness.history import peers

VALUES: Final = (12, 345)


def registers() -> History:
    """Writes and reads of one register, by two clients: every answer is right."""
    operations = []
    for number, value in enumerate(VALUES):
        for f, asked in (("write", value), ("read", None)):
            for kind, told in (("invoke", asked), ("ok", value)):
                at = len(operations)
                operations.append(Operation(at, at * 10, number % 2, kind, f, told))
    return History(operations, Header(model="cas-register"))


def lists() -> History:
    """Transactions of one client on two lists."""
    operations, held = [], list[int]()
    for value in VALUES:
        held = [*held, value]
        asked = [["append", 1, value], ["r", 1, None]]
        told = [["append", 1, value], ["r", 1, held]]
        for kind, micro in (("invoke", asked), ("ok", told)):
            at = len(operations)
            operations.append(Operation(at, at * 10, 0, kind, "txn", micro))
    return History(operations, Header(model="list-append"))


def exported(history: History, format: str) -> bytes:
    out = io.BytesIO()
    export(history, out, format)
    return out.getvalue()


def vector(history: History) -> bytes:
    """EDN with a vector around it."""
    header, _, body = exported(history, "edn").partition(b"\n")
    return header + b"\n[" + body.replace(b"\n", b"\n ") + b"]\n"


def log(history: History) -> bytes:
    """As Jepsen logs it."""
    return b"".join(
        f"INFO  jepsen.util - {operation.process}\t:{operation.type}\t:{operation.f}\t"
        f"{'nil' if operation.value is None else operation.value}\n".encode()
        for operation in history
    )


def _records(data: bytes) -> set[int]:
    """Where lines of a record end: a history that stops there may be whole."""
    return {place + 1 for place in range(len(data)) if data[place : place + 1] == b"\n"}


def _none(data: bytes) -> set[int]:
    return set()


def _closed(data: bytes) -> set[int]:
    """What brackets hold together is whole once they close."""
    return set(range(len(data.rstrip()), len(data)))


PLUME: Final = b"w(1,12,0,0)\nr(1,12,0,0)\nw(2,345,1,1)\nr(1,12,1,2)\nr(2,345,1,2)\n"
AWDIT: Final = b"w 1 12\nr 1 12\n---\nw 2 345\n---\n===\nr 1 12\nr 2 345\n---\n"
_AFTER_BREAK: Final = {AWDIT.index(b"-\n") + 2, AWDIT.index(b"-\n=") + 2, AWDIT.index(b"=\n") + 2}

CASES: Final[dict[str, tuple[bytes, Callable[[bytes], set[int]]]]] = {
    "jsonl": (exported(registers(), "jsonl"), _records),
    "jsonl of lists": (exported(lists(), "jsonl"), _records),
    "jsonl in UTF-16": (
        exported(registers(), "jsonl").decode().encode("utf-16"),
        lambda data: {2 + 2 * place for place in _records(data.decode("utf-16").encode())},
    ),
    "json": (exported(registers(), "json"), _closed),
    "edn": (exported(registers(), "edn"), _records),
    "edn of lists": (exported(lists(), "edn"), _records),
    "edn vector": (vector(registers()), _closed),
    "jepsen-log": (log(registers()), _records),
    "plume": (PLUME, _records),
    "awdit": (AWDIT, lambda data: _AFTER_BREAK),
    "dbcop": (peers.dbcop(peers.SESSIONS), _none),
    "dbcop.gz": (gzip.compress(peers.dbcop(peers.SESSIONS), mtime=0), _none),
    "dbcop-json": (peers.dbcop_json(peers.SESSIONS), _closed),
    "veristrong": (peers.VERISTRONG, _none),
    "etcd-operations": (peers.ETCD, _records),
    "chaos": (peers.CHAOS, _records),
    "jsonl.gz": (gzip.compress(exported(registers(), "jsonl"), mtime=0), _none),
    "jsonl.zst": (zstandard.compress(exported(registers(), "jsonl")), _none),
    "jsonl.gz.zst": (zstandard.compress(gzip.compress(exported(lists(), "jsonl"))), _none),
}


@pytest.fixture
def how(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "compiled":
        monkeypatch.setattr(reader, "SMALLEST_SCANNED", 1)
        monkeypatch.setattr(edn, "QUICK_BYTES", 1)
    return str(request.param)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("case", "how"),
    [(case, "ordinary") for case in CASES]
    + [(case, "compiled") for case in ("jsonl of lists", "edn of lists", "edn vector")],
    indirect=["how"],
)
def test_no_cut_is_silent(case: str, how: str, tmp_path: Path) -> None:
    data, boundaries = CASES[case]
    path = tmp_path / "history"
    path.write_bytes(data)
    whole = read_history(path)
    assert len(whole) > 0
    quiet = set(whole.notices)
    silent = []
    for cut in range(len(data)):
        path.write_bytes(data[:cut])
        try:
            found = read_history(path)
        except HistoryError:
            continue
        if len(found) and not set(found.notices) - quiet and not found.partial:
            silent.append(cut)
        assert len(found) <= len(whole)
    assert set(silent) <= boundaries(data)


@pytest.mark.slow
@pytest.mark.parametrize("case", [case for case in CASES if case != "etcd-operations"])
def test_what_a_cut_leaves_is_a_prefix(case: str, tmp_path: Path) -> None:
    """No answer is cut short: what is kept of a last line without an end is all of it."""
    data, _ = CASES[case]
    path = tmp_path / "history"
    path.write_bytes(data)
    whole = [(each.type, each.f, each.process, each.value) for each in read_history(path)]
    if case in ("plume", "awdit"):  # what stands before may become a longer transaction
        whole = []
    for cut in range(len(data)):
        path.write_bytes(data[:cut])
        try:
            found = [(each.type, each.f, each.process, each.value) for each in read_history(path)]
        except HistoryError:
            continue
        if whole:
            assert found == whole[: len(found)], cut
        else:  # but nobody is said to have read what is half a number
            numbers = {part[2] for _, _, _, value in found for part in value if part[0] == "r"}
            assert numbers <= {12, 345, None}


def test_a_last_number_that_somebody_wrote_is_kept_with_a_notice() -> None:
    found = parse_history(b"w 1 7\n===\nr 1 7", "sessions")
    assert [each.value for each in found][-1] == [["r", 1, 7]]
    assert found.notices[0] == (
        "sessions: the last line has no end, so more may have followed that was cut off"
    )
    with pytest.raises(HistoryError, match="nobody wrote the 7 to 2 that it read"):
        parse_history(b"w 1 7\n===\nr 2 7", "sessions")


def test_a_last_line_without_end_is_told_with_the_verdict(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = exported(registers(), "jsonl")
    path = tmp_path / "history.jsonl"
    path.write_bytes(data[:-1])
    assert run(("check", str(path))) == 0
    told = capsys.readouterr()
    assert told.out == f"{path}\ttrue\n"
    assert "the last line has no end" in told.err
    path.write_bytes(data)
    assert run(("check", str(path))) == 0
    assert "has no end" not in capsys.readouterr().err


@pytest.mark.parametrize("wrap", [gzip.compress, zstandard.compress])
def test_compressed_data_that_ends_early_is_an_error_with_a_way_out(
    wrap: Callable[[bytes], bytes], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "history.packed"
    path.write_bytes(wrap(exported(registers(), "jsonl"))[:-3])
    assert run(("check", str(path))) == 4
    told = capfd.readouterr()
    assert told.out == ""
    assert "the compressed data is damaged: it ends early" in told.err
    assert "unpack that" in told.err


def test_numbers_of_a_log_that_may_go_on_are_left_out() -> None:
    text = b"0 :invoke :write 1\n0 :ok :write 1\n1 :invoke :read nil\n1 :ok :read 1"
    found = parse_history(text, "log", "jepsen-log")
    assert (len(found), found.partial) == (3, True)
    assert found.notices[0] == "log: the last line is torn and was left out"
    assert len(parse_history(text + b"\n", "log", "jepsen-log")) == 4


@pytest.mark.parametrize("format", ["jsonl", "edn", "jepsen-log"])
def test_half_a_record_of_a_named_file_is_refused_and_judged_where_that_is_asked(
    format: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / f"history.{format}"
    log = b"INFO  jepsen.util - 0\t:invoke\t:write\t12\nINFO  jepsen.util - 0\t:ok\t:write\t12\n"
    whole = log * 2 if format == "jepsen-log" else exported(registers(), format)
    path.write_bytes(whole[:-3])
    check = ("check", "-m", "cas-register", "-f", format, str(path))
    assert run(check) == 4
    said = capfd.readouterr()
    assert said.out == ""
    assert "ends within a record" in said.err
    assert "--partial" in said.err
    assert run((*check, "--partial")) in (0, 2)
    said = capfd.readouterr()
    assert said.out.startswith(f"{path}\t")
    assert "torn and was left out" in said.err


def test_what_a_killed_run_left_is_judged(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "scenario.toml").write_text('system = "etcd"\n')
    path = tmp_path / "history.jsonl"
    path.write_bytes(exported(registers(), "jsonl")[:-3])
    assert run(("check", "-m", "cas-register", str(path))) in (0, 2)
    assert "torn and was left out" in capfd.readouterr().err


def test_a_log_of_cobras_ends_between_transactions_or_is_refused(tmp_path: Path) -> None:
    files = peers.cobra(peers.SESSIONS)
    whole = files["T0.log"]
    boundary = 9 + 25 + 33 + 9
    for cut in range(10, len(whole)):
        for name, data in (files | {"T0.log": whole[:cut]}).items():
            (tmp_path / name).write_bytes(data)
        if cut == boundary:
            assert len(read_history(tmp_path)) == 4
            continue
        with pytest.raises(HistoryError, match=r"T0\.log: byte"):
            read_history(tmp_path)
