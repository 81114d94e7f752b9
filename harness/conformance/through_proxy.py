"""The conformance kit without a speaker: a real server, and a proxy that spoils one request.

Nothing is known of the protocol, so what is judged is what can be seen: what the client said of the
operation, what another client then finds in the database, and the bytes.

1. *Nothing is repeated.* The effect is there once; and nothing that names the trial's key is sent
   once more after the spoilt request.
2. *The completion is right.* ``ok`` only if it happened and gave the right answer, ``fail`` only
   if it did not; ``fail``, not ``info``, where nobody was listening.
3. *After a time-out the connection is closed.*
4. *A late answer never reaches the next operation.*

What a repeated read does is seen in the bytes alone, which TLS and compression hide; the table says
of each trial whether they could be read. A client that does not connect to where it is told to
cannot be tried so, which is told as well.

Cost: cases run eight at a time; those that wait for a time-out wait a second.
"""

from __future__ import annotations

import asyncio
import base64
import itertools
import uuid
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any, Final

from harness.conformance.process import ClientFactory, Process
from harness.conformance.proxy import Proxy, Spoil
from harness.conformance.real_trials import REAL_TRIALS, Item, RealTrial
from harness.contract.client import Failed, Indeterminate, Target
from harness.contract.node import split_address
from harness.history.operation import FAIL, OK
from harness.wording import shown

AT_ONCE: Final = 8
MOST_STEPS: Final = 6
"""Requests of one operation that are spoilt in turn."""
HASTY_S: Final = (1.0, 4.0)
PATIENT_S: Final = (20.0,)
_LOOKS: Final = 30
_LOOK_AGAIN_S: Final = 0.1
_ATTEMPTS: Final = 5


class NotReached(Exception):
    """The attempt ended before its request was spoilt; it proves nothing."""


@dataclass
class Tried:
    """One case and what came of it. ``wrong`` is in words; ``why_not`` where nothing was shown."""

    trial: str
    spoil: str
    request: int
    warm: bool
    outcome: str = ""
    wrong: list[str] = field(default_factory=list)
    why_not: str | None = None

    def __str__(self) -> str:
        connection = "a used connection" if self.warm else "a fresh connection"
        return f"{self.trial}, request {self.request + 1}: server {self.spoil}, {connection}"


@dataclass
class Learned:
    """How an operation goes when nobody spoils it: its requests, fresh and on a used connection."""

    fresh: int = 0
    warm: int = 0
    names_its_key: bool = False


