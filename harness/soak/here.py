"""Runs on this machine, each a process of its own with a hard limit.

All are started from the main thread with the kernel told to kill them should this process die
(``PR_SET_PDEATHSIG``): a run's reaper then ends its cluster within half a second, so a killed soak
leaves nothing running.
"""

from __future__ import annotations

import ctypes
import functools
import json
import os
import select
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.errors import EXIT_INFRASTRUCTURE
from harness.soak.book import Book, Entry
from harness.soak.places import Ending, last_words
from harness.store.runs import write_text
from harness.store.untrusted import MOST_JSON_BYTES, Folder, parsed_json

_PR_SET_PDEATHSIG = 1


@dataclass
class _Child:
    """One run under way."""

    number: int
    process: subprocess.Popen[bytes]
    pidfd: int
    started_s: float
    words: Path
    is_asked: bool = False

    def ask_to_stop(self) -> None:
        """As Ctrl-C would; a second time ends it at once, before it has healed its faults.

        What comes within half a second of the first is the same wish to the run.
        """
        self.is_asked = True
        self.process.send_signal(signal.SIGINT)


@dataclass
class Here:
    """Makes the runs of ``book`` as processes of this machine.

    ``command`` does one run: it is given the scenario's file, the seed, the store and the file
    for its result (exit, run_dir, verdict, message, reproduce). ``clock`` is monotonic seconds. No
    thread may run beside it: its children do something between fork and exec.
    """

    book: Book
    store: Path
    command: Sequence[str]
    clock: Callable[[], float] = time.monotonic
    _active: dict[int, _Child] = field(default_factory=dict)
    _is_stopped: bool = False

    def room(self) -> int:
        """As many as were asked for."""
        return self.book.settings.parallel

    def start(self, begun: Entry, scenario: Mapping[str, Any]) -> None:
        """Begin a run as a process."""
        words = self.book.path.parent / "words" / f"{begun.number}.txt"
        write_text(words, "")  # where a link may stand that leads elsewhere
        result = words.with_suffix(".json")
        result.unlink(missing_ok=True)  # of an earlier, half-done attempt at this run
        table = str(self._scenario_file(begun.cell, scenario))
        argv = [*self.command, table, str(begun.seed), str(self.store), str(result)]
        with words.open("wb") as output:
            process = started(argv, output)
        pidfd = os.pidfd_open(process.pid)
        child = _Child(begun.number, process, pidfd, self.clock(), words)
        self._active[begun.number] = child
        if self._is_stopped and not child.is_asked:  # the stop came while it was being started
            child.ask_to_stop()

    def ended(self, wait_s: float) -> Sequence[Ending]:
        """Those that ended; what takes too long is killed."""
        poll = select.poll()
        for child in self._active.values():
            poll.register(child.pidfd, select.POLLIN)
        poll.poll(wait_s * 1000)
        limit_s = self.book.settings.hard_limit_s
        found = []
        for child in list(self._active.values()):
            if child.process.poll() is not None:
                found.append(self._finished(child, ""))
            elif self.clock() - child.started_s > limit_s:
                _kill(child)
                found.append(self._finished(child, f"killed after its hard limit of {limit_s:g} s"))
        return found

    def stop(self) -> None:
        """Ask those under way to stop cleanly."""
        self._is_stopped = True
        for child in self._active.values():
            child.ask_to_stop()

    def close(self) -> None:
        """Kill those under way."""
        for child in self._active.values():
            _kill(child)

    def _finished(self, child: _Child, trouble: str) -> Ending:
        os.close(child.pidfd)
        del self._active[child.number]
        return Ending(
            number=child.number,
            status=child.process.returncode,
            told=result_in(child.words.with_suffix(".json")),
            words=_words(child.words),
            seconds=self.clock() - child.started_s,
            trouble=trouble,
        )

    def _scenario_file(self, cell: str, scenario: Mapping[str, Any]) -> Path:
        """The file of a cell's scenario, written at its first run."""
        names = [each.name for each in self.book.settings.all_cells]
        name = f"scenario-{names.index(cell)}.json" if cell else "scenario.json"
        path = self.book.path.with_name(name)
        write_text(path, json.dumps(scenario))
        return path


def started(argv: Sequence[str], output: Any) -> subprocess.Popen[bytes]:
    """A run's process, with a session of its own, that dies with the thread that starts it."""
    return subprocess.Popen(
        argv,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        start_new_session=True,
        preexec_fn=functools.partial(_die_with, os.getpid()),
    )


def result_in(path: Path) -> dict[str, Any]:
    """What the run's process left to say, or nothing if it died first."""
    try:
        told = parsed_json(_words_in(path).read(path.name, MOST_JSON_BYTES))
    except (OSError, ValueError):
        return {}
    return told if isinstance(told, dict) else {}


def _words(path: Path) -> str:
    try:
        return last_words(_words_in(path).read(path.name, MOST_JSON_BYTES))
    except OSError:
        return last_words(b"")


def _words_in(path: Path) -> Folder:
    """The folder of what runs said, in the soak's."""
    return Folder(path.parent.parent).below(path.parent.name)


def _kill(child: _Child) -> None:
    child.process.kill()
    child.process.wait()


def _die_with(parent: int) -> None:
    """Runs in the child: the kernel kills it when ``parent`` ends, or it ends now if that was."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(EXIT_INFRASTRUCTURE)
