"""The cases of the conformance kit: one hostile server, one operation, one verdict each.

Each case lets a client do one operation against a server that misbehaves in one way at one of the
operation's requests, on a fresh connection or on one that has served an operation already. Then
it asks four things, of which none is a matter of taste:

1. *One request on the wire.* Never more requests than the operation takes.
2. *The completion is right.* ``ok`` only after honest answers. ``fail`` only where no effective
   request was received, or the server's own word says so. ``info`` otherwise, and ``fail``, not
   ``info``, where nobody was listening. An operation without effect may be either.
3. *After a time-out the connection is closed*, by the client or by its owner's ``close``.
4. *A late answer never reaches the next operation.*

The operations are driven by the real dispatcher, one process on one node, so that what is judged
is what a history would hold. What was received is judged, not what ought to have been sent: a
client that notices an end of file before it sends, and connects anew, is right, and so is one
that sends and reports doubt.

Time-outs are short where a case waits for one. A slow machine may then not get as far as the
misbehaviour; such an attempt proves nothing and is repeated with a longer time-out.

Cost: a few milliseconds a case, and the time-out (0.2 s) where there is one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from harness.conformance.process import ClientFactory, Process
from harness.conformance.server import Act, Received, ScriptedServer, Then
from harness.conformance.trial import TRIALS, Trial
from harness.contract.client import SystemClient
from harness.contract.speaker import Kind, Misanswer, Speaker
from harness.history.operation import FAIL, INFO, OK
from harness.wording import shown

LoopFactory = Callable[[], asyncio.AbstractEventLoop]

WARM: Final = 101  # what the operation before, the judged one and the one after it must read
JUDGED: Final = 202
NEXT: Final = 303
_PATIENT_S: Final = (10.0,)
_HASTY_S: Final = (0.2, 1.0, 5.0)


class Nonconformance(AssertionError):
    """The client did what no client may; says what, in which case."""


class _NotReached(Exception):
    """The attempt ended before the misbehaviour; it proves nothing."""


@dataclass(frozen=True)
class Misbehaviour:
    """One way to treat one request, or (without ``act``) the whole connection.

    ``stalls``: only a time-out ends the operation. ``definite``: the answer is the server's own
    word that nothing happened.
    """

    name: str
    act: Act | None = None
    stalls: bool = False
    honest: bool = False
    definite: bool = False
    refuse: bool = False
    hang_up: bool = False

    @property
    def settles(self) -> bool:
        """Whether requests may still be under way when the operation is over."""
        return self.act is None and not self.honest

    @property
    def then_honest(self) -> bool:
        """Whether the server answers the next operation honestly, with ``NEXT``."""
        return self.act is not None or self.honest


_EVERYWHERE: Final = (
    Misbehaviour("reads and closes", Act(then=Then.CLOSE)),
    Misbehaviour("reads and resets", Act(then=Then.RESET)),
    Misbehaviour("stalls", Act(then=Then.STALL), stalls=True),
    Misbehaviour("answers half and closes", Act(JUDGED, part=0.5, then=Then.CLOSE)),
    Misbehaviour("answers half and resets", Act(JUDGED, part=0.5, then=Then.RESET)),
    Misbehaviour("answers half and stalls", Act(JUDGED, part=0.5, then=Then.STALL), stalls=True),
    Misbehaviour("answers late", Act(JUDGED, part=1.0, late=True), stalls=True),
    Misbehaviour("answers garbage", Act(raw=b"\x00\xffgarbage\r\n\r\n" * 3, then=Then.CLOSE)),
)
_HONEST: Final = Misbehaviour("answers honestly", honest=True)
_REFUSES: Final = Misbehaviour("refuses", refuse=True)
_HANGS_UP: Final = Misbehaviour("closes before reading", hang_up=True)
_CLOSES_IDLE: Final = Misbehaviour("closes the idle connection")


@dataclass
class _Seen:
    """What an attempt showed. ``received`` are the requests of the judged operation."""

    outcome: str
    result: Any
    received: Sequence[Received] = ()
    left_open: bool = False
    next_outcome: str | None = None
    next_result: Any = None
    never_closed: int = 0
    in_all: int = 0


@dataclass(frozen=True)
class Case:
    """One named case. ``step`` counts the operation's requests from 0; ``warm``: second use."""

    client: ClientFactory = field(repr=False)
    speaker: Speaker = field(repr=False)
    trial: Trial
    misbehaviour: Misbehaviour
    step: int
    warm: bool
    wait_s: float = 30.0

    def __str__(self) -> str:
        connection = "a used" if self.warm else "a fresh"
        names = self.speaker.requests[self.trial.name]
        name = "" if isinstance(names, int) else f" ({names[self.step]})"
        of = f", request {self.step + 1}{name}" if self._requests > 1 else ""
        return f"{self.trial.name}{of}: server {self.misbehaviour.name}, {connection} connection"

    def run(self, loop_factory: LoopFactory | None = None) -> None:
        """Return if the client does right; ``Nonconformance`` says what it did wrong.

        ``loop_factory`` makes the event loop (``None``: asyncio's own).
        """
        why = ""
        for timeout_s in _HASTY_S if self.misbehaviour.stalls else _PATIENT_S:
            try:
                with asyncio.Runner(loop_factory=loop_factory) as runner:
                    seen = runner.run(self._attempt(timeout_s))
            except _NotReached as error:
                why = str(error)
                continue
            wrong = list(self._problems(seen))
            if wrong:
                raise Nonconformance(f"{self}: {'; '.join(wrong)}")
            return
        raise Nonconformance(f"{self}: {why}")

    @property
    def _requests(self) -> int:
        return count_of(self.speaker.requests[self.trial.name])

    @property
    def _most(self) -> int:
        """How many requests the judged operation may send at most."""
        return self._requests if self.misbehaviour.act is None else self.step + 1

    async def _attempt(self, timeout_s: float) -> _Seen:
        bad = self.misbehaviour
        with ScriptedServer(
            self.speaker,
            self._script(),
            after=NEXT,
            refuse=bad.refuse,
            hang_up=bad.hang_up,
            wait_s=self.wait_s,
        ) as server:
            process = Process(self.client, server.address, timeout_s)
            try:
                before = await self._warm_up(process, server)
                seen = _Seen(*await process.do(self.trial.name, self.trial.call))
                await self._afterwards(process, server, seen, before)
            finally:
                await process.close()
            seen.never_closed = await asyncio.to_thread(server.wait_until_all_closed)
            seen.in_all = len(server.received) - before
        return seen

    def _script(self) -> list[Act]:
        """An act for each request: of the operation before, then of the judged one."""
        acts = [Act(WARM, part=1.0) for _ in range(self._requests)] if self.warm else []
        if self.misbehaviour is _CLOSES_IDLE:
            acts[-1] = Act(WARM, part=1.0, then=Then.CLOSE)
        if self.misbehaviour.act is None:
            return acts + [Act(JUDGED, part=1.0) for _ in range(self._requests)]
        return [*acts, *(Act(JUDGED, part=1.0) for _ in range(self.step)), self.misbehaviour.act]

    async def _warm_up(self, process: Process, server: ScriptedServer) -> int:
        """Do the operation once with an honest server; how many requests that took."""
        if not self.warm:
            return 0
        done = await process.do(self.trial.name, self.trial.call)
        if done != (OK, self.trial.expected(WARM)):
            raise _NotReached(f"with an honest server the operation before gave {done}")
        if not await asyncio.to_thread(server.wait_until_acted, self._requests):
            raise _NotReached("the operation before sent fewer requests than the speaker says")
        return len(server.received)

    async def _afterwards(
        self, process: Process, server: ScriptedServer, seen: _Seen, before: int
    ) -> None:
        """Look at the wire, let the late answer go, and do the next operation."""
        if self.misbehaviour.settles:  # what is under way is received before the end of file
            await process.close()
            await asyncio.to_thread(server.wait_until_all_closed)
        seen.received = server.received[before:]
        self._must_be_reached(seen)
        if self.misbehaviour.stalls:
            line = seen.received[self.step].line
            seen.left_open = not await asyncio.to_thread(server.wait_until_closed, line)
            await asyncio.to_thread(server.release)
        if self.misbehaviour.then_honest:
            seen.next_outcome, seen.next_result = await process.do(self.trial.name, self.trial.call)

    def _must_be_reached(self, seen: _Seen) -> None:
        if self.misbehaviour.act is not None and len(seen.received) <= self.step:
            raise _NotReached(
                f"only {len(seen.received)} requests came, and the operation gave "
                f"{seen.outcome} {shown(seen.result)}"
            )

    def _problems(self, seen: _Seen) -> Iterator[str]:
        most = self._most
        after = 0 if seen.next_outcome is None else self._requests
        if len(seen.received) > most:
            yield f"{len(seen.received)} requests were sent where {most} belong to the operation"
        elif seen.in_all > most + after:
            yield f"{seen.in_all} requests were sent where {most + after} belong to two operations"
        if self.misbehaviour.honest and len(seen.received) < most:
            yield f"{len(seen.received)} requests were sent where the speaker says {most}"
        yield from self._wrong_completion(seen)
        if seen.left_open:
            yield "the connection was not closed after the time-out"
        if seen.never_closed:
            yield f"close() left {seen.never_closed} connections open"
        due = self.trial.expected(NEXT)
        if seen.next_outcome == OK and seen.next_result != due:
            yield f"the next operation gave {shown(seen.next_result)}, which is not its answer"

    def _wrong_completion(self, seen: _Seen) -> Iterator[str]:
        allowed = self._allowed(seen)
        if seen.outcome not in allowed:
            kinds = ", ".join(received.kind.value for received in seen.received) or "nothing"
            yield (
                f"it became {seen.outcome} ({shown(seen.result)}) where only"
                f" {' or '.join(allowed)} is right: the server received {kinds}"
            )
        elif seen.outcome == OK and seen.result != self.trial.expected(JUDGED):
            yield f"it gave {shown(seen.result)}, not {shown(self.trial.expected(JUDGED))}"

    def _allowed(self, seen: _Seen) -> tuple[str, ...]:
        bad = self.misbehaviour
        effective = any(received.kind is Kind.EFFECTIVE for received in seen.received)
        doubt: tuple[str, ...] = (INFO,) if effective else (FAIL, INFO)
        if bad.honest:
            return (OK,)
        if bad.refuse or (bad.definite and effective):
            return (FAIL,)
        if bad is _CLOSES_IDLE and not any(received.line.mute for received in seen.received):
            return (OK, *doubt)  # noticed in time, and sent once, on a new connection
        return doubt


