"""The front of a run: Ctrl-C reaches the run process, whenever it comes and whatever drops it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from harness.linux.stopping import ONE_S, STOPPING, Stopped
from harness.run.front import _follow
from harness.run.interrupts import Interrupts, stop_on_interrupt
from harness.store.run_log import RunLog

ASKED = r"""
import json, os, sys
events = int(sys.argv[sys.argv.index("--events") + 1])
os.write(events, b'{"event": "phase", "name": "run"}\n')
word = sys.stdin.readline().split()[0]
end = {"event": "end", "exit": 130, "message": "was told to " + word}
os.write(events, json.dumps(end).encode() + b"\n")
"""
"""Stands for the run process: it ends when it is asked to."""

Deed = Callable[[], None]


class Process:
    """A run process without a cluster."""

    def __init__(self, argv: Sequence[str], pass_fds: Sequence[int]) -> None:
        words = [sys.executable, "-c", ASKED, *argv[3:]]
        self._process = subprocess.Popen(words, stdin=subprocess.PIPE, pass_fds=pass_fds)
        assert self._process.stdin is not None
        self.stdin_fd = self._process.stdin.fileno()
        self.run_pid = self._process.pid

    def wait(self, timeout_s: float | None = None) -> int | None:
        return self._process.wait(timeout_s)

    def kill(self) -> None:
        self._process.kill()
        self._process.communicate()


class Provider:
    """Starts that process, and does ``before`` and ``after``."""

    def __init__(self, before: Deed, after: Deed) -> None:
        self.before, self.after = before, after

    def spawn(self, argv: Sequence[str], *, pass_fds: Sequence[int], **others: Any) -> Process:
        self.before()
        process = Process(argv, pass_fds)
        self.after()
        return process


def nothing() -> None:
    """Nobody interrupts."""


def interrupt() -> None:
    """Ctrl-C; its handler has run when this returns."""
    os.kill(os.getpid(), signal.SIGINT)


class Finalized:
    """An exception that is raised while this is finalized is dropped by Python."""

    def __del__(self) -> None:
        interrupt()


def interrupt_where_exceptions_are_dropped() -> None:
    Finalized()


@pytest.fixture(autouse=True)
def _the_handler_is_put_back() -> Iterator[None]:
    before = signal.getsignal(signal.SIGINT)
    yield
    assert signal.getsignal(signal.SIGINT) == before


def followed(
    run_dir: Path, *, before: Deed = nothing, after: Deed = nothing, on_phase: Deed = nothing
) -> tuple[tuple[int, str], list[str]]:
    """How such a run ended, and the events that the front told."""
    told: list[str] = []

    def on_event(event: Mapping[str, Any]) -> None:
        told.append(str(event["event"]))
        if event["event"] == "phase":
            on_phase()

    provider: Any = Provider(before, after)
    request: Any = type("Request", (), {"provider": "none"})
    with stop_on_interrupt(on_event) as interrupts:
        log = RunLog(run_dir, "front")
        return _follow(provider, request, False, run_dir, on_event, interrupts, log), told


@pytest.mark.parametrize("deed", [interrupt, interrupt_where_exceptions_are_dropped])
@pytest.mark.parametrize("moment", ["before", "after", "on_phase"])
def test_ctrl_c_at_any_moment_asks_the_run_process_to_stop(
    tmp_path: Path, moment: str, deed: Deed
) -> None:
    moments: dict[str, Any] = {moment: deed}
    end, told = followed(tmp_path, **moments)
    assert end == (130, "was told to stop")
    assert told.count("warning") == 1


@pytest.mark.parametrize("number", STOPPING)
def test_a_second_one_ends_it_at_once_and_the_same_one_again_does_not(number: int) -> None:
    """As ``timeout`` sends it: to the command, and to its group, in which the command is."""
    now_s = 1.0
    interrupts = Interrupts(lambda event: None, lambda: now_s)
    interrupts.take(number, None)
    now_s += ONE_S / 2
    interrupts.take(number, None)
    now_s += ONE_S
    with pytest.raises(Stopped):
        interrupts.take(number, None)
    assert interrupts.number == number


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_what_else_ends_a_command_asks_the_run_process_to_stop(tmp_path: Path, number: int) -> None:
    end, told = followed(tmp_path, on_phase=lambda: os.kill(os.getpid(), number))
    assert end == (130, "was told to stop")
    assert told.count("warning") == 1


def test_a_hang_up_that_is_ignored_stays_ignored(tmp_path: Path) -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with stop_on_interrupt(lambda event: None) as interrupts:
            os.kill(os.getpid(), signal.SIGHUP)
            assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
        assert interrupts.number is None
    finally:
        signal.signal(signal.SIGHUP, before)


def test_nothing_is_written_once_the_run_process_is_gone() -> None:
    reader, writer = os.pipe()
    interrupts = Interrupts(lambda event: None)
    interrupts.pass_on_to(writer)
    interrupts.end()
    with pytest.raises(KeyboardInterrupt):
        interrupts.take(signal.SIGINT, None)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        assert pipe.read() == b""
