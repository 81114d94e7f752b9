"""The checker logs: planted lines are found with node, line and time, and faults excuse theirs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from checkers.run.logs import EXCERPT_LINES, SHOWN, Logs
from harness.history.effects import Effects, Ended
from harness.history.history import History
from harness.history.operation import Header
from harness.linux.identity import ProcessIdentity
from harness.verdict.record import LedgerEntry, LogFile, Record
from harness.verdict.verdict import UNKNOWN, Budget, Verdict
from systems.etcd import Etcd

SECOND = 10**9
START_NS = 1_767_225_600 * SECOND  # 2026-01-01T00:00:00Z
RACE = """==================
WARNING: DATA RACE
Write at 0x00c000123 by goroutine 7:
  main.f()
      /etcd/f.go:10 +0x44

Previous read at 0x00c000123 by goroutine 8:
  main.g()
=================="""
ASSERTED = "panic: assertion failed: Page expected to be: 7, but self identifies as 0"


def info(second: float, message: str = "fine", level: str = "info") -> str:
    return f'{{"level":"{level}","ts":"2026-01-01T00:00:{second:06.3f}Z","msg":"{message}"}}'


def judged(
    tmp_path: Path, *lines: str, faults: Sequence[LedgerEntry] = (), start_ns: int | None = START_NS
) -> Verdict:
    path = tmp_path / "etcd.log"
    path.write_text("\n".join(lines) + "\n", "utf-8")
    etcd = Etcd({})
    options: dict[str, Any] = {
        "log_patterns": etcd.log_patterns(),
        "expected_lines": etcd.expected_lines(),
    }
    record = Record(
        history=History((), Header(start_wall_ns=start_ns)),
        logs=[LogFile(node="n2", path=path)],
        faults=list(faults),
    )
    return Logs(options).check(record, Budget.start(60))


PROCESS = ProcessIdentity(pid=7, start_ticks=1, boot_id="b", pid_namespace=1)
EFFECTS = {
    "kill": Effects(ends=(Ended("n2", PROCESS, (-9,)),)),
    "restart": Effects(ends=(Ended("n2", PROCESS, (0,)),)),
    "pause": Effects(stops=(("n2", PROCESS),)),
    "partition": Effects(cuts={"n2": ("n1",)}),
}


def fault(name: str, start_s: float, end_s: float) -> list[LedgerEntry]:
    times = {"intend": start_s, "injected": start_s, "bit": start_s, "healed": end_s}
    told = {"effects": EFFECTS[name].as_json()}
    return [
        LedgerEntry(1, name, ["n2"], event, int(s * SECOND), told) for event, s in times.items()
    ]


@pytest.mark.parametrize(
    ("planted", "kind", "excerpt"),
    [
        ("panic: runtime error: index out of range\n\ngoroutine 7 [running]:", "panic", "running"),
        (info(4, "failed to commit tx", "fatal"), "fatal-error", ""),
        (info(4, "failed to create WAL", "panic"), "panic", ""),
        ("fatal error: all goroutines are asleep - deadlock!", "fatal-error", ""),
        (RACE, "data-race", "goroutine 7"),
        (ASSERTED, "assertion-failure", ""),
    ],
)
def test_each_planted_line_is_found_with_node_line_time_and_excerpt(
    tmp_path: Path, planted: str, kind: str, excerpt: str
) -> None:
    verdict = judged(tmp_path, info(1), info(4), planted, info(9))
    assert verdict.valid is False
    assert list(verdict.anomalies) == [kind]
    (case,) = verdict.anomalies[kind]
    assert (case.data["node"], case.data["file"]) == ("n2", "etcd.log")
    assert case.data["line"] == (4 if planted is RACE else 3)
    assert case.data["time_ns"] == 4 * SECOND
    assert "of n2 says in line" in case.message
    assert "at 4.0 s" in case.message
    assert excerpt in case.message
    assert info(9) not in case.message


@pytest.mark.parametrize(
    "line",
    [
        info(2, "lost TCP streaming connection", "warn"),
        info(2, "failed to publish local member", "error"),
        info(2, r"apply took too long: put key:\"panic: fatal\" \"level\":\"fatal\"", "warn"),
        info(2, "received signal; shutting down"),
        "  panic: not at the start of a line",
    ],
)
def test_ordinary_lines_are_no_finding(tmp_path: Path, line: str) -> None:
    assert judged(tmp_path, info(1), line).valid is True


def test_a_line_that_a_kill_explains_is_no_violation(tmp_path: Path) -> None:
    line = info(12, "listen tcp 10.0.0.2:2380: bind: address already in use", "fatal")
    assert judged(tmp_path, line, faults=fault("kill", 5, 11)).valid is True
    assert judged(tmp_path, line, faults=fault("restart", 5, 11)).valid is True
    assert judged(tmp_path, line, faults=fault("partition", 5, 11)).valid is False
    assert judged(tmp_path, line).valid is False


def test_a_line_long_after_the_kill_or_before_it_is_not_excused(tmp_path: Path) -> None:
    line = info(40, "bind: address already in use", "fatal")
    assert judged(tmp_path, line, faults=fault("kill", 5, 11)).valid is False
    assert judged(tmp_path, line, faults=fault("kill", 45, 50)).valid is False


def test_a_kill_excuses_no_other_line(tmp_path: Path) -> None:
    assert judged(tmp_path, info(8), ASSERTED, faults=fault("kill", 5, 11)).valid is False


def test_without_times_a_fault_that_came_at_all_excuses_its_line(tmp_path: Path) -> None:
    line = info(40, "bind: address already in use", "fatal")
    kill = fault("kill", 5, 11)
    assert judged(tmp_path, line, faults=kill, start_ns=None).valid is True
    assert judged(tmp_path, line, faults=kill[:1], start_ns=None).valid is False


@pytest.mark.parametrize(
    "told",
    [
        {"effects": Effects(shifts_clock=("n2",)).as_json()},
        {"effects": None},  # it may have done anything
        {"programs": {"n2": {}}},  # a ledger of before
        {},  # another's
    ],
)
def test_where_clocks_were_moved_the_times_of_lines_count_for_nothing(
    tmp_path: Path, told: dict[str, Any]
) -> None:
    line = info(40, "bind: address already in use", "fatal")
    moved = LedgerEntry(2, "shifted", ["n2"], "injected", 3 * SECOND, told)
    assert judged(tmp_path, line, faults=[*fault("kill", 5, 11), moved]).valid is True
    assert judged(tmp_path, line, faults=[*fault("pause", 5, 11), moved]).valid is False


def test_a_full_disk_is_this_machines_doing(tmp_path: Path) -> None:
    verdict = judged(tmp_path, info(3, "write wal: no space left on device", "fatal"), ASSERTED)
    assert verdict.valid == UNKNOWN
    assert "disk under n2 was full" in verdict.why


@pytest.mark.parametrize(
    "lines",
    [
        (info(3), '{"level":"fatal","ts":"2026-01-01T00:00:04.000Z","msg":"write wal: no sp'),
        (ASSERTED[:20],),
        ('{"level":"fatal","msg":"write wal: no sp' + info(5) + "\n",),
    ],
)
def test_a_line_that_was_cut_off_proves_nothing(tmp_path: Path, lines: tuple[str, ...]) -> None:
    path = tmp_path / "etcd.log"
    path.write_text("\n".join(lines), "utf-8")
    record = Record(history=History(()), logs=[LogFile(node="n2", path=path)])
    options = {
        "log_patterns": {**Etcd({}).log_patterns(), "panic": [r'"level":"panic"', "^panic: "]}
    }
    verdict = Logs(options).check(record, Budget.start(60))
    assert verdict.valid == UNKNOWN
    assert "of n2 is cut off" in verdict.why
    path.write_text("\n".join(lines) + "\n" + ASSERTED + "\n", "utf-8")
    assert Logs(options).check(record, Budget.start(60)).valid is False


def test_long_stacks_and_many_findings_are_cut(tmp_path: Path) -> None:
    stack = [f"main.f{number}()" for number in range(200)]
    (case,) = judged(tmp_path, ASSERTED, *stack).anomalies["assertion-failure"]
    assert len(case.message.splitlines()) <= EXCERPT_LINES + 2
    many = judged(tmp_path, *(info(3, f"x{number}", "fatal") for number in range(90)))
    assert len(many.anomalies["fatal-error"]) == SHOWN
    assert many.stats["lines"] == {"fatal-error": 90}


def test_a_system_without_patterns_is_not_accused(tmp_path: Path) -> None:
    path = tmp_path / "x.log"
    path.write_text(ASSERTED)
    record = Record(history=History(()), logs=[LogFile(node="n1", path=path)])
    assert Logs({}).check(record, Budget.start(60)).valid is True
