"""The nemesis: carries out the operations of the fault schedule, off the loop of the clients.

``start-partition`` and ``stop-partition`` (and so on) come from the schedule through the
dispatcher, like client operations, and go into the history; the work is done in threads of its
own, since injecting and measuring block and a late completion would widen the intervals of the
clients' operations. The threads are daemons: a call into a cluster that never returns is given
up after a while and can neither hang the run nor its end.

Nothing here raises because of a fault: trouble goes into the ledger and into the operation's
``error``. At the end :meth:`Nemesis.heal_all` heals what is still open, last come first, and
says what could not be healed.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any, TypeVar

from msgspec.structs import replace

from harness.contract.fault import Fault, Stage
from harness.errors import UsageError
from harness.history.ledger import Ledger
from harness.history.operation import INFO, Operation
from harness.run.injection import Injection, Limits, said
from harness.run.schedule import START, STOP

T = TypeVar("T")


class Nemesis:
    """Carries out nemesis operations on ``stage``, writing ``ledger`` before each step."""

    def __init__(
        self,
        faults: Sequence[Fault],
        stage: Stage,
        ledger: Ledger,
        limits: Limits = Limits(),  # noqa: B008 - frozen
    ) -> None:
        self._faults = {fault.name: fault for fault in faults}
        self._stage = stage
        self._ledger = ledger
        self._limits = limits
        self._lock = threading.Lock()
        self._injections: list[Injection] = []
        self._is_closed = False

    async def invoke(self, operation: Operation) -> Operation:
        """The completed operation (``info``); trouble is in its ``error``, never raised.

        ``value`` of a start gives the injection's ``id``, ``targets`` and details; of a stop,
        whether it bit and was healed.
        """
        step = self._step(operation.f)
        if step is None:
            known = ", ".join(f"{verb}{name}" for name in self._faults for verb in (START, STOP))
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
        left = []
        for injection in waiting:
            why = await self._end_within_limit(injection)
            if why is not None:
                left.append(f"{injection}: {why}")
        return left

    def open_faults(self) -> list[str]:
        """Names of the faults that are in force or not proved healed, oldest first."""
        with self._lock:
            return [each.fault.name for each in self._injections if not each.is_healed]

    def _step(self, f: str) -> Callable[[Operation], Operation] | None:
        for verb, step in ((START, self._start), (STOP, self._stop)):
            if f.startswith(verb) and f.removeprefix(verb) in self._faults:
                return step
        return None

    def _start(self, operation: Operation) -> Operation:
        value = operation.value or {}
        number = value.get("occurrence", len(self._injections))
        fault = self._faults[operation.f.removeprefix(START)]
        injection = Injection(fault, self._stage, self._ledger, self._limits, number)
        with injection.busy:  # before it can be found, so that nobody heals what is half done
            with self._lock:
                if self._is_closed:
                    raise UsageError("the final heal has begun, no fault is injected any more")
                self._injections.append(injection)
            error = None
            try:
                injection.begin(value["plan"])
            except Exception as trouble:
                error = said(trouble)
        shown = {"id": injection.id, "targets": injection.targets, **injection.detail}
        return _done(operation, shown, error, injection.trouble)

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
                    if each.fault.name == fault
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
        except BaseException as error:
            answer.set_exception(error)

    threading.Thread(target=work, name=what, daemon=True).start()
    try:
        return await asyncio.wait_for(asyncio.wrap_future(answer), limit_s)
    except TimeoutError:
        if answer.done():  # the call itself raised it
            raise
        raise TimeoutError(f"{what} has not returned after {limit_s:g} s") from None
