"""Wishes to stop: taken once each, and never lost where Python drops an exception."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from harness.linux.stopping import ONE_S, Wishes, how_stopped

ROOT = Path(__file__).parents[3]

DROPPED = """
import os, signal, time
from harness.linux.stopping import Stopped, stop_by_exception
stop_by_exception()

class Finalized:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGTERM)  # the exception of its handler is dropped

try:
    Finalized()
    time.sleep(200)
except Stopped as stopped:
    print(stopped)
"""


def test_a_wish_whose_exception_is_dropped_comes_again() -> None:
    done = subprocess.run(
        [sys.executable, "-c", DROPPED],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=150,
    )
    assert (done.stdout, done.stderr) == ("stopped by SIGTERM\n", "")


def test_what_comes_at_the_same_moment_is_one_wish() -> None:
    now_s = 7.0
    wishes = Wishes(lambda: now_s)
    assert wishes.is_new(signal.SIGTERM)
    now_s += ONE_S / 3
    assert not wishes.is_new(signal.SIGHUP)
    now_s += ONE_S
    assert wishes.is_new(signal.SIGINT)
    assert wishes.number == signal.SIGTERM


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (signal.SIGINT, "interrupted"),
        (signal.SIGHUP, "stopped by SIGHUP"),
        (99, "stopped by signal 99"),
    ],
)
def test_who_stopped_it_is_said(number: int, words: str) -> None:
    assert how_stopped(number) == words


def test_what_is_started_while_signals_are_held_back_is_not_ended_by_one() -> None:
    program = (
        "import subprocess, sys\nfrom harness.linux.stopping import held_back\n"
        "with held_back():\n    child = subprocess.Popen(['sleep', '300'])\n"
        "print(child.pid, flush=True)\nsys.stdin.read()\nchild.kill()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    child = int(process.stdout.readline())
    os.kill(child, signal.SIGTERM)
    status = Path(f"/proc/{child}/status").read_text()
    pending = next(line.split()[1] for line in status.splitlines() if line.startswith("ShdPnd"))
    process.communicate()
    assert int(pending, 16) == 1 << (signal.SIGTERM - 1)
