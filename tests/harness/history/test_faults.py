"""What became of each fault, also by ledgers that are cut off, shuffled, doubled or strange."""

from __future__ import annotations

import json
import random
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import HistoryError
from harness.history.faults import FOREVER_NS, RecordedFault, recorded_faults, unhealed
from harness.history.ledger import EVENTS, LedgerEntry, read_ledger

STEPS = ("intend", "injected", "bit", "heal", "healed")


def ledger(*lines: str, **detail: Any) -> list[LedgerEntry]:
    """``"0 kill intend"``: id, fault and event of each line, ten nanoseconds after each other."""
    parts = [line.split() for line in lines]
    return [
        LedgerEntry(int(number), fault, ["n1"], event, 10 * at, dict(detail))
        for at, (number, fault, event) in enumerate(parts)
    ]


def whole(number: int = 0, fault: str = "kill") -> list[LedgerEntry]:
    """The lines of a fault that bit and was healed."""
    return ledger(*(f"{number} {fault} {event}" for event in STEPS))


def only(entries: list[LedgerEntry]) -> RecordedFault:
    (fault,) = recorded_faults(entries)
    return fault


def test_a_whole_fault_has_the_time_of_each_step() -> None:
    fault = only(whole())
    assert (fault.begun_ns, fault.intended_ns, fault.injected_ns) == (0, 0, 10)
    assert (fault.bit_ns, fault.heal_ns, fault.healed_ns) == (20, 30, 40)
    assert (fault.id, fault.fault, fault.targets) == (0, "kill", ("n1",))
    assert not fault.is_open
    assert fault.proved_span_ns == (10, 40)


def test_unhealed_are_all_without_a_healed_the_last_meant_first() -> None:
    book = ledger(
        "0 kill intend",
        "0 kill injected",
        "1 pause intend",
        "1 pause failed",
        "2 partition intend",
        "0 kill heal",
        "0 kill healed",
        "2 partition heal",
        "2 partition failed",
    )
    assert [fault.id for fault in unhealed(book)] == [2, 1]
    assert [fault.id for fault in unhealed(book[:1])] == [0]


def test_faults_are_told_in_the_order_in_which_they_are_first_told_of() -> None:
    book = ledger("3 kill intend", "1 pause intend", "3 kill injected", "1 pause healed")
    assert [fault.id for fault in recorded_faults(book)] == [3, 1]


@pytest.mark.parametrize(
    ("lines", "begun", "proved", "is_open"),
    [
        (["0 kill intend"], 0, None, True),
        (["0 kill injected"], 0, (0, FOREVER_NS), True),
        (["0 kill injected", "0 kill healed"], 0, (0, 10), False),
        (["0 kill intend", "0 kill healed"], 0, None, False),
        (["0 kill bit"], None, None, False),
        (["0 kill heal", "0 kill healed"], None, None, False),
        (["0 kill failed"], None, None, False),
        (["0 kill intend", "0 kill failed"], 0, None, True),
        (["0 kill intend", "0 kill injected", "0 kill heal"], 0, (10, FOREVER_NS), True),
        (["0 kill intend", "0 kill refused", "0 kill exploded"], 0, None, True),
        (["0 kill exploded"], None, None, False),
    ],
)
def test_missing_and_unknown_steps_claim_least(
    lines: list[str], begun: int | None, proved: tuple[int, int] | None, is_open: bool
) -> None:
    fault = only(ledger(*lines))
    assert (fault.begun_ns, fault.proved_span_ns, fault.is_open) == (begun, proved, is_open)


def test_healed_counts_only_after_every_beginning() -> None:
    early = only(ledger("0 kill intend", "0 kill healed", "0 kill injected"))
    assert (early.healed_ns, early.is_open) == (None, True)
    again = only(
        ledger("0 kill intend", "0 kill healed", "0 kill intend", "0 kill heal", "0 kill healed")
    )
    assert (again.healed_ns, again.is_open) == (40, False)


def test_doubled_lines_change_nothing() -> None:
    book = whole()
    doubled = [entry for entry in book for _ in range(2)]
    seen, once = only(doubled), only(book)
    assert len(seen.entries) == 2 * len(once.entries)
    for name in ("begun_ns", "injected_ns", "bit_ns", "healed_ns", "targets", "detail", "is_open"):
        assert getattr(seen, name) == getattr(once, name)


def test_a_ledger_that_was_appended_to_itself_proves_no_heal_before_its_last() -> None:
    assert only(whole() + whole()[:3]).is_open
    assert not only(whole() + whole()).is_open


def test_what_was_meant_stands_against_what_was_done_later() -> None:
    meant = LedgerEntry(0, "kill", ["n1"], "intend", 0, {"shape": "one", "what": "n1"})
    done = LedgerEntry(0, "kill", ["n1", "n2"], "injected", 1, {"shape": "all", "pid": 7})
    fault = only([meant, done])
    assert fault.detail == {"shape": "one", "what": "n1", "pid": 7}
    assert fault.targets == ("n1", "n2")
    assert str(fault) == "kill of n1 (fault 0, from 0.0 s never healed)"


def test_failures_are_told_in_words_whatever_their_detail_holds() -> None:
    book = [
        LedgerEntry(0, "kill", [], "failed", at, detail)
        for at, detail in enumerate(({"why": "no such process"}, {}, {"why": 7}, {"why": None}))
    ]
    assert only(book).failures == ("no such process", "", "7", "")


def test_of_a_half_line_nothing_is_known(tmp_path: Path) -> None:
    path = tmp_path / "faults.jsonl"
    lines = [
        json.dumps({"id": 0, "fault": "kill", "targets": [], "event": event, "time": at})
        for at, event in enumerate(("intend", "injected", "heal", "healed"))
    ]
    path.write_text("\n".join(lines))  # without the end of the last one
    assert [fault.id for fault in unhealed(read_ledger(path))] == [0]
    path.write_text("\n".join([lines[0], lines[1][:20], lines[2], ""]))
    with pytest.raises(HistoryError, match="line 2"):
        read_ledger(path)


@pytest.mark.parametrize("missing", [each for n in range(6) for each in combinations(range(5), n)])
def test_losing_lines_never_shortens_the_time_in_which_a_fault_may_have_been(
    missing: tuple[int, ...],
) -> None:
    book = [entry for at, entry in enumerate(whole()) if at not in missing]
    for fault in recorded_faults(book):
        if fault.injected_ns is not None:
            assert fault.may_be_in_force(10, 40)
        assert fault.is_open == (4 in missing and not {0, 1} <= set(missing))


@given(
    st.lists(st.tuples(st.integers(0, 2), st.sampled_from((*EVENTS, "done", ""))), max_size=20),
    st.integers(0, 2**32),
)
def test_no_ledger_is_too_odd_to_fold(steps: list[tuple[int, str]], seed: int) -> None:
    stream = random.Random(seed)
    book = [
        LedgerEntry(number, "kill", [], event, stream.randrange(-50, 50)) for number, event in steps
    ]
    faults = recorded_faults(book)
    assert sorted(entry.id for fault in faults for entry in fault.entries) == sorted(
        number for number, _ in steps
    )
    for fault in faults:
        begun = [e.time for e in fault.entries if e.event in ("intend", "injected")]
        assert fault.begun_ns == min(begun, default=None)
        last = [e.event for e in fault.entries if e.event in ("intend", "injected", "healed")]
        assert fault.is_open == bool(begun and last[-1] != "healed")
        assert (fault in unhealed(book)) == fault.is_open
        assert not (fault.is_open and fault.healed_ns is not None)
