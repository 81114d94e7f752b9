"""The run's own log and last word: whoever asks learns how a run ended, whatever became of it."""

from __future__ import annotations

import os
import re
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from harness.run.events import Events
from harness.store import run_log
from harness.store.ended import ending, is_under_way, why_no_verdict, write_end
from harness.store.run_log import RunLog, is_held
from harness.store.runs import write_json

RECORD = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z (-|-?\d+) (front|run) (\S+) (.*)")


def test_each_record_says_when_who_where_and_what(tmp_path: Path) -> None:
    log = RunLog(tmp_path, "run")
    events = Events(None, log)
    events.emit("phase", -5, name="start")
    events.note("started etcd (pid 7)", node="n2")
    events.have_clock(lambda: 42)
    events.emit("fault", 9, id=3, fault="kill", targets=["n1"], what="injected")
    events.emit("progress", 9)
    events.emit("warning", 9, message="odd")
    log.close()
    lines = (tmp_path / "run.log").read_text().splitlines()
    found = [match.groups() for match in map(RECORD.fullmatch, lines) if match is not None]
    assert found == [
        ("-", "run", "-", "phase start"),
        ("-", "run", "n2", "started etcd (pid 7)"),
        ("42", "run", "n1", "fault 3 kill: injected (n1)"),
        ("42", "run", "-", "warning: odd"),
    ]


def test_foreign_words_make_no_records_of_their_own(tmp_path: Path) -> None:
    log = RunLog(tmp_path, "run")
    log.write("\x1b]0;title\x07\n2026-11-30T08:29:05.000000Z 1 run - forged \udc80")
    log.close()
    first, second = (tmp_path / "run.log").read_text().splitlines()
    assert first.endswith(r"\x1b]0;title\x07")
    assert second.startswith("    2026")
    assert RECORD.fullmatch(second) is None


def test_it_never_costs_the_run(tmp_path: Path) -> None:
    missing = RunLog(tmp_path / "nothing", "run")
    missing.write("said to nobody")
    missing.close()
    (tmp_path / "run.log").symlink_to("/dev/full")
    full = RunLog(tmp_path, "run")
    full.write("to a device behind a link")
    full.close()
    assert (tmp_path / "run.log").is_symlink()
    assert not is_held(tmp_path)


def test_it_is_bounded_and_says_so_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_log, "MOST_BYTES", 1000)
    log = RunLog(tmp_path, "run")
    for number in range(100):
        log.write(f"record {number} " + "x" * 50)
    log.close()
    lines = (tmp_path / "run.log").read_text().splitlines()
    assert "record 0 " in lines[0]
    assert [line.strip() for line in lines if "log ends here" in line] == [lines[-1].strip()]
    assert (tmp_path / "run.log").stat().st_size <= 1000 + 60


def test_records_of_several_writers_never_mix(tmp_path: Path) -> None:
    logs = [RunLog(tmp_path, who) for who in ("front", "run")]
    threads = [
        threading.Thread(target=lambda log=log: [log.write("y" * 5000) for _ in range(50)])
        for log in logs
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    lines = (tmp_path / "run.log").read_text().splitlines()
    assert len(lines) == 100
    assert all(RECORD.fullmatch(line) for line in lines)


def test_a_run_that_died_is_told_from_one_that_lives(tmp_path: Path) -> None:
    write_json(tmp_path / "evidence" / "progress.json", {"phase": "recovery"})
    program = (
        "import sys; from pathlib import Path; from harness.store.run_log import RunLog\n"
        "log = RunLog(Path(sys.argv[1]), 'front'); print(flush=True); sys.stdin.read()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[3],
    )
    assert process.stdout is not None
    process.stdout.readline()
    assert is_under_way(tmp_path)
    assert why_no_verdict(tmp_path) == "it is still under way in the phase recovery"
    process.kill()
    process.communicate()
    assert not is_under_way(tmp_path)
    assert ending(tmp_path).state == "died"
    why = why_no_verdict(tmp_path)
    assert why is not None
    assert why.startswith("it died in the phase recovery without a last word; run.log")


def test_the_last_word_is_told_until_there_is_a_verdict(tmp_path: Path) -> None:
    write_end(tmp_path, 3, "n2: not ready\n  try: its log", "ready")
    assert ending(tmp_path).exit == 3
    why = why_no_verdict(tmp_path)
    assert why == "it ended in the phase ready without a verdict: n2: not ready try: its log"
    write_json(tmp_path / "verdict.json", {"valid": True})
    assert why_no_verdict(tmp_path) is None


@pytest.mark.parametrize("text", ["[]", "{", '{"exit": [1], "message": 5, "phase": {}}', "null"])
def test_an_odd_last_word_is_no_error(tmp_path: Path, text: str) -> None:
    (tmp_path / "evidence").mkdir()
    (tmp_path / "evidence" / "end.json").write_text(text)
    assert why_no_verdict(tmp_path)


def test_a_pipe_for_a_log_holds_nobody(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "run.log")
    assert not is_under_way(tmp_path)
    assert stat.S_ISFIFO((tmp_path / "run.log").stat().st_mode)