def trials_of(client: SystemClient, spoken: Collection[str]) -> list[Trial]:
    """The trials of what ``client`` can do; ``ValueError`` if that is not what is ``spoken`` of.

    Of what a transaction can do besides (predicates, deletes, appends in one statement) nothing is
    seen in a client that has begun none: that is tried where it is spoken of.
    """
    can = [trial for trial in TRIALS if isinstance(client, trial.ability)]
    trials = [trial for trial in can if not trial.is_extra or trial.name in spoken]
    names = {trial.name for trial in trials}
    if names != set(spoken) or not names:
        raise ValueError(
            f"the client can do {sorted(names)}, the speaker speaks of {sorted(spoken)}"
        )
    return trials


def cases(*, client: ClientFactory, speaker: Speaker, wait_s: float = 30.0) -> list[Case]:
    """Every case for every operation that the client can do, in a fixed order, each with a name.

    ``wait_s`` is the longest wait for a connection that the client ought to have closed.
    ``ValueError`` if ``speaker`` speaks of other operations than the client has.
    """
    trials = trials_of(client(1.0), speaker.requests)
    found = []
    for trial in trials:
        for bad, step, warm in _situations(speaker.requests[trial.name], speaker.misanswers):
            found.append(Case(client, speaker, trial, bad, step, warm, wait_s))
    return found


def count_of(requests: int | Sequence[str]) -> int:
    """How many requests a speaker speaks of."""
    return requests if isinstance(requests, int) else len(requests)


def _situations(
    requests: int | Sequence[str], misanswers: Mapping[str, Misanswer]
) -> Iterator[tuple[Misbehaviour, int, bool]]:
    """Each misbehaviour, at which request, and whether on a used connection."""
    count = count_of(requests)
    yield _REFUSES, 0, False
    yield _HANGS_UP, 0, False
    yield _CLOSES_IDLE, 0, True
    for warm in (False, True):
        yield _HONEST, 0, warm
        for step in range(count):
            for bad in _EVERYWHERE:
                yield bad, step, warm
    for name, misanswer in misanswers.items():
        act = Act(raw=misanswer.answer)
        bad = Misbehaviour(f"answers {name}", act, definite=misanswer.definite)
        for step in range(count):
            named = None if isinstance(requests, int) else requests[step]
            if not misanswer.to or named in misanswer.to:
                yield bad, step, False
