"""The fault ledger: on disk before anything happens, readable whatever happens."""

from __future__ import annotations

import json
import os
import threading
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from harness.errors import HistoryError, StoreError
from harness.history.ledger import EVENTS, Ledger, LedgerEntry, read_ledger


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "faults.jsonl"


def ledger_at(path: Path, **more: Any) -> Ledger:
    ticks = count()
    return Ledger(path, lambda: next(ticks), **more)


def test_every_entry_is_in_the_file_before_the_call_returns(path: Path) -> None:
    ledger = ledger_at(path)
    number = ledger.intend("kill", ["n1"], {"processes": {"n1": [{"pid": 7}]}})
    assert [entry.event for entry in read_ledger(path)] == ["intend"]
    ledger.record(number, "injected")
    ledger.record(number, "bit", {"proof": {"what": "gone"}})
    assert read_ledger(path) == ledger.entries
    assert [entry.time for entry in read_ledger(path)] == [0, 1, 2]


def test_a_line_has_the_keys_of_the_file_format(path: Path) -> None:
    ledger_at(path).intend("kill", ["n1"], {"target": "one"})
    assert json.loads(path.read_text()) == {
        "id": 0,
        "fault": "kill",
        "targets": ["n1"],
        "event": "intend",
        "time": 0,
        "detail": {"target": "one"},
    }


def test_the_listener_hears_of_entries_that_are_on_disk(path: Path) -> None:
    seen: list[tuple[LedgerEntry, list[LedgerEntry]]] = []
    ledger = ledger_at(path, listener=lambda entry: seen.append((entry, read_ledger(path))))
    ledger.intend("kill", [], {})
    assert [entry for entry, _ in seen] == seen[0][1]


@pytest.mark.parametrize("cut", range(1, 60, 7))
def test_a_torn_last_line_is_left_out(path: Path, cut: int) -> None:
    ledger = ledger_at(path)
    ledger.record(ledger.intend("kill", ["n1"], {}), "injected")
    path.write_bytes(path.read_bytes()[:-cut])
    assert [entry.event for entry in read_ledger(path)] == ["intend"]


def test_a_new_writer_goes_on_after_a_torn_line(path: Path) -> None:
    ledger_at(path).intend("kill", ["n1"], {})
    with path.open("ab") as file:
        file.write(b'{"id": 1, "fa')
    assert ledger_at(path).intend("pause", ["n2"], {}) == 1
    assert [entry.fault for entry in read_ledger(path)] == ["kill", "pause"]


def test_rubbish_before_the_last_line_is_an_error_with_its_line(path: Path) -> None:
    ledger_at(path).intend("kill", ["n1"], {})
    path.write_bytes(path.read_bytes() + b"rubbish\n")
    with pytest.raises(HistoryError, match="line 2"):
        read_ledger(path)


def test_no_file_means_that_nothing_was_ever_meant(path: Path) -> None:
    assert read_ledger(path) == []


def test_unknown_events_and_injections_are_refused(path: Path) -> None:
    ledger = ledger_at(path)
    with pytest.raises(ValueError, match="no injection 3"):
        ledger.record(3, "healed")
    ledger.intend("kill", [], {})
    with pytest.raises(ValueError, match="not an event"):
        ledger.record(0, "hoped")


def test_after_a_failed_write_nothing_is_appended_again(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = ledger_at(path)
    whole = os.write
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", lambda file, data: whole(file, data[:5]))
        with pytest.raises(StoreError, match="only 5 of"):
            ledger.intend("kill", ["n1"], {})
    with pytest.raises(StoreError, match="only 5 of"):
        ledger.intend("kill", ["n1"], {})
    assert read_ledger(path) == ledger.entries == []


def test_a_closed_ledger_refuses(path: Path) -> None:
    ledger = ledger_at(path)
    ledger.close()
    ledger.close()
    with pytest.raises(StoreError, match="closed"):
        ledger.intend("kill", [], {})


def test_a_ledger_that_cannot_be_opened_is_a_store_error(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="cannot be opened"):
        ledger_at(tmp_path / "missing" / "faults.jsonl")


def test_threads_get_ids_of_their_own(path: Path) -> None:
    ledger = ledger_at(path)
    ids: list[int] = []

    def work() -> None:
        for _ in range(20):
            ids.append(ledger.intend("kill", [], {}))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(ids) == list(range(80))
    assert [entry.id for entry in read_ledger(path)] == list(range(80))


def entries(*events: str) -> list[LedgerEntry]:
    """Entries of injection 0, 1, … written as ``"0 kill healed"``."""
    split = [event.split() for event in events]
    return [LedgerEntry(int(n), fault, [], event, at) for at, (n, fault, event) in enumerate(split)]


def test_every_event_is_accepted(path: Path) -> None:
    ledger = ledger_at(path)
    number = ledger.intend("kill", [], {})
    for event in EVENTS[1:]:
        ledger.record(number, event, {})
    assert tuple(entry.event for entry in read_ledger(path)) == EVENTS