class Bench:
    """Tries the clients that ``factory`` makes before the server at ``target``."""

    def __init__(
        self,
        factory: ClientFactory,
        target: Target,
        *,
        abilities: Collection[type],
        wait_s: float = 5.0,
        tell: Callable[[str], None] = lambda line: None,
    ) -> None:
        self._factory = factory
        self._target = target
        self._abilities = set(abilities)
        self._wait_s = wait_s
        self._tell = tell
        self._prefix = f"conform-{uuid.uuid4().hex[:8]}"
        self._count = itertools.count(1)
        self.learned: dict[str, Learned] = {}

    async def run(self, only: Collection[str] = ()) -> list[Tried]:
        """Every case of every operation that the system says its clients can do.

        ``only`` are the names of those that are tried, if not all.
        """
        found: list[Tried] = []
        for trial in REAL_TRIALS:
            if trial.ability not in self._abilities or (only and trial.name not in only):
                continue
            if trial.name == "append" and not await self._appends():
                continue
            found += await self._try(trial)
        return found

    async def _try(self, trial: RealTrial) -> list[Tried]:
        honest = [Tried(trial.name, Spoil.NOTHING.value, 0, warm) for warm in (False, True)]
        for tried in honest:
            await self._settle(trial, Spoil.NOTHING, tried)
        if any(tried.wrong or tried.why_not for tried in honest):
            return honest
        limit = asyncio.Semaphore(AT_ONCE)

        async def one(spoil: Spoil, at: int, warm: bool) -> Tried:
            tried = Tried(trial.name, spoil.value, at, warm)
            async with limit:
                await self._settle(trial, spoil, tried)
            return tried

        cases = list(_cases(self.learned[trial.name]))
        done = await asyncio.gather(*(one(*case) for case in cases))
        self._tell(f"{trial.name}: {len(cases)} cases")
        return [*honest, *done]

    async def _settle(self, trial: RealTrial, spoil: Spoil, tried: Tried) -> None:
        """Try until the request was spoilt: on a slow machine a time-out may come before it."""
        for timeout_s in HASTY_S if spoil.stalls else PATIENT_S:
            try:
                await self._attempt(trial, spoil, tried, timeout_s)
            except NotReached as error:
                tried.why_not = str(error)
                continue
            tried.why_not = None
            return

    async def _attempt(
        self, trial: RealTrial, spoil: Spoil, tried: Tried, timeout_s: float
    ) -> None:
        with ExitStack() as stack:
            proxies, target = self._proxied(stack)
            process = Process(self._factory, target, timeout_s)
            try:
                if tried.warm:
                    await self._warm_up(trial, process)
                item, following = await self._prepared(trial), await self._prepared(trial)
                for proxy in proxies:
                    proxy.arm(spoil, tried.request)
                outcome, result = await _done(process, trial, item)
                if process.defect is not None:
                    tried.wrong.append(f"it raised what no client should raise: {process.defect}")
                    return
                tried.outcome = outcome
                if spoil is Spoil.NOTHING:
                    self._learn(trial, tried.warm, proxies, item)
                sees = _Seen(trial, spoil, item, outcome, result, proxies)
                tried.wrong += [wrong async for wrong in self._wrongs(sees)]
                if spoil.stalls:
                    tried.wrong += await self._next(trial, process, proxies, following)
            finally:
                await process.close()

    def _proxied(self, stack: ExitStack) -> tuple[list[Proxy], Target]:
        """A proxy before each address of the server, and the target that leads through them."""
        addresses = dict.fromkeys([str(self._target), *self._target.addresses.values()])
        proxies = {
            address: stack.enter_context(Proxy(split_address(address), wait_s=self._wait_s))
            for address in addresses
        }
        through = {port: proxies[there].address for port, there in self._target.addresses.items()}
        target = Target(
            proxies[str(self._target)].address,
            node=self._target.node,
            role=self._target.role,
            addresses=through,
        )
        return list(proxies.values()), target

    async def _warm_up(self, trial: RealTrial, process: Process) -> None:
        """One operation with nothing spoilt; another one where it was refused (a conflict, say)."""
        outcome, result = "", None
        for _ in range(_ATTEMPTS):
            outcome, result = await _done(process, trial, await self._prepared(trial))
            if outcome == OK:
                return
        raise NotReached(f"with nothing spoilt the operation before became {outcome}: {result}")

    async def _prepared(self, trial: RealTrial) -> Item:
        number = next(self._count)
        item = Item(f"{self._prefix}-{number:05}", 100_000_000 + number)
        if trial.prepare is not None:
            await self._aside(trial.prepare, item)
        return item

    async def _appends(self) -> bool:
        """Whether a transaction can append in one statement, which shows once one has begun."""

        async def look(client: Any, item: Item) -> bool:
            transaction = await client.begin()
            can = callable(getattr(transaction, "append", None))
            await transaction.abort()
            return can

        return bool(await self._aside(look, Item(self._prefix, 0)))

    async def _aside(self, step: Callable[[Any, Item], Any], item: Item) -> Any:
        """Do ``step`` with a client that nobody spoils; it is no operation, and may be repeated."""
        said: Exception | None = None
        for _ in range(_ATTEMPTS):
            client = self._factory(PATIENT_S[0])
            try:
                await client.open(self._target)
                return await step(client, item)
            except (Failed, Indeterminate) as error:
                said = error
            finally:
                await client.close()
            await asyncio.sleep(_LOOK_AGAIN_S)
        raise NotReached(f"with nothing spoilt it cannot be prepared, or looked at: {said}")

    def _learn(self, trial: RealTrial, warm: bool, proxies: Sequence[Proxy], item: Item) -> None:
        requests = [request for proxy in proxies for request in proxy.requests]
        if not requests:
            raise NotReached(
                "nothing came through the proxy: the client does not connect to where it is told to"
            )
        learned = self.learned.setdefault(trial.name, Learned())
        learned.names_its_key |= any(_names(request, item) for request in requests)
        if warm:
            learned.warm = len(requests)
        else:
            learned.fresh = len(requests)

    async def _wrongs(self, seen: _Seen) -> Any:
        """What the client did wrong, in words."""
        spoil, outcome, item = seen.spoil, seen.outcome, seen.item
        spoilt = spoil not in (Spoil.NOTHING, Spoil.REFUSE)
        if spoilt and not any(proxy.struck for proxy in seen.proxies):
            raise NotReached("the operation was over before this request")
        if spoil is Spoil.NOTHING and outcome != OK:
            yield f"with nothing spoilt it became {outcome} ({seen.result})"
        if spoil is Spoil.REFUSE and outcome != FAIL:
            yield (
                f"nobody was listening, so that it certainly did not happen, and it became"
                f" {outcome}, not fail ({seen.result})"
            )
        if outcome == OK and not seen.trial.is_right(seen.result, item):
            yield f"it became ok with the answer {shown(seen.result)}, which is not what is there"
        if spoilt and spoil.reaches:
            for proxy in seen.proxies:
                await asyncio.to_thread(proxy.wait_until_done)
        count = await self._happened(seen)
        if count is not None and count > 1:
            yield f"it happened {count} times: the client sent it again"
        elif count == 1 and outcome == FAIL:
            yield f"it became fail ({seen.result}), and it did happen"
        elif count == 0 and outcome == OK:
            yield "it became ok, and it did not happen"
        elif spoilt and outcome != OK and _is_repeated(seen):
            yield "what had been spoilt was sent again"
        for proxy in seen.proxies:
            if spoil.stalls and not await asyncio.to_thread(proxy.wait_until_closed):
                yield "the connection was not closed after the time-out"

    async def _happened(self, seen: _Seen) -> int | None:
        """How often it happened; asked again where that is 0, and the client says it did."""
        trial, count = seen.trial, 0
        if trial.happened is None:
            return None
        for _ in range(1 if trial.looks_once or seen.outcome != OK else _LOOKS):
            count = int(await self._aside(trial.happened, seen.item))
            if count:
                break
            await asyncio.sleep(_LOOK_AGAIN_S)
        return count

    async def _next(
        self, trial: RealTrial, process: Process, proxies: Sequence[Proxy], item: Item
    ) -> list[str]:
        """Let late answers go, and look whether the next operation takes one for its own."""
        for proxy in proxies:
            await asyncio.to_thread(proxy.release)
        outcome, result = await _done(process, trial, item)
        if outcome == OK and not trial.is_right(result, item):
            return [
                f"the next operation gave {shown(result)}: the answer that came late, or another's"
            ]
        if outcome == OK and trial.happened is not None:
            seen = _Seen(trial, Spoil.NOTHING, item, OK, result, proxies)
            if await self._happened(seen) == 0:
                return ["the next operation became ok on another's answer, and did not happen"]
        return []


