"""The loop: as many runs side by side as asked, each a process of its own with a hard limit.

Every run is one ``polygraph test`` with a seed of its own. All are started from the main thread
with the kernel told to kill them should this process die (``PR_SET_PDEATHSIG``): a run's reaper
then ends its cluster within half a second, so a killed soak leaves nothing running.

The loop itself only starts, waits and writes its book: what a run did stands in the run's folder.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import json
import os
import select
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from harness.errors import (
    EXIT_INFRASTRUCTURE,
    EXIT_INTERRUPTED,
    EXIT_INVALID,
    EXIT_UNKNOWN,
    EXIT_VALID,
)
from harness.linux.stopping import Wishes, handled_by
from harness.soak.allocation import next_cell
from harness.soak.book import Book, Entry, seed_of
from harness.store.runs import write_text
from harness.store.untrusted import MOST_JSON_BYTES, Folder, parsed_json

POLL_S = 0.5
_PR_SET_PDEATHSIG = 1


@dataclass
class Child:
    """One run under way."""

    begun: Entry
    process: subprocess.Popen[bytes]
    pidfd: int
    started_s: float
    words: Path
    is_asked: bool = False

    @property
    def number(self) -> int:
        """The number of the run."""
        return self.begun.number

    def ask_to_stop(self) -> None:
        """As Ctrl-C would; a second time ends it at once, before it has healed its faults.

        What comes within half a second of the first is the same wish to the run.
        """
        self.is_asked = True
        self.process.send_signal(signal.SIGINT)


@dataclass
class Loop:
    """Carries a soak on until it has its runs, its time is over, it fails or it is stopped.

    A run that is refused as impossible ends it too, since all others would be.

    ``command`` does one run: it is given the scenario's file, the seed, the store and the file
    for its result (exit, run_dir, verdict, message, reproduce). ``tell`` is called with every
    entry that is written, ``tick`` about every half second. Where ``wanted`` is given it says, by
    the ended runs and how many are under way, whether a further one is to begin. ``clock`` is
    monotonic seconds. No thread may run beside the loop: its children do something between fork and
    exec.
    """

    book: Book
    store: Path
    command: Sequence[str]
    tell: Callable[[Entry], None]
    clock: Callable[[], float] = time.monotonic
    tick: Callable[[], None] = lambda: None
    wanted: Callable[[Sequence[Entry], int], bool] = lambda ended, active: True
    is_stopped: bool = False
    stopped_by: int | None = None
    _active: dict[int, Child] = field(default_factory=dict)
    _spent_s: float = 0.0

    def run(self) -> None:
        """All of it. Ctrl-C stops every run cleanly and ends the loop; the book stays true.

        So do SIGTERM and SIGHUP; :attr:`stopped_by` says which it was.
        """
        begun_s = self.clock()
        before = self._duration_used_s()
        scenarios = self._write_scenarios()
        with self._stopping():
            while True:
                self._spent_s = before + self.clock() - begun_s
                while len(self._active) < self.book.settings.parallel:
                    following = self._next()
                    if following is None:
                        break
                    self._start(following, scenarios[following.cell])
                if not self._active:
                    return
                self._wait()

    def stop(self) -> None:
        """Begin no further run, and ask those under way to stop cleanly. Safe twice."""
        self.is_stopped = True
        for child in self._active.values():
            child.ask_to_stop()

    # -- what is next --------------------------------------------------------------------------

    def _next(self) -> Entry | None:
        """The beginning of the next run; ``None`` where no further one is wanted."""
        settings, done = self.book.settings, self.book.ended()
        if self.is_stopped or (
            settings.until_failure and any(entry.outcome == "violation" for entry in done)
        ):
            return None
        if settings.duration_s is not None and self._spent_s >= settings.duration_s:
            return None
        if not self.wanted(done, len(self._active)):
            return None
        active = [child.begun for child in self._active.values()]
        number = self._next_number()
        earlier = next((e for e in self.book.entries if e.number == number), None)
        cell = next_cell(settings, self.book.entries, active) if earlier is None else earlier.cell
        if cell is None:
            return None
        seed = settings.seed if settings.same_seed else seed_of(settings.seed, number)
        return Entry(number=number, event="begun", seed=seed, wall_ns=time.time_ns(), cell=cell)

    def _next_number(self) -> int:
        """The lowest number that is neither ended nor under way: half-done runs come first."""
        taken = {entry.number for entry in self.book.ended()} | set(self._active)
        return next(number for number in range(1, len(taken) + 2) if number not in taken)

    def _duration_used_s(self) -> float:
        """Seconds of earlier sittings, by the wall times in the book."""
        used, since = 0.0, None
        for entry in self.book.entries:
            if entry.event == "begun" and since is None:
                since = entry.wall_ns
            elif entry.event == "ended" and since is not None:
                used, since = used + (entry.wall_ns - since) / 1e9, entry.wall_ns
            elif entry.event == "half-done":
                since = None
        return used

    # -- one run -------------------------------------------------------------------------------

    def _write_scenarios(self) -> dict[str, Path]:
        """The file of each cell's scenario."""
        files = {}
        for place, cell in enumerate(self.book.settings.all_cells):
            name = f"scenario-{place}.json" if cell.name else "scenario.json"
            files[cell.name] = self.book.path.with_name(name)
            write_text(files[cell.name], json.dumps(cell.scenario))
        return files

    def _start(self, begun: Entry, scenario: Path) -> None:
        self._note(begun)
        number, seed = begun.number, begun.seed
        words = self.book.path.parent / "words" / f"{number}.txt"
        write_text(words, "")  # where a link may stand that leads elsewhere
        result = words.with_suffix(".json")
        result.unlink(missing_ok=True)  # of an earlier, half-done attempt at this run
        argv = [*self.command, str(scenario), str(seed), str(self.store), str(result)]
        with words.open("wb") as output:
            process = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                preexec_fn=functools.partial(_die_with, os.getpid()),
            )
        pidfd = os.pidfd_open(process.pid)
        child = Child(begun, process, pidfd, self.clock(), words)
        self._active[number] = child
        if self.is_stopped and not child.is_asked:  # the stop came while it was being started
            child.ask_to_stop()

    def _wait(self) -> None:
        """Until a run ends, or a moment is over; what takes too long is killed."""
        poll = select.poll()
        for child in self._active.values():
            poll.register(child.pidfd, select.POLLIN)
        self.tick()
        poll.poll(POLL_S * 1000)
        for child in list(self._active.values()):
            if child.process.poll() is not None:
                self._finish(child, "")
            elif self.clock() - child.started_s > self.book.settings.hard_limit_s:
                child.process.kill()
                child.process.wait()
                limit_s = self.book.settings.hard_limit_s
                self._finish(child, f"killed after its hard limit of {limit_s:g} s")

    def _finish(self, child: Child, trouble: str) -> None:
        os.close(child.pidfd)
        del self._active[child.number]
        told = _result(child.words.with_suffix(".json"))
        status = child.process.returncode
        was_cut_off = status in (EXIT_INTERRUPTED, -signal.SIGINT) or not told
        if self.is_stopped and not trouble and was_cut_off:
            now_ns, run_dir = time.time_ns(), told.get("run_dir")
            self._note(replace(child.begun, event="half-done", wall_ns=now_ns, run_dir=run_dir))
            return
        exit_code, trouble = _ending(child, trouble, told)
        self._note(_entry(child, exit_code, trouble, told, self.clock()))

    def _note(self, entry: Entry) -> None:
        self.book.add(entry)
        self.tell(entry)

    @contextlib.contextmanager
    def _stopping(self) -> Iterator[None]:
        """What asks a command to stop stops the loop; the runs have sessions of their own."""
        wishes = Wishes()

        def stop(number: int, frame: Any) -> None:
            if wishes.is_new(number):
                self.stopped_by = wishes.number
                self.stop()

        with handled_by(stop):
            try:
                yield
            finally:
                for child in self._active.values():
                    child.process.kill()
                    child.process.wait()


