"""Runs on real clusters that are stopped otherwise than by Ctrl-C, or have nobody to talk to."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.store.ended import ending, why_no_verdict
from harness.store.run_log import is_held

Fixture = Any

pytestmark = [pytest.mark.cluster, pytest.mark.userns]

SCRIPT = str(Path(sys.executable).with_name("polygraph"))
LONG = ("test", "etcd", "--nodes", "3", "--time-limit", "60", "--store", "store")
PATIENCE_S = 250.0


@pytest.fixture
def begun(
    tmp_path: Path, environment: dict[str, str]
) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Begin a command in an empty folder; killed in the end if it still runs."""
    processes: list[subprocess.Popen[str]] = []

    def begin(*argv: str, **settings: Any) -> subprocess.Popen[str]:
        settings = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **settings}
        settings["start_new_session"] = True  # so that what ``timeout`` started can be killed too
        process = subprocess.Popen(argv, cwd=tmp_path, env=environment, text=True, **settings)
        processes.append(process)
        return process

    yield begin
    for process in processes:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def wait_for(there: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    """Return once something is there; fails where the command ends before."""
    while not there():
        assert process.poll() is None, process.communicate()
        threading.Event().wait(0.02)


def operating(tmp_path: Path) -> Callable[[], bool]:
    """Whether the last run of the store has some operations."""
    history = tmp_path / "store/latest/history.jsonl"
    return lambda: history.exists() and history.read_bytes().count(b"\n") > 20


def verdict_of(run_dir: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((run_dir / "verdict.json").read_text())
    return found


def test_a_run_under_timeout_is_healed_and_judged_though_it_is_signalled_twice(
    begun: Fixture, polygraph: Fixture, tmp_path: Path
) -> None:
    """``timeout`` signals the command, and then its group, in which the command is."""
    process = begun("timeout", "--preserve-status", "600", SCRIPT, *LONG)
    wait_for(operating(tmp_path), process)
    process.send_signal(signal.SIGTERM)
    told, said = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 130, said
    assert "stopped by SIGTERM: healing faults, keeping history" in said
    assert "polygraph: stopped by SIGTERM" in said
    assert "UNKNOWN" in told
    run_dir = (tmp_path / "store/latest").resolve()
    assert verdict_of(run_dir)["operations"]
    assert (run_dir / "report.html").exists()
    assert polygraph("heal").stdout == "nothing is left of any run\n"
    log = (run_dir / "run.log").read_text()
    for words in ("phase ready", "n2 started etcd", "phase heal", "stopped by SIGTERM", "exit 130"):
        assert words in log, log
    assert ending(run_dir).exit == 130
    assert not (tmp_path / "store/current").is_symlink()
    assert polygraph("check", "current").stdout == "current\tunknown\n"


def test_a_lost_terminal_costs_no_verdict(begun: Fixture, tmp_path: Path) -> None:
    """It takes SIGHUP with it, and whatever is written to it fails from then on."""
    ours, theirs = pty.openpty()
    terminal = {"stdin": theirs, "stdout": theirs, "stderr": theirs}
    program = (
        "import fcntl, os, sys, termios\n"
        "fcntl.ioctl(0, termios.TIOCSCTTY, 0)\nos.execv(sys.argv[1], sys.argv[1:])"
    )
    process = begun(
        sys.executable, "-c", program, SCRIPT, *LONG, **terminal, start_new_session=True
    )
    os.close(theirs)
    there = operating(tmp_path)
    while not there():
        assert process.poll() is None
        if select.select([ours], [], [], 0.02)[0]:
            os.read(ours, 65536)
    os.close(ours)
    process.wait(PATIENCE_S)
    assert process.returncode == 130
    run_dir = tmp_path / "store/latest"
    assert verdict_of(run_dir)["operations"]
    assert "stopped by SIGHUP" in (run_dir / "run.log").read_text()


def test_what_is_sent_to_every_process_of_a_run_accuses_nobody(
    begun: Fixture, polygraph: Fixture, tmp_path: Path
) -> None:
    """As systemd ends what it started: the databases die of it, which is not their doing."""
    process = begun(SCRIPT, *LONG)
    wait_for(operating(tmp_path), process)
    run_dir = (tmp_path / "store/latest").resolve()
    assert is_held(run_dir)
    looked = polygraph("check", "current")
    assert looked.stdout == "current\tunknown\n"
    assert "still under way" in looked.stderr
    assert not (run_dir / "verdict.json").exists()
    for pid in descendants(process.pid):
        os.kill(pid, signal.SIGTERM)
    log = run_dir / "run.log"
    wait_for(lambda: "etcd" in log.read_text().rpartition("ended with status")[0], process)
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 130, said
    verdict = verdict_of(run_dir)
    assert verdict["valid"] == "unknown", verdict
    told = whys(verdict)
    assert any("SIGTERM was sent to the run's own processes" in each for each in told), told
    assert polygraph("heal").stdout == "nothing is left of any run\n"
    assert not is_held(run_dir)


def whys(verdict: dict[str, Any]) -> list[str]:
    """What each checker said."""
    return [str(part.get("why")) for part in verdict["checkers"].values()]


def descendants(pid: int) -> list[int]:
    """All that came of a process, the nearest first."""
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        children = [int(child) for child in (task / "children").read_text().split()]
        found += [each for child in children for each in (child, *descendants(child))]
    return found


def test_a_hang_up_before_the_first_operation_is_told_by_all_who_are_asked(
    begun: Fixture, polygraph: Fixture, tmp_path: Path
) -> None:
    process = begun(SCRIPT, *LONG)
    log = tmp_path / "store/latest/run.log"
    wait_for(lambda: log.exists() and "phase cluster" in log.read_text(), process)
    process.send_signal(signal.SIGHUP)
    _, said = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 130
    assert "polygraph: stopped by SIGHUP" in said
    why = why_no_verdict(tmp_path / "store/latest")
    assert why is not None
    assert "without a verdict: stopped by SIGHUP" in why
    (tmp_path / "store/latest/report.html").unlink(missing_ok=True)
    assert polygraph("report", "latest").returncode == 0
    assert "stopped by SIGHUP" in (tmp_path / "store/latest/report.html").read_text()
    checked = polygraph("check", "latest")
    assert "stopped by SIGHUP" in checked.stderr
    assert not (tmp_path / "store/latest/verdict.json").exists()


def test_nobody_to_talk_to_and_a_hang_up_that_is_ignored_cost_no_verdict(
    begun: Fixture, polygraph: Fixture, tmp_path: Path
) -> None:
    """``nohup polygraph test … <&- >&- 2>&-``: what is opened first gets the closed numbers."""
    short = (*LONG[:4], "--time-limit", "3", *LONG[6:])
    words = " ".join((SCRIPT, *short))
    process = begun("sh", "-c", f"trap '' HUP; exec {words} <&- >&- 2>&-")
    wait_for(operating(tmp_path), process)
    process.send_signal(signal.SIGHUP)
    assert process.communicate(timeout=PATIENCE_S) == ("", "")
    verdict = verdict_of(tmp_path / "store/latest")
    assert process.returncode == {True: 0, "unknown": 2}[verdict["valid"]], verdict
    assert verdict["valid"] is True or "interrupted" not in verdict["why"]
    again = polygraph("check", "latest").stdout
    assert again == f"latest\t{json.dumps(verdict['valid']).strip(chr(34))}\n"


def test_a_soak_under_timeout_ends_its_runs_and_sums_up(
    begun: Fixture, polygraph: Fixture, tmp_path: Path
) -> None:
    soak = ("soak", *LONG[1:], "--runs", "3", "--parallel", "2")
    process = begun("timeout", "--preserve-status", "600", SCRIPT, *soak)
    wait_for(operating(tmp_path), process)
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 130, said
    assert "polygraph: stopped by SIGTERM" in said
    (folder,) = (tmp_path / "store" / "soaks").iterdir()
    summary = json.loads((folder / "summary.json").read_text())
    assert (summary["interrupted"], sorted(summary["half_done"])) == (True, [1, 2])
    for run_dir in (tmp_path / "store/etcd/register").iterdir():
        assert ending(run_dir).exit == 130
    assert verdict_of(tmp_path / "store/latest")["operations"]
    assert polygraph("heal").stdout == "nothing is left of any run\n"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_serving_ends_when_it_is_told_to(begun: Fixture, tmp_path: Path, number: int) -> None:
    (tmp_path / "store").mkdir()
    process = begun(SCRIPT, "serve", "--port", "0", "--store", "store")
    assert process.stdout.readline().startswith("serving ")
    process.send_signal(number)
    _, said = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 130
    assert said.strip() == f"polygraph: stopped by {signal.Signals(number).name}"


def test_a_set_up_that_fails_is_told_by_page_and_log(polygraph: Fixture, tmp_path: Path) -> None:
    plugin = ("--plugin", str(Path(__file__).parents[2] / "toys/broken_etcds.py"))
    done = polygraph("test", "broken-etcd", *plugin, *LONG[2:])
    assert done.returncode == 3
    run_dir = tmp_path / "store/latest"
    log = (run_dir / "run.log").read_text()
    assert "ZeroDivisionError: the adapter divides by zero" in log
    assert "in ready\n" in log, "it has no traceback"
    why = why_no_verdict(run_dir)
    assert why is not None
    assert why.startswith("it ended in the phase ready without a verdict: a defect of")
    assert polygraph("report", "latest").returncode == 0
    assert "the adapter divides by zero" in (run_dir / "report.html").read_text()
