"""The nemesis: carries out faults and actions, off the loop of the clients.

``start-partition``, ``stop-partition`` and (for an action) ``compact`` go into the history like
client operations; the work is done in threads of its own, since injecting and measuring block and a
late completion would widen the intervals of the clients' operations. The threads are daemons: a
call into a cluster that never returns is given up after a while and can neither hang the run nor
its end. Who calls it when is the business of :mod:`harness.run.lines`; any number of operations may
be under way at a time, and none waits for another.

**Faults that overlap.** What faults hold together (a link that is cut, a process that stands still)
is let go when the last of them is healed, and a node whose clock or processes another fault already
has is passed over when the next one is armed: see the faults themselves. So every heal undoes what
its own fault did and nothing else, in whatever order heals come.

Nothing here raises because of a fault: trouble goes into the ledger and into the operation's
``error``. At the end :meth:`Nemesis.heal_all` heals what is still open, last come first, and
says what could not be healed.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from functools import partial
from typing import Any, Final, TypeVar

from msgspec.structs import replace

from harness.contract.action import Action
from harness.contract.fault import Fault, Stage
from harness.errors import UsageError
from harness.history.ledger import ARMED, DISARMED, MOMENTARY, Ledger
from harness.history.operation import INFO, Operation
from harness.run.injection import Attempt, Deed, Injection, Limits, said
from harness.run.schedule import START, STOP

T = TypeVar("T")

FINAL_HEAL: Final = "the final heal had begun"


class Nemesis:
    """Carries out nemesis operations on ``stage``, writing ``ledger`` before each step."""

    def __init__(
        self,
        faults: Sequence[Fault | Action],
        stage: Stage,
        ledger: Ledger,
        limits: Limits = Limits(),  # noqa: B008 - frozen
    ) -> None:
        self._known = {each.name: each for each in faults}
        self._stage = stage
        self._ledger = ledger
        self._limits = limits
        self._lock = threading.Lock()
        self._injections: list[Injection] = []
        self._armed: dict[int, Attempt] = {}
        self._shot: dict[int, Injection] = {}
        self._is_closed = False

    async def arm(self, name: str, occurrence: int, plan: Mapping[str, Any]) -> str | None:
        """Arm it ahead, or anew where targets or details are others by now; why not, or ``None``.

        What was armed is fired by the operation of that occurrence. Where arming fails, that
        operation tries it again.
        """
        work = partial(self._arm_ahead, name, occurrence, plan)
        try:
            return await _off_loop(work, self._limits.call_s, f"arm {name}")
        except Exception as error:
            return said(error)

    def shoot(self, operation: Operation) -> None:
        """Fire what is armed and ready for this operation, at once and in the caller's thread.

        Then :meth:`invoke` must follow, which does the rest, or all of it where nothing was ready.
        """
        occurrence = _occurrence(operation)
        with self._lock:
            armed = self._armed.get(occurrence)
            if self._is_closed or not isinstance(armed, Injection) or armed.shot is None:
                return
            if not armed.busy.acquire(blocking=False):  # it is armed anew
                return
            self._shot[occurrence] = armed
            del self._armed[occurrence]
            self._injections.append(armed)
        armed.shoot()

    async def never(self, name: str, occurrence: int, why: str) -> None:
        """The occurrence is not to come any more: say so in the ledger, armed or not."""
        work = partial(self._never, name, occurrence, why)
        with contextlib.suppress(Exception):  # without a ledger there is nowhere to say it
            await _off_loop(work, self._limits.call_s, f"disarm {name}")

    async def invoke(self, operation: Operation) -> Operation:
        """The completed operation (``info``); trouble is in its ``error``, never raised.

        ``value`` of a start gives the injection's ``id``, ``targets`` and details; of a stop,
        whether it bit and was healed; of an action, whether it was done or refused.
        """
        step = self._step(operation.f)
        if step is None:
            known = ", ".join(word for each in self._known.values() for word in words_of(each))
            return _done(operation, None, f"{operation.f} is not one of {known or 'none'}")
        try:
            return await _off_loop(lambda: step(operation), self._limits.call_s, operation.f)
        except Exception as error:
            return _done(operation, None, said(error))

    async def heal_all(self) -> list[str]:
        """Heal every open fault, last begun first, and begin no more; what could not be healed.

        Also tries again what failed to heal before. Safe twice.
        """
        with self._lock:
            self._is_closed = True
            waiting = [each for each in reversed(self._injections) if not each.is_healed]
            armed = list(self._armed.items())
        for occurrence, attempt in armed:
            await self.never(attempt.name, occurrence, FINAL_HEAL)
        left = []
        for injection in waiting:
            why = await self._end_within_limit(injection)
            if why is not None:
                left.append(f"{injection}: {why}")
        return left

    def troubled(self, node: str, why: str) -> None:
        """What is in force on ``node`` may not be any more; each such fault's ledger says so."""
        with self._lock:
            injections = list(self._injections)
        for injection in injections:
            injection.troubled(node, why)

    def open_faults(self) -> list[str]:
        """Names of the faults that are in force or not proved healed, oldest first."""
        with self._lock:
            return [each.name for each in self._injections if not each.is_healed]

    def is_open(self, occurrence: int) -> bool:
        """Whether something of that occurrence may be in force."""
        with self._lock:
            return any(e.occurrence == occurrence and not e.is_healed for e in self._injections)

    def _step(self, f: str) -> Callable[[Operation], Operation] | None:
        if isinstance(self._known.get(f), Action):
            return self._act
        for verb, step in ((START, self._start), (STOP, self._stop)):
            known = self._known.get(f.removeprefix(verb)) if f.startswith(verb) else None
            if known is not None and not isinstance(known, Action):
                return step
        return None

    # -- arming --------------------------------------------------------------------------------

    def _attempt(self, name: str, occurrence: int) -> Attempt:
        what = self._known[name]
        kind = Deed if isinstance(what, Action) else Injection
        return kind(what, self._stage, self._ledger, self._limits, occurrence)

    def _arm_ahead(self, name: str, occurrence: int, plan: Mapping[str, Any]) -> str | None:
        with self._lock:
            if self._has_begun(occurrence):
                return None  # fired by who saw its milestone, while others were told of a change
            armed = self._armed.get(occurrence)
        if armed is not None:
            with armed.busy:
                if not self._is_armed(occurrence, armed):
                    return None  # it was fired meanwhile
                if armed.is_current(plan):
                    if isinstance(armed, Injection):
                        armed.prepare()
                    return None
                self._forget(occurrence)
                armed.disarm("whom it aims at has changed: it is armed anew")
        anew = self._attempt(name, occurrence)
        with anew.busy:
            with self._lock:
                self._refuse_closed()
            anew.arm(plan, is_ahead=True)
            with self._lock:
                is_late = self._has_begun(occurrence)
                if not is_late:
                    self._armed[occurrence] = anew
            if is_late:
                anew.disarm("it began while it was armed anew")
        return None

    def _never(self, name: str, occurrence: int, why: str) -> None:
        armed = self._forget(occurrence)
        if armed is None:
            mark = {MOMENTARY: True} if isinstance(self._known[name], Action) else {}
            detail = {"occurrence": occurrence, ARMED: True, **mark}
            number = self._ledger.intend(name, [], detail)
            self._ledger.record(number, DISARMED, {"why": why})
            return
        with armed.busy:
            armed.disarm(why)

    def _has_begun(self, occurrence: int) -> bool:
        """Whether it is fired, or being fired. The caller holds the lock."""
        return occurrence in self._shot or any(e.occurrence == occurrence for e in self._injections)

    def _is_armed(self, occurrence: int, armed: Attempt) -> bool:
        with self._lock:
            return self._armed.get(occurrence) is armed

    def _forget(self, occurrence: int) -> Attempt | None:
        with self._lock:
            return self._armed.pop(occurrence, None)

    def _taken(self, operation: Operation, name: str) -> tuple[Attempt, Mapping[str, Any]]:
        """What was armed for this operation, or a new attempt."""
        value = operation.value or {}
        occurrence = value.get("occurrence", len(self._injections))
        armed = self._forget(occurrence)
        return armed or self._attempt(name, occurrence), value

    def _refuse_closed(self) -> None:
        """The caller holds the lock."""
        if self._is_closed:
            raise UsageError("the final heal has begun, no fault is injected any more")

    # -- operations ----------------------------------------------------------------------------

    def _start(self, operation: Operation) -> Operation:
        value = operation.value or {}
        with self._lock:
            shot = self._shot.pop(_occurrence(operation), None)
        if shot is not None:
            try:
                return self._started(operation, shot, _fired(shot, value))
            finally:
                shot.busy.release()
        injection, value = self._taken(operation, operation.f.removeprefix(START))
        assert isinstance(injection, Injection)
        with injection.busy:  # before it can be found, so that nobody heals what is half done
            self._begin(injection)
            error = _fired(injection, value)
        return self._started(operation, injection, error)

    def _started(self, operation: Operation, injection: Injection, error: str | None) -> Operation:
        shown = {"id": injection.id, "targets": injection.targets, **injection.detail}
        return _done(operation, shown, error, injection.trouble)

    def _begin(self, attempt: Attempt) -> None:
        """From now on the final heal knows of it; ``UsageError`` if that has begun."""
        try:
            with self._lock:
                self._refuse_closed()
                if isinstance(attempt, Injection):
                    self._injections.append(attempt)
        except UsageError:
            attempt.disarm(FINAL_HEAL)
            raise

    def _act(self, operation: Operation) -> Operation:
        deed, value = self._taken(operation, operation.f)
        assert isinstance(deed, Deed)
        with deed.busy:
            self._begin(deed)
            error = _fired(deed, value)
        shown: dict[str, Any] = {"id": deed.id, "targets": deed.targets}
        shown["occurrence"] = deed.occurrence
        if deed.outcome is not None:
            shown |= {"done": deed.outcome.is_done, "what": deed.outcome.what}
        return _done(operation, shown, error, deed.trouble)

    def _stop(self, operation: Operation) -> Operation:
        fault = operation.f.removeprefix(STOP)
        injection = self._open(fault, (operation.value or {}).get("occurrence"))
        if injection is None:
            return _done(operation, None, f"no {fault} is in force")
        error = self._end(injection)
        shown = {
            "id": injection.id,
            "occurrence": injection.occurrence,
            "bit": injection.has_bitten,
            "healed": injection.is_healed,
        }
        return _done(operation, shown, error, injection.trouble)

    def _open(self, fault: str, occurrence: int | None) -> Injection | None:
        """The open injection of ``fault`` with that number; without a number, the oldest."""
        with self._lock:
            return next(
                (
                    each
                    for each in self._injections
                    if each.name == fault
                    and not each.is_healed
                    and occurrence in (None, each.occurrence)
                ),
                None,
            )

    def _end(self, injection: Injection) -> str | None:
        """Heal once nobody else is at it: two heals at a time could start a system twice."""
        if not injection.busy.acquire(timeout=self._limits.call_s):
            return "an earlier step of it has not returned"
        try:
            return injection.end()
        finally:
            injection.busy.release()

    async def _end_within_limit(self, injection: Injection) -> str | None:
        limit_s = 3 * self._limits.call_s + self._limits.heal_s  # busy, watcher, heal; proof
        try:
            return await _off_loop(lambda: self._end(injection), limit_s, f"heal {injection}")
        except Exception as error:
            return said(error)


