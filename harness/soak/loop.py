"""The loop: as many runs side by side as asked, each with a seed and an entry of its own.

The loop itself only decides what is next, waits and writes its book: where runs happen is the
business of a :class:`~harness.soak.places.Place`, and what a run did stands in the run's folder.
"""

from __future__ import annotations

import contextlib
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
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
from harness.soak.places import Ending, Place

POLL_S = 0.5


@dataclass
class Loop:
    """Carries a soak on until it has its runs, its time is over, it fails or it is stopped.

    A run that is refused as impossible ends it too, since all others would be.

    ``tell`` is called with every entry that is written, ``tick`` about every half second.
    ``wanted`` says, by the ended runs and how many are under way, whether a further one is to
    begin. ``clock`` is monotonic seconds.
    """

    book: Book
    place: Place
    tell: Callable[[Entry], None]
    clock: Callable[[], float] = time.monotonic
    tick: Callable[[], None] = lambda: None
    wanted: Callable[[Sequence[Entry], int], bool] = lambda ended, active: True
    is_stopped: bool = False
    stopped_by: int | None = None
    _active: dict[int, Entry] = field(default_factory=dict)
    _spent_s: float = 0.0

    def run(self) -> None:
        """All of it. Ctrl-C stops every run cleanly and ends the loop; the book stays true.

        So do SIGTERM and SIGHUP; :attr:`stopped_by` says which it was.
        """
        begun_s = self.clock()
        before = self._duration_used_s()
        scenarios = {cell.name: cell.scenario for cell in self.book.settings.all_cells}
        with self._stopping():
            while True:
                self._spent_s = before + self.clock() - begun_s
                while len(self._active) < min(self.book.settings.parallel, self.place.room()):
                    following = self._next()
                    if following is None:
                        break
                    self._note(following)
                    self._active[following.number] = following
                    self.place.start(following, scenarios[following.cell])
                if not self._active and self._next() is None:
                    return
                self.tick()
                for ending in self.place.ended(POLL_S):
                    self._finish(ending)

    def stop(self) -> None:
        """Begin no further run, and ask those under way to stop cleanly. Safe twice."""
        self.is_stopped = True
        self.place.stop()

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
        number = self._next_number()
        earlier = next((e for e in self.book.entries if e.number == number), None)
        active = list(self._active.values())
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

    def _finish(self, ending: Ending) -> None:
        begun = self._active.pop(ending.number)
        for worker in ending.lost:  # made again by the scheduler itself: the book tells of each try
            self._half_done(begun, None, f"its worker {worker} was lost")
            self._note(begun)
        has_none = ending.status in (EXIT_INTERRUPTED, -signal.SIGINT) or not ending.told
        is_cut_off = self.is_stopped and not ending.trouble and has_none
        if is_cut_off or ending.is_taken_back:
            self._half_done(begun, ending.told.get("run_dir"), "")
            return
        exit_code, trouble = _counted(ending)
        self._note(_entry(begun, exit_code, trouble, ending))

    def _half_done(self, begun: Entry, run_dir: Any, why: str) -> None:
        now_ns = time.time_ns()
        self._note(replace(begun, event="half-done", wall_ns=now_ns, run_dir=run_dir, why=why))

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
                self.place.close()


def _counted(ending: Ending) -> tuple[int, str]:
    """The exit code to count, and what went wrong.

    A code that means a verdict counts only beside the result that holds it: an interpreter that
    could not start ends in 1 too, and a plug-in may end its process with any code.
    """
    if ending.trouble:
        return EXIT_INFRASTRUCTURE, ending.trouble
    status = ending.status
    if status not in (EXIT_VALID, EXIT_INVALID, EXIT_UNKNOWN) or ending.told.get("exit") == status:
        return status, ""
    why = f"ended with exit code {status} and no verdict: {ending.words}"
    return EXIT_INFRASTRUCTURE, why


def _entry(begun: Entry, exit_code: int, trouble: str, ending: Ending) -> Entry:
    verdict = ending.told.get("verdict") or {}
    why = trouble or verdict.get("why") or ending.told.get("message") or ending.words
    return replace(
        begun,
        event="ended",
        wall_ns=time.time_ns(),
        exit=exit_code,
        run_dir=ending.told.get("run_dir"),
        seconds=round(ending.seconds, 3),
        why=str(why),
        settle=[str(step["do"]) for step in verdict.get("settle") or ()],
        reproduce=str(ending.told.get("reproduce") or ""),
        signatures=signatures(verdict),
        faults=verdict.get("faults") or {},
        milestones=verdict.get("milestones") or {},
        operations=sum(sum(n.values()) for n in (verdict.get("operations") or {}).values()),
        worker=ending.worker,
        floors=floors(verdict),
    )


def floors(verdict: Mapping[str, Any]) -> dict[str, float]:
    """What the gauges of a run came down to after the load, as its checker ``metrics`` tells."""
    told = ((verdict.get("checkers") or {}).get("metrics") or {}).get("stats") or {}
    return {str(name): float(each) for name, each in (told.get("floors") or {}).items()}


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
