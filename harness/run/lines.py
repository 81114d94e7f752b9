"""Lines of work: every occurrence of the schedule lives in one of its own, beside the clients.

    kill-1      ──at 3 s──────►fire──────────►heal (slow)───────────────►
    pause-1     ──armed··········milestone►fire──────►heal►
    partition-1 ──at 4 s────────────►fire──────────────────►heal►

A slow heal therefore holds up nothing. The lines share a thread and an event loop that are theirs
alone; what blocks (arming, injecting, healing) runs in threads (:mod:`harness.run.nemesis`), so
whoever waits for a moment is woken when it comes, however busy clients and other faults are. What
is ready by then is fired by whoever sees the milestone, in that very thread.

What begins after a milestone or after another fault is armed ahead: as soon as nothing else is to
come before (the milestone's last but one, the other fault's begin), where its delay is short, or
shortly before its moment. Until then it is armed anew whenever a fault begins or ends, because that
may change whom it aims at. Where a fault says that its targets are known only at the moment (the
leader after a change of leaders), it is armed then. What never came is said in the ledger.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from harness.contract.fault import ResolvesLate
from harness.history.operation import INFO, Operation
from harness.run.completions import ended
from harness.run.nemesis import Nemesis
from harness.run.schedule import (
    LAST_HEAL_S,
    LEAST_BITE_S,
    AfterFault,
    AfterMilestone,
    At,
    Occurrence,
    Schedule,
    beginning,
    ending,
)
from harness.wording import named

AHEAD_NS: Final = 250_000_000
"""What is armed shortly before its moment is armed so long before it."""
_NS: Final = 1_000_000_000

Begin = AfterMilestone | AfterFault

Record = Callable[[Operation], Operation | None]
"""Puts an operation into the history, from any thread; ``None`` if nothing can be recorded."""


@dataclass
class _Life:
    """What became of one occurrence; times on the history's clock."""

    began_ns: int | None = None
    ended_ns: int | None = None
    why_never: str | None = None
    begun: Operation | None = None
    value: dict[str, Any] = field(default_factory=dict)