def _ending(child: Child, trouble: str, told: Mapping[str, Any]) -> tuple[int, str]:
    """The exit code to count, and what went wrong.

    A code that means a verdict counts only beside the result that holds it: an interpreter that
    could not start ends in 1 too, and a plug-in may end its process with any code.
    """
    if trouble:
        return EXIT_INFRASTRUCTURE, trouble
    status = child.process.returncode
    if status not in (EXIT_VALID, EXIT_INVALID, EXIT_UNKNOWN) or told.get("exit") == status:
        return status, ""
    why = f"ended with exit code {status} and no verdict: {_last_words(child.words)}"
    return EXIT_INFRASTRUCTURE, why


def _entry(
    child: Child, exit_code: int, trouble: str, told: Mapping[str, Any], now_s: float
) -> Entry:
    verdict = told.get("verdict") or {}
    why = trouble or verdict.get("why") or told.get("message") or _last_words(child.words)
    return replace(
        child.begun,
        event="ended",
        wall_ns=time.time_ns(),
        exit=exit_code,
        run_dir=told.get("run_dir"),
        seconds=round(now_s - child.started_s, 3),
        why=str(why),
        settle=[str(step["do"]) for step in verdict.get("settle") or ()],
        reproduce=str(told.get("reproduce") or ""),
        signatures=signatures(verdict),
        faults=verdict.get("faults") or {},
        milestones=verdict.get("milestones") or {},
        operations=sum(sum(n.values()) for n in (verdict.get("operations") or {}).values()),
    )


def signatures(verdict: Mapping[str, Any]) -> list[str]:
    """What kinds of anomalies a verdict holds: checker and type, each once.

    Two violations with the same signatures are probably, not certainly, the same bug.
    """
    return sorted(
        {
            f"{checker}: {kind}"
            for checker, part in (verdict.get("checkers") or {}).items()
            if part.get("valid") is False
            for kind in part.get("anomalies") or {"": []}
        }
    )


def _result(path: Path) -> dict[str, Any]:
    """What the run's process left to say, or nothing if it died first."""
    try:
        told = parsed_json(_words_in(path).read(path.name, MOST_JSON_BYTES))
    except (OSError, ValueError):
        return {}
    return told if isinstance(told, dict) else {}


def _words_in(path: Path) -> Folder:
    """The folder of what runs said, in the soak's."""
    return Folder(path.parent.parent).below(path.parent.name)


def _last_words(path: Path) -> str:
    try:
        data = _words_in(path).read(path.name, MOST_JSON_BYTES)
        lines = data.decode("utf-8", "replace").strip().splitlines()
    except OSError:
        lines = []
    ours = [line.removeprefix("polygraph: ") for line in lines if line.startswith("polygraph: ")]
    return next(reversed(ours or lines), "the run's process died without a word")


def _die_with(parent: int) -> None:
    """Runs in the child: the kernel kills it when ``parent`` ends, or it ends now if that was."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(EXIT_INFRASTRUCTURE)
