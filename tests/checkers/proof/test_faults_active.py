"""Which faults were in force in a stretch of time, from the ledger."""

from __future__ import annotations

import pytest

from checkers.proof.faults_active import faults_active, while_it_ran
from harness.verdict.record import LedgerEntry

SECOND = 1_000_000_000


def entry(number: int, event: str, time_s: float, **detail: str) -> LedgerEntry:
    return LedgerEntry(number, "partition", ["n1"], event, int(time_s * SECOND), detail)


LEDGER = [
    entry(1, "intend", 2.0, what="n1 | n2 n3"),
    entry(1, "injected", 2.1),
    entry(1, "bit", 3.0, what="5 packets dropped"),
    entry(1, "heal", 4.0),
    entry(1, "healed", 4.2),
    entry(2, "intend", 6.0),
    entry(2, "failed", 6.1),
]


@pytest.mark.parametrize(
    ("start_s", "end_s", "active"),
    [
        (0.0, 1.9, []),
        (0.0, 2.05, [1]),
        (4.1, 5.0, [1]),
        (4.3, 5.0, []),
        (3.0, 3.1, [1]),
        (4.0, 7.0, [1, 2]),
        (100.0, 101.0, [2]),
    ],
)
def test_a_fault_counts_from_its_intention_until_it_is_proved_healed(
    start_s: float, end_s: float, active: list[int]
) -> None:
    found = faults_active(LEDGER, int(start_s * SECOND), int(end_s * SECOND))
    assert [fault.id for fault in found] == active


def test_the_sentence_names_shape_and_times() -> None:
    text = while_it_ran(LEDGER, 0, 7 * SECOND)
    assert "partition of n1 | n2 n3 (fault 1, from 2.0 s to 4.2 s)" in text
    assert "partition of n1 (fault 2, from 6.0 s never healed)" in text


def test_no_ledger_says_nothing_and_an_empty_one_says_so() -> None:
    assert while_it_ran(None, 0, 1) == ""
    assert while_it_ran([], 0, 1) == "While it ran no fault was active."
