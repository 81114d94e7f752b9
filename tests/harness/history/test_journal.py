"""The journal: one ordered buffer, nothing after a failed write, bounded loss."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path

import pytest

from harness.errors import StoreError
from harness.history import journal as journal_module
from harness.history.journal import Journal
from harness.history.operation import Header, Operation
from harness.history.reader import read_history


def template(
    process: int = 0, type: str = "invoke", f: str = "read", value: object = None
) -> Operation:
    return Operation(-1, -1, process, type, f, value)


def append_and_flush(journal: Journal, operation: Operation) -> None:
    journal.append(operation)
    journal.flush()


def lines_of(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_the_header_is_the_first_line(tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    with Journal(path, Header(system="etcd", seed=7, independent=True)):
        written = lines_of(path)  # before anything else is flushed
    assert written == [{"polygraph": 1, "seed": 7, "system": "etcd", "independent": True}]


def test_index_is_dense_and_time_never_decreases(tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    with Journal(path, Header()) as journal:
        recorded = [journal.append(template(process)) for process in range(1000)]
        assert 0 <= recorded[-1].time <= journal.now()
        assert journal.count == 1000
    assert [operation.index for operation in recorded] == list(range(1000))
    times = [operation.time for operation in recorded]
    assert times == sorted(times)
    assert list(read_history(path)) == recorded


def test_keys_stand_in_order_and_nil_optionals_are_left_out(tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    with Journal(path, Header()) as journal:
        journal.append(template(3))
        journal.append(Operation(-1, -1, 3, "info", "read", None, error="timeout", node="n1"))
        journal.append(Operation(-1, -1, "nemesis", "info", "kill", {"a": 1}, extra={"odd": [1]}))
    first, second, third = lines_of(path)[1:]
    assert list(first) == ["index", "time", "process", "type", "f", "value"]
    assert first["value"] is None
    assert list(second) == ["index", "time", "process", "type", "f", "value", "error", "node"]
    assert list(third)[-2:] == ["value", "odd"]


def test_records_of_many_threads_are_whole_and_in_one_order(tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    with Journal(path, Header()) as journal:

        def client(process: int) -> None:
            for number in range(500):
                journal.append(template(process, value=number))
                journal.append(template(process, "ok", value=number))

        threads = [threading.Thread(target=client, args=(process,)) for process in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    history = read_history(path)
    assert [operation.index for operation in history] == list(range(8000))
    for process in range(8):
        values = [operation.value for operation in history if operation.process == process]
        assert values == [number for number in range(500) for _ in range(2)]


def test_an_idle_journal_flushes_by_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written = threading.Event()
    real_write = os.write

    def write(file: int, data: bytes) -> int:
        count = real_write(file, data)
        if b'"value":"awaited"' in bytes(data):
            written.set()
        return count

    monkeypatch.setattr(journal_module.os, "write", write)
    path = tmp_path / "history.jsonl"
    with Journal(path, Header()) as journal:
        journal.append(template(value="awaited"))
        assert written.wait(60)  # this thread does nothing: the background thread must
        assert lines_of(path)[1]["value"] == "awaited"


def test_an_append_writes_by_itself_where_the_background_thread_gets_no_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock_ns = 1_000_000
    monkeypatch.setattr(Journal, "_flush_often", lambda journal: None)
    monkeypatch.setattr(journal_module.time, "monotonic_ns", lambda: clock_ns)
    path = tmp_path / "history.jsonl"
    with Journal(path, Header()) as journal:
        journal.append(template(0))
        assert len(lines_of(path)) == 1
        clock_ns += 20_000_000
        journal.append(template(1))
        assert len(lines_of(path)) == 3
        journal.append(template(2))
        assert len(lines_of(path)) == 3


def test_sync_mode_writes_each_record_by_one_call_before_append_returns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[bytes] = []
    real_write = os.write

    def write(file: int, data: bytes) -> int:
        calls.append(bytes(data))
        return real_write(file, data)

    monkeypatch.setattr(journal_module.os, "write", write)
    path = tmp_path / "history.jsonl"
    with Journal(path, Header(), sync=True) as journal:
        for number in range(5):
            journal.append(template(number))
            assert len(lines_of(path)) == number + 2
    assert len(calls) == 6
    assert all(call.count(b"\n") == 1 and call.endswith(b"\n") for call in calls)


@pytest.mark.parametrize("sync", [False, True])
def test_nothing_is_appended_after_a_short_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sync: bool
) -> None:
    path = tmp_path / "history.jsonl"
    journal = Journal(path, Header(), sync=sync)
    journal.append(template(0, value="kept"))
    journal.flush()
    before = path.read_bytes()
    real_write = os.write
    monkeypatch.setattr(
        journal_module.os, "write", lambda file, data: real_write(file, bytes(data)[:10])
    )
    with pytest.raises(StoreError, match="only 10 of"):
        append_and_flush(journal, template(1, value="torn"))
    monkeypatch.setattr(journal_module.os, "write", real_write)
    assert journal.failure is not None
    with pytest.raises(StoreError):
        journal.append(template(2))
    with pytest.raises(StoreError):
        journal.flush()
    journal.close()  # the failure was told already
    after = path.read_bytes()
    assert after.startswith(before)
    assert len(after) == len(before) + 10
    history = read_history(path)
    assert [operation.value for operation in history] == ["kept"]
    assert history.partial
    assert "torn" in history.notices[0]


def test_close_tells_a_failure_that_nobody_was_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = Journal(tmp_path / "history.jsonl", Header())

    def refuse(file: int, data: bytes) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(journal_module.os, "write", refuse)
    journal.append(template())
    with pytest.raises(StoreError, match="No space left on device"):
        journal.close()
    journal.close()


def test_a_closed_journal_takes_nothing_and_reports_no_failure(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "history.jsonl", Header())
    journal.close()
    journal.close()
    assert journal.failure is None
    with pytest.raises(StoreError, match="closed"):
        journal.append(template())


def test_a_value_that_is_not_json_is_refused_and_leaves_no_trace(tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    with Journal(path, Header()) as journal:
        journal.append(template(0))
        with pytest.raises(TypeError):
            journal.append(template(1, value=object()))
        assert journal.append(template(2)).index == 1
    assert [operation.process for operation in read_history(path)] == [0, 2]


def test_an_error_text_with_a_lone_surrogate_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    with Journal(path, Header()) as journal:
        journal.append(template(0))
        journal.append(Operation(-1, -1, 0, "info", "read", None, error="bad byte \udc80"))
    assert read_history(path).operations[1].error == "bad byte \udc80"


def test_an_existing_history_is_never_written_over(tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    path.write_text("precious")
    with pytest.raises(StoreError, match="cannot be created"):
        Journal(path, Header())
    assert path.read_text() == "precious"


def test_what_comes_while_the_journal_closes_is_refused_and_not_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = Journal(tmp_path / "history.jsonl", Header())
    taken = [journal.append(template(0))]
    real_fsync = os.fsync

    def fsync(file: int) -> None:
        with pytest.raises(StoreError, match="closed"):
            taken.append(journal.append(template(1)))
        real_fsync(file)

    monkeypatch.setattr(journal_module.os, "fsync", fsync)
    journal.close()
    kept = (tmp_path / "history.jsonl").read_bytes().splitlines()[1:]
    assert len(kept) == len(taken) == 1