def words_of(each: Fault | Action) -> tuple[str, ...]:
    """The operations by which it goes into the history."""
    return (each.name,) if isinstance(each, Action) else (START + each.name, STOP + each.name)


def _occurrence(operation: Operation) -> int:
    """Which of the schedule; -1 where it is none of it."""
    return int((operation.value or {}).get("occurrence", -1))


def _fired(attempt: Injection | Deed, value: Mapping[str, Any]) -> str | None:
    """Arm it, unless that is done, and fire it; why it went wrong."""
    try:
        if attempt.id is None:
            attempt.arm(value["plan"])
        attempt.fire()
    except Exception as trouble:
        return said(trouble)
    return None


def _done(
    operation: Operation, value: Any, error: str | None, trouble: Sequence[str] = ()
) -> Operation:
    said_all = "; ".join(dict.fromkeys([*([error] if error else []), *trouble]))
    shown = operation.value if value is None else value
    return replace(operation, type=INFO, value=shown, error=said_all or None)


async def _off_loop(call: Callable[[], T], limit_s: float, what: str) -> T:
    """``call()`` in a daemon thread; ``TimeoutError`` if it has not returned by the limit."""
    answer: Future[T] = Future()
    answer.set_running_or_notify_cancel()  # so that giving up cannot trip the thread

    def work() -> None:
        try:
            answer.set_result(call())
        except Exception as error:
            answer.set_exception(error)
        except BaseException as error:  # SystemExit of a driver would end the loop that waits here
            answer.set_exception(RuntimeError(said(error)))

    threading.Thread(target=work, name=what, daemon=True).start()
    try:
        return await asyncio.wait_for(asyncio.wrap_future(answer), limit_s)
    except TimeoutError:
        if answer.done():  # the call itself raised it
            raise
        raise TimeoutError(f"{what} has not returned after {limit_s:g} s") from None
