"""The onlooker: what is seen of a run from its journal and its events, as both grow."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from checkers.linearizable import Linearizable
from harness.history.formats.jsonl import append_operation, encode_header
from harness.history.operation import INVOKE, OK, Header, Operation
from harness.plugins import Registry
from harness.run.onlooker import Onlooker, checkers_of

HEADER = Header(model="register")


def lines(*operations: Operation) -> bytes:
    buffer = bytearray()
    for operation in operations:
        append_operation(operation, buffer)
    return bytes(buffer)


def write(at: int, value: int) -> bytes:
    asked = Operation(at, at * 1000, 0, INVOKE, "write", value)
    return lines(asked, Operation(at + 1, at * 1000 + 500, 0, OK, "write", value))


def read(at: int, value: int) -> bytes:
    asked = Operation(at, at * 1000, 1, INVOKE, "read", None)
    return lines(asked, Operation(at + 1, at * 1000 + 500, 1, OK, "read", value))


def grow(run_dir: Path, data: bytes) -> None:
    with (run_dir / "history.jsonl").open("ab") as out:
        out.write(data)


def tick(onlooker: Onlooker, time_s: float = 1.0) -> Mapping[str, Any]:
    return onlooker.hear({"event": "progress", "time_ns": int(time_s * 1e9)})


def test_what_the_journal_grew_by_is_seen_a_torn_line_when_it_is_whole(tmp_path: Path) -> None:
    onlooker = Onlooker(tmp_path, [("linearizable", Linearizable({}))])
    assert tick(onlooker)["pace"]["ok"] == [0, 0]  # there is no journal yet
    grow(tmp_path, encode_header(HEADER) + write(0, 1) + write(2, 2))
    assert tick(onlooker)["pace"]["ok"] == [2, 0]
    stale = read(4, 1)
    grow(tmp_path, stale[:-5])
    seen = tick(onlooker)
    assert (seen["pace"]["ok"], seen["anomaly"], seen["watched"]) == (
        [2, 0],
        None,
        ["linearizable"],
    )
    grow(tmp_path, stale[-5:])
    seen = tick(onlooker)
    assert seen["pace"]["ok"] == [3, 0]
    assert seen["anomaly"]["kind"] == "stale-read"
    assert seen["anomaly"]["index"] == 5


def test_the_first_anomaly_stays_the_first(tmp_path: Path) -> None:
    onlooker = Onlooker(tmp_path, [("linearizable", Linearizable({}))])
    grow(tmp_path, encode_header(HEADER) + write(0, 1) + write(2, 2) + read(4, 1) + read(6, 9))
    assert tick(onlooker)["anomaly"]["index"] == 5
    grow(tmp_path, read(8, 9))
    assert tick(onlooker)["anomaly"]["index"] == 5


def test_faults_come_bite_and_go(tmp_path: Path) -> None:
    onlooker = Onlooker(tmp_path, [])

    def say(what: str, time_s: float, number: int, fault: str = "kill") -> None:
        facts = {"event": "fault", "id": number, "fault": fault, "targets": ["n1"], "what": what}
        onlooker.hear({**facts, "time_ns": int(time_s * 1e9)})

    say("intend", 1.0, 0)
    assert tick(onlooker)["bands"] == []
    say("injected", 1.5, 0)
    say("bit", 1.6, 0)
    band = {"fault": "kill", "targets": ["n1"], "start_s": 1.5, "end_s": None, "bit": True}
    assert tick(onlooker)["bands"] == [band]
    say("healed", 4.0, 0)
    say("done", 5.0, 1, "compact")
    ends = [(each["start_s"], each["end_s"]) for each in tick(onlooker)["bands"]]
    assert ends == [(1.5, 4.0), (5.0, 5.0)]


def test_what_cannot_be_read_ends_the_view_and_nothing_else(tmp_path: Path) -> None:
    onlooker = Onlooker(tmp_path, [])
    grow(tmp_path, encode_header(HEADER) + b"no record\n")
    assert tick(onlooker)["pace"]["ok"] == [0, 0]
    assert "not followed any more" in onlooker.trouble
    grow(tmp_path, write(0, 1))
    assert tick(onlooker)["pace"]["ok"] == [0, 0]


def test_a_link_is_no_journal(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_bytes(encode_header(HEADER) + write(0, 1))
    (tmp_path / "history.jsonl").symlink_to(tmp_path / "elsewhere")
    assert tick(Onlooker(tmp_path, []))["pace"]["ok"] == [0, 0]


def test_a_checker_that_cannot_be_made_is_left_to_the_judge() -> None:
    found = checkers_of(["bank", "no-such-checker"], {}, Registry())
    assert [name for name, _ in found] == ["bank"]
