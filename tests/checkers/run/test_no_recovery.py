"""The checker no-recovery blames the system only where every fault is proved healed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from checkers.run.no_recovery import NoRecovery
from harness.history.history import History
from harness.verdict.record import LedgerEntry, Record
from harness.verdict.verdict import UNKNOWN, Budget, Verdict

DOWN = {"ready": False, "seconds": 60.0, "why": "n2 has no leader"}


def entry(number: int, event: str, time: int = 0) -> LedgerEntry:
    return LedgerEntry(number, "partition", ["n1"], event, time)


HEALED = [entry(1, "intend"), entry(1, "injected"), entry(1, "healed", 7_000_000_000)]


def judged(
    recovery: Mapping[str, Any] | None,
    faults: Sequence[LedgerEntry] | None = HEALED,
    exits: Sequence[Mapping[str, Any]] = (),
) -> Verdict:
    record = Record(
        history=History(()), faults=faults, run={"recovery": recovery, "exits": list(exits)}
    )
    return NoRecovery({}).check(record, Budget.start(60))


def test_a_cluster_that_serves_again_is_valid() -> None:
    assert judged({"ready": True, "seconds": 0.4}).valid is True


def test_a_cluster_that_stays_down_after_every_heal_is_invalid() -> None:
    verdict = judged(DOWN)
    assert verdict.valid is False
    (case,) = verdict.anomalies["no-recovery"]
    assert "fault 1) at 7.0 s" in case.message
    assert "After 60.0 s the system was still not ready: n2 has no leader." in case.message


@pytest.mark.parametrize("faults", [None, [], [entry(1, "intend"), entry(1, "failed")]])
def test_without_any_fault_there_was_nothing_to_recover_from(faults: Any) -> None:
    verdict = judged(DOWN, faults=faults)
    assert verdict.valid == UNKNOWN
    assert "no fault was injected" in verdict.why


@pytest.mark.parametrize("events", [["intend"], ["intend", "injected"], ["injected", "heal"]])
def test_a_heal_that_is_not_proved_makes_it_unknown(events: list[str]) -> None:
    verdict = judged(DOWN, faults=[*HEALED, *(entry(2, event) for event in events)])
    assert verdict.valid == UNKNOWN
    assert "partition (fault 2)" in verdict.why


def test_a_process_that_the_machine_killed_makes_it_unknown() -> None:
    verdict = judged(DOWN, exits=[{"status": -9, "killed_by": None}])
    assert verdict.valid == UNKNOWN
    assert judged(DOWN, exits=[{"status": -9, "killed_by": 1}]).valid is False


@pytest.mark.parametrize("recovery", [None, {"ready": None, "why": "interrupted"}])
def test_a_run_that_did_not_wait_for_recovery_is_unknown(recovery: Any) -> None:
    assert judged(recovery).valid == UNKNOWN
