"""Trouble of this machine is seen and told: a stall, a full disk, no memory, no descriptors."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from harness.run.machine import MachineWatch


class Clock:
    """Boot time and the history's, set ahead by hand."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def boot(self) -> int:
        return round(self.now_s * 1e9)

    def history(self) -> int:
        return round((self.now_s - 100.0) * 1e9)


def watch(tmp_path: Path, clock: Clock) -> MachineWatch:
    (tmp_path / "meminfo").write_text("MemTotal: 1000 kB\nMemAvailable: 500 kB\n")
    (tmp_path / "vmstat").write_text("pgfault 7\noom_kill 2\n")
    (tmp_path / "self" / "fd").mkdir(parents=True, exist_ok=True)
    made = MachineWatch(tmp_path, clock.history, proc=tmp_path, boot=clock.boot)
    made._looked_ns = clock.boot()
    made._killed = 2
    return made


def look(watched: MachineWatch, clock: Clock, after_s: float = 0.2) -> list[str]:
    clock.now_s += after_s
    watched.look()
    return watched.trouble()


def test_a_machine_that_is_well_has_no_trouble(tmp_path: Path) -> None:
    clock = Clock()
    watched = watch(tmp_path, clock)
    assert look(watched, clock) == look(watched, clock, 0.9) == []


def test_a_stall_is_told_with_its_length_and_end(tmp_path: Path) -> None:
    clock = Clock()
    watched = watch(tmp_path, clock)
    look(watched, clock, 3.0 - 0.2)
    (told,) = look(watched, clock, 30.2)[1:]
    assert told == "this machine, or the whole run, stood still for 30.0 s until 33.0 s"


def test_what_the_machine_has_not_is_told_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    watched = watch(tmp_path, clock)
    full = SimpleNamespace(f_bavail=10, f_frsize=4096, f_files=0, f_favail=0)
    monkeypatch.setattr(os, "statvfs", lambda path: full)
    (tmp_path / "meminfo").write_text("MemTotal: 1000 kB\nMemAvailable: 5 kB\n")
    (tmp_path / "vmstat").write_text("oom_kill 4\n")
    monkeypatch.setattr(resource, "getrlimit", lambda which: (3, 3))
    look(watched, clock)
    told = "\n".join(look(watched, clock))
    assert told.count("\n") == 3
    for part in (
        "disk that holds the run's folder is full",
        "no memory left (5 of 1000 kB)",
        "killed 2 processes for lack of memory",
        "no descriptors left",
        "(first seen at 0.2 s)",
    ):
        assert part in told


PROGRAM = """
import sys, time
from pathlib import Path
from harness.run.machine import MachineWatch
watch = MachineWatch(Path(sys.argv[1]), time.monotonic_ns)
watch.start()
print("up", flush=True)
sys.stdin.readline()
deadline = time.monotonic() + 60
while not watch.stalls and time.monotonic() < deadline:
    time.sleep(0.01)
watch.stop()
watch.stop()
print(len(watch.stalls), flush=True)
"""


@pytest.mark.slow
def test_a_process_that_was_stopped_knows_it(tmp_path: Path) -> None:
    began: Any = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with began:
        assert began.stdout.readline() == "up\n"
        began.send_signal(signal.SIGSTOP)
        time.sleep(1.6)
        began.send_signal(signal.SIGCONT)
        said, _ = began.communicate("end\n")
    assert int(said) >= 1
