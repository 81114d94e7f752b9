"""Node logs: bounded, timed, with crash lines found wherever they stand."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from harness.report.logs import CRASH, MOST_FILE_BYTES, read_logs

START_NS = 1_700_000_000_000_000_000  # 2023-11-14T22:13:20Z


@pytest.mark.parametrize(
    ("line", "milliseconds"),
    [
        ('{"level":"info","ts":"2023-11-14T22:13:21.500Z","msg":"x"}', 1500),
        ('{"level":"info","ts":"2023-11-14T23:13:21.500+0100","msg":"x"}', 1500),
        ('{"level":"info","ts":1700000001.25,"msg":"x"}', 1250),
        ("2023-11-14 22:13:20.000001 I | raft: x", 0),
        ("no time at all", None),
        ("2023-99-99 22:13:20 not a day", None),
    ],
)
def test_the_time_of_a_line_is_read(
    tmp_path: Path, write_part: Callable[[Path, str], None], line: str, milliseconds: int | None
) -> None:
    write_part(tmp_path / "nodes" / "n1" / "a.log", line + "\n")
    (log,) = read_logs(tmp_path, START_NS, [])
    time_ns = log.lines[0].time_ns
    assert (None if time_ns is None else time_ns // 1_000_000) == milliseconds


@pytest.mark.parametrize(
    "line",
    [
        "panic: runtime error: index out of range",
        '{"level":"fatal","msg":"failed to purge"}',
        "WARNING: DATA RACE",
        "FATAL:  terminating connection",
        "Assertion `x' failed",
        "signal SIGSEGV: segmentation violation",
    ],
)
def test_crash_lines_are_known(line: str) -> None:
    assert CRASH.search(line)


@pytest.mark.parametrize("line", ['{"level":"info","msg":"serving"}', "no panic here", "nonfatal"])
def test_ordinary_lines_are_no_crash(line: str) -> None:
    assert not CRASH.search(line)


def test_a_crash_in_the_middle_of_a_huge_file_is_found_and_the_file_is_bounded(
    tmp_path: Path, write_part: Callable[[Path, str], None]
) -> None:
    filler = "an ordinary line of a log\n" * 60_000
    write_part(tmp_path / "nodes" / "n1" / "db.log", filler + "panic: lost\n" + filler)
    (log,) = read_logs(tmp_path, None, [])
    assert log.total == 120_001
    assert sum(len(line.text) for line in log.lines) <= MOST_FILE_BYTES
    assert [(line.number, line.text) for line in log.notable] == [(60_001, "panic: lost")]
    assert log.lines[0].number == 1
    assert log.lines[-1].number == 120_001
    assert len(log.lines) + log.left_out == log.total


def test_lines_around_an_anomaly_are_marked(
    tmp_path: Path, write_part: Callable[[Path, str], None]
) -> None:
    lines = [f'{{"ts":"2023-11-14T22:13:{20 + s}.000Z","n":{s}}}' for s in range(10)]
    write_part(tmp_path / "nodes" / "n2" / "deep" / "db.log", "\n".join(lines))
    (log,) = read_logs(tmp_path, START_NS, [(3_900_000_000, 5_100_000_000)])
    assert [line.number - 1 for line in log.notable] == [4, 5]
    assert (log.node, log.name) == ("n2", "deep/db.log")


def test_one_endless_line_and_bytes_that_are_no_text_are_survived(tmp_path: Path) -> None:
    path = tmp_path / "nodes" / "n1" / "db.log"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"x" * 3_000_000 + b"\n\xff\xfe\x1b[31m\n")
    (log,) = read_logs(tmp_path, None, [])
    assert log.total == 2
    assert len(log.lines[0].text) < 2_000
    assert log.lines[1].text == "\ufffd\ufffd\u241b[31m"
