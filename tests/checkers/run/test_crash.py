"""The checker crash: ends that nobody caused, log lines, and what excuses them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from checkers.run.crash import Crash
from harness.history.history import History
from harness.verdict.record import LedgerEntry, LogFile, Record
from harness.verdict.verdict import UNKNOWN, Budget, Verdict

PATTERNS = {"log_patterns": {"panic": ["^panic: "], "data-race": ["DATA RACE"]}}
OLD: dict[str, Any] = {
    "crash_patterns": ["^panic: ", "DATA RACE"],
    "expected_exits": {},
    "log_patterns": {},
    "expected_lines": {},
}
"""As runs of version 2 of the contract have it."""
SECOND = 1_000_000_000


def end(status: int, killed_by: int | None = None, time_s: int = 20) -> dict[str, Any]:
    return {
        "node": "n1",
        "daemon": "etcd",
        "time": time_s * SECOND,
        "status": status,
        "killed_by": killed_by,
    }


def judged(
    tmp_path: Path,
    *,
    exits: Sequence[dict[str, Any]] = (),
    log: str = "all is well\n",
    faults: Sequence[LedgerEntry] | None = None,
    partial: bool = False,
    lost: Sequence[str] = (),
    **options: Any,
) -> Verdict:
    path = tmp_path / "etcd.log"
    path.write_text(log)
    record = Record(
        history=History(()),
        run={"exits": list(exits), "partial": partial, "lost_nodes": list(lost)},
        logs=[LogFile(node="n1", path=path)],
        faults=faults,
    )
    return Crash({**PATTERNS, **options}).check(record, Budget.start(60))


def injected(fault: str, time_s: int) -> LedgerEntry:
    return LedgerEntry(3, fault, ["n1"], "injected", time_s * SECOND)


def healed(fault: str, time_s: int) -> LedgerEntry:
    return LedgerEntry(3, fault, ["n1"], "healed", time_s * SECOND)


def test_a_quiet_run_is_valid(tmp_path: Path) -> None:
    assert judged(tmp_path).valid is True


def test_an_end_on_a_node_that_the_machines_lost_is_no_crash(tmp_path: Path) -> None:
    verdict = judged(tmp_path, exits=[end(-15)], lost=["n1"])
    assert (verdict.valid, verdict.why[:29]) == (UNKNOWN, "n1 went with the machine unde")
    assert judged(tmp_path, exits=[end(-15)], lost=["n2"]).valid is False


def test_an_end_that_a_fault_caused_is_no_crash(tmp_path: Path) -> None:
    assert judged(tmp_path, exits=[end(-9, killed_by=3)]).valid is True


def test_an_end_that_nobody_caused_is_a_crash_and_says_what_was_going_on(tmp_path: Path) -> None:
    faults = [injected("partition", 15), healed("partition", 18)]
    verdict = judged(tmp_path, exits=[end(2)], faults=faults)
    assert verdict.valid is False
    (case,) = verdict.anomalies["crash"]
    assert "etcd on n1 ended by itself at 20.0 s, with exit status 2" in case.message
    assert "partition of n1 (fault 3, from 15.0 s to 18.0 s)" in case.message


def test_an_end_by_a_signal_names_it(tmp_path: Path) -> None:
    verdict = judged(tmp_path, exits=[end(-11)])
    assert verdict.valid is False
    assert "by SIGSEGV" in verdict.why


def test_sigkill_by_nobody_is_infrastructure_and_never_valid(tmp_path: Path) -> None:
    verdict = judged(tmp_path, exits=[end(-9)])
    assert verdict.valid == UNKNOWN
    assert "lack of memory" in verdict.why
    assert judged(tmp_path, exits=[end(-9), end(2)]).valid is False


def test_a_line_of_a_log_is_the_business_of_another_checker(tmp_path: Path) -> None:
    assert judged(tmp_path, log="panic: index out of range\n").valid is True


def test_an_old_run_has_its_lines_told_as_when_it_was_made(tmp_path: Path) -> None:
    log = "fine\npanic: index out of range\nWARNING: DATA RACE\n"
    verdict = judged(tmp_path, log=log, **OLD)
    assert verdict.valid is False
    assert [case.data["line"] for case in verdict.anomalies["crash"]] == [2, 3]
    assert "n1 says in line 2: panic: index out of range" in verdict.why


def test_a_last_line_that_was_cut_off_proves_nothing(tmp_path: Path) -> None:
    assert judged(tmp_path, log="fine\npanic: index out of", **OLD).valid is True


def test_without_patterns_the_logs_say_nothing(tmp_path: Path) -> None:
    assert judged(tmp_path, log="panic: no\n", **{**OLD, "crash_patterns": []}).valid is True


def test_a_line_expected_under_a_fault_is_excused_only_if_that_fault_came(tmp_path: Path) -> None:
    lines = {"clock": ["clock jumped"]}
    log = "panic: clock jumped\n"
    exits = [end(2)]
    ledger = [injected("clock", 12), healed("clock", 15)]
    other = [injected("pause", 12), healed("pause", 15)]
    old = {**OLD, "expected_exits": lines}
    assert judged(tmp_path, log=log, faults=other, **old).valid is False
    for expected in ({"expected_lines": lines}, old):
        assert judged(tmp_path, log=log, exits=exits, faults=ledger, **expected).valid is True
        assert judged(tmp_path, log=log, exits=exits, faults=other, **expected).valid is False


def test_an_end_under_a_fault_that_does_not_say_what_it_does_is_nobodys(tmp_path: Path) -> None:
    """A plug-in's own kill was a false crash."""
    ledger = [replace(injected("own", 12), detail={"effects": None}), healed("own", 15)]
    verdict = judged(tmp_path, exits=[end(-15)], faults=ledger)
    assert verdict.valid == UNKNOWN
    assert "declare its effects" in verdict.why
    assert judged(tmp_path, exits=[end(-15, time_s=60)], faults=ledger).valid is False
    elsewhere = [replace(entry, targets=["n2"]) for entry in ledger]
    assert judged(tmp_path, exits=[end(-15)], faults=elsewhere).valid is False


def test_an_expected_end_is_not_excused_long_after_the_fault(tmp_path: Path) -> None:
    expected = {"expected_lines": {"clock": ["clock jumped"]}}
    ledger = [injected("clock", 1), healed("clock", 2)]
    log = "panic: clock jumped\n"
    verdict = judged(tmp_path, log=log, exits=[end(2)], faults=ledger, **expected)
    assert verdict.valid is False


def test_a_run_that_was_cut_short_knows_nothing_of_its_ends(tmp_path: Path) -> None:
    assert judged(tmp_path, partial=True).valid == UNKNOWN
    assert judged(tmp_path, partial=True, log="panic: x\n", **OLD).valid is False


def test_a_process_that_died_of_a_full_disk_died_of_the_machine(tmp_path: Path) -> None:
    log = "panic: write wal: no space left on device\n"
    verdict = judged(tmp_path, exits=[end(2)], log=log)
    assert verdict.valid == UNKNOWN
    assert "disk under n1 was full" in verdict.why


def test_a_crash_on_another_node_than_the_full_one_is_a_crash(tmp_path: Path) -> None:
    log = "panic: write wal: no space left on device\n"
    verdict = judged(tmp_path, exits=[{**end(2), "node": "n2"}], log=log)
    assert verdict.valid is False