@dataclass
class _Seen:
    """What an attempt showed."""

    trial: RealTrial
    spoil: Spoil
    item: Item
    outcome: str
    result: Any
    proxies: Sequence[Proxy]


async def _done(process: Process, trial: RealTrial, item: Item) -> tuple[str, Any]:
    return await process.do(trial.name, lambda client: trial.do(client, item))


def _cases(learned: Learned) -> Iterator[tuple[Spoil, int, bool]]:
    """Each way to spoil, at which request, and whether on a used connection."""
    yield Spoil.REFUSE, 0, False
    for spoil in Spoil:
        if spoil in (Spoil.NOTHING, Spoil.REFUSE):
            continue
        for at in range(min(learned.warm, MOST_STEPS)):
            yield spoil, at, True
        if not spoil.stalls:
            for at in range(min(learned.fresh, MOST_STEPS)):
                yield spoil, at, False


def _is_repeated(seen: _Seen) -> bool:
    return any(_names(content, seen.item) for p in seen.proxies for content in p.after_struck)


def _names(content: bytes, item: Item) -> bool:
    """Whether the key stands in ``content``, as it is or in base64."""
    key = item.key.encode()
    if key in content:
        return True
    for shift in range(3):
        coded = base64.b64encode(b"\0" * shift + key).rstrip(b"=")
        if coded[4 if shift else 0 : -2] in content:
            return True
    return False
