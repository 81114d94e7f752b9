"""Node logs: bounded, timed, with crash lines found wherever they stand."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.report import logs
from harness.report.logs import MOST_FILE_BYTES, is_crash, read_logs

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
        ("0001-01-01T00:00:00+23:59 before all time", None),
        ("9999-12-31T23:59:59-23:59 after it", None),
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
    assert is_crash(line)


@pytest.mark.parametrize("line", ['{"level":"info","msg":"serving"}', "no panic here", "nonfatal"])
def test_ordinary_lines_are_no_crash(line: str) -> None:
    assert not is_crash(line)


@pytest.mark.slow
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


def test_of_a_file_beyond_all_reading_both_ends_are_read_and_the_gap_is_told(
    tmp_path: Path, write_part: Callable[[Path, str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logs, "SCANNED_BYTES", 3_000)
    path = tmp_path / "nodes" / "n1" / "db.log"
    write_part(path, "panic: first\n" + "filler\n" * 100)
    with path.open("r+b") as file:
        file.truncate(50 << 30)  # no room is taken on the disk
        file.seek(0, os.SEEK_END)
        file.write(b"\npanic: last\n")
    (log,) = read_logs(tmp_path, None, [])
    assert log.lines[0].text == "panic: first"
    assert log.lines[-1].text == "panic: last"
    assert [line.text for line in log.notable if line.is_crash] == ["panic: first", "panic: last"]
    (gap,) = [line for line in log.lines if "were not looked through" in line.text]
    assert f"{(50 << 30) + 13 - 3_000:,} bytes" in gap.text


def test_more_files_than_a_page_holds_are_counted(
    tmp_path: Path, write_part: Callable[[Path, str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logs, "MOST_LOGS", 2)
    for number in range(5):
        write_part(tmp_path / "nodes" / "n1" / f"{number}.log", "a line\n")
    found = read_logs(tmp_path, None, [])
    assert [log.name for log in found] == ["0.log", "1.log", "further files"]
    assert found[-1].lines[0].text.startswith("3 further log files")


@pytest.mark.parametrize("word", ["panic ", "Assertion "])
def test_a_line_of_one_word_takes_no_time(word: str) -> None:
    begin = time.process_time()
    assert not is_crash(word * 20_000)
    assert time.process_time() - begin < 1


def test_the_moments_around_many_anomalies_are_found() -> None:
    around = logs._Around([(10 * s, 10 * s + 2) for s in range(10**9, 10**9 + 2000)] + [(5, -5)])
    assert around.has(10**10)
    assert around.has(10**10 + 19_992 + logs.AROUND_NS)
    assert not around.has(10**10 + 19_993 + logs.AROUND_NS)
    assert not around.has(10**10 - 1 - logs.AROUND_NS)
    assert around.has(0)