class Lines:
    """Lives ``schedule`` by ``nemesis``; offsets count from :meth:`start`.

    ``now`` is the history's clock. ``late`` says of a name and plan whether it is armed at its
    moment only. Nothing begins so late that it cannot bite before ``time_limit_s`` is over.
    """

    def __init__(
        self,
        schedule: Schedule,
        nemesis: Nemesis,
        record: Record,
        now: Callable[[], int],
        time_limit_s: float,
        faults: Sequence[Any] = (),
    ) -> None:
        self._schedule = schedule
        self._nemesis = nemesis
        self._record = record
        self._now = now
        self._limit_s = time_limit_s
        self._faults = {fault.name: fault for fault in faults}
        self._start_ns = 0
        self._lives = [_Life() for _ in schedule.occurrences]
        self._counts: defaultdict[tuple[str, str | None], int] = defaultdict(int)
        self._moments: dict[Any, asyncio.Future[int]] = {}
        self._ready: defaultdict[Any, dict[int, Occurrence]] = defaultdict(dict)
        self._open: list[Operation] = []
        self._lock = threading.Lock()  # what is open, what is ready, and whether it is over
        self._is_over = False
        self.trouble: list[str] = []
        self._loop = asyncio.new_event_loop()
        self._closing = asyncio.Event()
        self._changed = asyncio.Event()
        self._thread = threading.Thread(target=self._run, name="nemesis", daemon=True)

    # -- from outside --------------------------------------------------------------------------

    def start(self) -> None:
        """Begin now."""
        self._start_ns = self._now()
        self._reach(_AT_ONCE, 0)
        self._thread.start()

    def reached(self, name: str, node: str, time_ns: int) -> None:
        """A node went through a milestone at ``time_ns``. Any thread; waits for nobody."""
        came: list[Any] = []
        ready: dict[int, Occurrence] = {}
        with self._lock:
            for where in (None, node):
                self._counts[name, where] += 1
                came.append((name, where, self._counts[name, where]))
                ready |= self._ready.pop(came[-1], {})
        for number, planned in ready.items():
            if self._in_time(self._now()) and not self._closing.is_set():
                self._begin(number, planned)
        with contextlib.suppress(RuntimeError):  # it is over
            self._loop.call_soon_threadsafe(self._reach_all, came, time_ns)

    def is_ready(self, number: int) -> bool:
        """Whether that occurrence is begun by whoever tells of its milestone."""
        with self._lock:
            return any(number in of_moment for of_moment in self._ready.values())

    def halt(self) -> None:
        """Begin nothing more. Any thread."""
        with contextlib.suppress(RuntimeError):  # it is over
            self._loop.call_soon_threadsafe(self._closing.set)

    async def close(self, patience_s: float, hurry: asyncio.Event, hurry_s: float) -> None:
        """Begin nothing more, and wait for what is under way, at most ``patience_s``.

        Once there is ``hurry``, ``hurry_s`` at most. What is under way then is so recorded. Safe
        twice.
        """
        self.halt()
        if self._thread.ident is not None:
            over = asyncio.ensure_future(asyncio.to_thread(self._thread.join, patience_s))
            hurrying = asyncio.ensure_future(hurry.wait())
            await asyncio.wait({over, hurrying}, return_when=asyncio.FIRST_COMPLETED)
            hurrying.cancel()
            await asyncio.wait({over}, timeout=hurry_s)
        with self._lock:
            self._is_over = True
            under_way = list(self._open)
            self._open.clear()
        for operation in under_way:
            self._record(ended(operation, INFO, "still under way when the run was stopped"))

    def happened(self) -> list[dict[str, Any]]:
        """What became of each occurrence, in the order of the schedule."""
        return [_told(life, self._start_ns) for life in self._lives]

    # -- the loop of the lines -----------------------------------------------------------------

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self._live_all())
        finally:
            self._loop.close()

    async def _live_all(self) -> None:
        lines = [
            asyncio.create_task(self._live(number, planned), name=planned.name)
            for number, planned in enumerate(self._schedule.occurrences)
        ]
        for outcome in await asyncio.gather(*lines, return_exceptions=True):
            if isinstance(outcome, BaseException):
                self.trouble.append(f"a line of the fault schedule broke: {named(outcome)}")

    async def _live(self, number: int, planned: Occurrence) -> None:
        life = self._lives[number]
        life.why_never = await self._until_moment(number, planned)
        if life.begun is not None:
            life.why_never = None
        if life.why_never is not None:
            self._reach(("begin", planned.name), None)
            self._reach(("end", planned.name), None)
            if not isinstance(planned.begin, At) or life.why_never is not _OVER:
                await self._nemesis.never(planned.fault, number, life.why_never)
            return
        if life.begun is None:
            self._begin(number, planned)
        completion = await self._complete(life.begun)
        life.value = dict(completion.value or {}) if completion is not None else {}
        is_begun = completion is not None and completion.error is None
        self._tell_change()
        self._reach(("begin", planned.name), self._now() if is_begun else None)
        if planned.lasts_ns is not None:
            is_over = await self._heal_in_time(number, planned, life)
        else:
            life.ended_ns, is_over = self._now(), is_begun
        self._reach(("end", planned.name), self._now() if is_over else None)

    async def _heal_in_time(self, number: int, planned: Occurrence, life: _Life) -> bool:
        """Heal it when its time is over; whether it was. The final heal has what is left."""
        assert planned.lasts_ns is not None
        assert life.began_ns is not None
        begun = self._start_ns + planned.begin.at_ns if isinstance(planned.begin, At) else None
        last_ns = self._start_ns + round((self._limit_s - LAST_HEAL_S) * _NS)
        stop_ns = min((begun or life.began_ns) + planned.lasts_ns, last_ns)
        if not await self._sleep_until(stop_ns) or not self._nemesis.is_open(number):
            return False
        completion = await self._complete(self._recorded(ending(number, planned)))
        life.ended_ns = self._now()
        life.value |= dict(completion.value or {}) if completion is not None else {}
        self._tell_change()
        return not self._nemesis.is_open(number)

    def _begin(self, number: int, planned: Occurrence) -> None:
        """Record that it begins, and fire it if it is ready. Any thread."""
        life = self._lives[number]
        life.began_ns = self._now()
        life.begun = self._recorded(beginning(number, planned))
        if life.begun is not None:
            self._nemesis.shoot(life.begun)

    def _recorded(self, operation: Operation) -> Operation | None:
        """The operation, its invocation in the history; ``None`` if nothing can be recorded."""
        with self._lock:
            if self._is_over or self._record(operation) is None:
                return None
            self._open.append(operation)
        return operation

    async def _complete(self, operation: Operation | None) -> Operation | None:
        """Carry out what is recorded, its completion in the history."""
        if operation is None:
            return None
        completion = await self._nemesis.invoke(operation)
        with self._lock:
            if operation in self._open:
                self._open.remove(operation)
                self._record(completion)
        return completion

    # -- moments -------------------------------------------------------------------------------

    async def _until_moment(self, number: int, planned: Occurrence) -> str | None:
        """Wait until it is to begin; why it never is."""
        begin = planned.begin
        if isinstance(begin, At):
            is_time = await self._sleep_until(self._start_ns + begin.at_ns)
            return None if is_time else _OVER
        is_soon = begin.delay_ns <= AHEAD_NS and not self._resolves_late(planned)
        came_ns = await self._trigger(number, planned, begin, is_armed=is_soon)
        if came_ns is None:
            return f"{begin} never came" if self._closing.is_set() else f"{begin} is not to come"
        due_ns = came_ns + begin.delay_ns
        if not self._in_time(due_ns):
            return f"{begin} came too late: the time limit leaves no time to bite"
        if not is_soon and not self._resolves_late(planned):
            if not await self._sleep_until(due_ns - AHEAD_NS):
                return _OVER
            await self._nemesis.arm(planned.fault, number, planned.plan)
        return None if await self._sleep_until(due_ns) else _OVER

    async def _trigger(
        self,
        number: int,
        planned: Occurrence,
        begin: Begin,
        *,
        is_armed: bool,
    ) -> int | None:
        """When that came after which it is to begin; ``None`` if it never does.

        With ``is_armed`` it is kept armed meanwhile.
        """
        came = self._moment(_key(begin))
        closing = asyncio.ensure_future(self._closing.wait())
        try:
            while not came.done():
                changed = asyncio.ensure_future(self._changed.wait())
                before = self._moment(_before(begin))
                if is_armed and before.done() and before.result() >= 0:
                    await self._nemesis.arm(planned.fault, number, planned.plan)
                    self._await_ready(number, planned, begin)
                waiting: set[asyncio.Future[Any]] = {came, closing, changed}
                waiting |= set() if before.done() else {before}
                await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
                changed.cancel()
                if closing.done() and not came.done():
                    return None
            found = came.result()
            return found if found >= 0 else None
        finally:
            closing.cancel()
            with self._lock:  # from now on nobody else begins it
                self._ready[_key(begin)].pop(number, None)

    def _await_ready(self, number: int, planned: Occurrence, begin: Begin) -> None:
        """It is ready: whoever sees its milestone begins it, if that comes without a delay."""
        key = _key(begin)
        with self._lock:
            is_due = isinstance(begin, AfterMilestone) and self._counts[key[:2]] >= begin.nth
            if isinstance(begin, AfterMilestone) and not begin.delay_ns and not is_due:
                self._ready[key][number] = planned

    def _in_time(self, at_ns: int) -> bool:
        """Whether what begins then has the time to bite."""
        return at_ns <= self._start_ns + round((self._limit_s - LEAST_BITE_S) * _NS)

    def _resolves_late(self, planned: Occurrence) -> bool:
        fault = self._faults.get(planned.fault)
        return isinstance(fault, ResolvesLate) and fault.resolves_late(planned.plan)

    def _moment(self, key: Any) -> asyncio.Future[int]:
        if key not in self._moments:
            self._moments[key] = self._loop.create_future()
        return self._moments[key]

    def _reach(self, key: Any, time_ns: int | None) -> None:
        """That has come, or (``None``) never will."""
        moment = self._moment(key)
        if not moment.done():
            moment.set_result(-1 if time_ns is None else time_ns)

    def _reach_all(self, keys: Sequence[Any], time_ns: int) -> None:
        for key in keys:
            self._reach(key, time_ns)

    def _tell_change(self) -> None:
        """A fault began or ended: who is armed looks whether that changes whom it aims at."""
        self._changed.set()
        self._changed = asyncio.Event()

    async def _sleep_until(self, at_ns: int) -> bool:
        """Whether it is that time now; not, if all is over before."""
        wait_s = (at_ns - self._now()) / _NS
        if wait_s > 0:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._closing.wait(), wait_s)
        return not self._closing.is_set()


_OVER: Final = "the operations were over"
_AT_ONCE: Final = "start"


def _key(begin: Begin) -> Any:
    if isinstance(begin, AfterFault):
        return (begin.event, begin.fault)
    return (begin.milestone, begin.node, begin.nth)


def _before(begin: Begin) -> Any:
    """The moment from which on it may come next."""
    if isinstance(begin, AfterFault):
        return ("begin", begin.fault) if begin.event == "end" else _AT_ONCE
    return (begin.milestone, begin.node, begin.nth - 1) if begin.nth > 1 else _AT_ONCE


def _told(life: _Life, start_ns: int) -> dict[str, Any]:
    """What became of one, times in seconds since the start of the main phase."""
    if life.began_ns is None:
        return {"never": life.why_never or _OVER}
    told: dict[str, Any] = {"began_s": round((life.began_ns - start_ns) / _NS, 6)}
    if life.ended_ns is not None:
        told["ended_s"] = round((life.ended_ns - start_ns) / _NS, 6)
    for key in ("id", "targets", "bit", "healed", "done"):
        if key in life.value:
            told[key] = life.value[key]
    return told
