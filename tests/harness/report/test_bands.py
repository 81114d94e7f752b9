"""Fault bands from ledgers and from histories."""

from __future__ import annotations

from typing import Any

from harness.history.history import History
from harness.history.ledger import LedgerEntry
from harness.history.operation import Operation
from harness.report.bands import bands_of_history, bands_of_ledger


def entry(id: int, event: str, time: int, **detail: Any) -> LedgerEntry:
    return LedgerEntry(id, "partition", ["n1"], event, time, detail)


def test_a_band_lasts_from_the_intention_to_the_proved_heal() -> None:
    (band,) = bands_of_ledger(
        [
            entry(1, "intend", 10, shape="one", what="n1 | n2 n3"),
            entry(1, "injected", 20),
            entry(1, "bit", 30, proof={"what": "12 packets dropped", "figures": {}}),
            entry(1, "heal", 40),
            entry(1, "healed", 50, what="all links carry"),
        ],
        last_ns=100,
    )
    assert (band.start, band.end) == (10, 50)
    assert band.label == "partition (one)"
    assert band.what == "n1 | n2 n3"
    assert band.proofs == {"bit": "12 packets dropped", "healed": "all links carry"}


def test_a_fault_never_healed_lasts_to_the_end_of_the_history() -> None:
    (band,) = bands_of_ledger([entry(1, "intend", 10), entry(1, "injected", 20)], last_ns=100)
    assert band.end == 100
    assert "healed" not in band.times


def test_an_injection_that_never_came_back_counts_and_one_that_failed_does_not() -> None:
    open_, failed = bands_of_ledger(
        [
            entry(1, "intend", 1),
            entry(2, "intend", 2),
            entry(2, "failed", 3, error="no permission"),
        ],
        last_ns=9,
    )
    assert open_.was_injected
    assert not failed.was_injected
    assert failed.proofs == {"failed": "no permission"}


def nemesis(*fs: str) -> History:
    return History([Operation(n, n, "nemesis", "info", f, None) for n, f in enumerate(fs)])


def test_a_history_gives_bands_from_the_first_start_to_the_last_stop() -> None:
    history = nemesis("start-kill", "start-kill", "stop-kill", "stop-kill")
    assert [(b.fault, b.start, b.end) for b in bands_of_history(history, 3)] == [("kill", 0, 3)]


def test_plain_start_and_stop_are_a_fault_and_an_open_one_lasts_to_the_end() -> None:
    history = nemesis("start", "start", "stop", "stop", "start", "start")
    bands = bands_of_history(history, 9)
    assert [(band.start, band.end) for band in bands] == [(0, 3), (4, 9)]
    assert "healed" not in bands[1].times
