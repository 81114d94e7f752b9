"""The connections of one client of Redis, over which everything is asked: once, and by stage.

Every ability of the client (:mod:`systems.redis.client`) is an object of its own that is given an
:class:`Asks` and nothing else. What became of an operation is decided here, by the *stage* that it
broke off in:

* **connect**: refused, unreachable, nobody leads, no connection in time: nothing was sent.
* **sent**: reset, end of file, time-out, half an answer: the server may do it now or later.
* **answer**: a whole answer that is an error: by the table of :mod:`systems.redis.errors`.
* **wait**: it is done on the primary, and ``WAIT`` says that too few replicas have it.

In doubt what *mutates* is ``Indeterminate``; a pure read has no effect and is ``Failed``, as on
etcd (:mod:`systems.etcd.asks` says why).

Who leads is found out by :mod:`systems.redis.discovery`.

Time: it gives up at nine tenths of the operation's time-out. A lost connection is not made again
within an operation: the session has ended with it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from harness.contract.client import Failed, Indeterminate, Target, tell
from harness.contract.node import split_address
from harness.wording import shown
from systems.drivers.http import Lost
from systems.drivers.resp import Answer, Refusal, RespConnection, Word
from systems.redis.discovery import Discovery, connected, reason
from systems.redis.errors import ends_connection, is_definite, leads_elsewhere
from systems.redis.places import PORT, Places

_OWN_SHARE: Final = 0.9  # of the operation's time-out; the rest is for the owner's reaction
PRIMARY: Final = "primary"
ANY: Final = "any"


@dataclass(frozen=True, kw_only=True)
class Manner:
    """How a client asks: what the options of a run say of it."""

    read_from: str = PRIMARY
    """``primary``, or ``any``: the server of the client's own node, whatever it is."""
    subscribes: bool = False
    """Whether it listens to Sentinel (:mod:`systems.redis.discovery`)."""
    wait: int = 0
    """Replicas that ``WAIT`` is to wait for after each change; none if 0."""
    wait_timeout_s: float = 1.0
    prefix: bytes = b""
    """Before every key."""
    lock_ttl_s: float | None = None
    """When a lock that was taken ends by itself."""


class Asks:
    """Asks one thing at a time of who leads, or reads of the server of its own node."""

    def __init__(self, op_timeout_s: float, places: Places, manner: Manner) -> None:
        self._timeout_s = op_timeout_s * _OWN_SHARE
        self.manner = manner
        self._discovery = Discovery(places, subscribes=manner.subscribes)
        self._target: Target | None = None
        self._idle: dict[str, RespConnection] = {}
        self._served: dict[str, str | None] = {}
        self._in_use: RespConnection | None = None

    async def open(self, target: str) -> None:
        """Remember where to go; connections are made by the first request, inside its time."""
        address = target if ":" in target else f"{target}:{PORT}"
        try:
            split_address(address)
        except ValueError as error:
            said = ["connect", f"not an address: {shown(target)}"]
            raise Failed(said, session_ended=False) from error
        self._target = Target(address, node=getattr(target, "node", None))

    async def close(self) -> None:
        """Drop every connection, also one with a request under way. Safe twice."""
        self._target = None
        for connection in self._idle.values():
            connection.close()
        self._idle.clear()
        self._discovery.close()
        if self._in_use is not None:
            self._in_use.abandon()

    def deadline(self) -> float:
        """When an operation that begins now is given up, on the running loop's clock."""
        return asyncio.get_running_loop().time() + self._timeout_s

    def key(self, kind: str, name: bytes) -> bytes:
        """The key of one object."""
        return b"%b%b/%b" % (self.manner.prefix, kind.encode(), name)

    # -- one command -------------------------------------------------------------------------------

    async def read(self, *command: Word) -> Answer:
        """Send a command without effect once; its answer, or ``Failed``."""
        where = PRIMARY if self.manner.read_from == PRIMARY else ANY
        (answer,) = await self.exchange([command], mutates=False, where=where)
        return self._unless_refused(answer, where, mutates=False)

    async def change(self, is_success: Callable[[Answer], bool], *command: Word) -> Answer:
        """Send a command with effect once, and wait for replicas where that is asked for.

        Whatever is no error and no success either is ``Indeterminate``.
        """
        answer, *waited = await self.exchange([command, *self._wait()], mutates=True)
        self._unless_refused(answer, PRIMARY, mutates=True)
        if not is_success(answer):
            raise Indeterminate(["answer", f"not understood: {shown(answer)}"])
        self.must_have_reached(waited)
        return answer

    def _wait(self) -> list[Sequence[Word]]:
        if not self.manner.wait:
            return []
        return [("WAIT", self.manner.wait, int(self.manner.wait_timeout_s * 1000))]

    def with_wait(self, commands: Sequence[Sequence[Word]]) -> list[Sequence[Word]]:
        """``commands`` and what waits for replicas behind them."""
        return [*commands, *self._wait()]

    def must_have_reached(self, waited: Sequence[Answer]) -> None:
        """``Indeterminate`` if ``WAIT`` was sent and did not say that enough replicas have it."""
        for answer in waited:
            if not isinstance(answer, int) or answer < self.manner.wait:
                raise Indeterminate(["wait", f"{shown(answer)} of {self.manner.wait} replicas"])

    def _unless_refused(self, answer: Answer, where: str, *, mutates: bool) -> Answer:
        if isinstance(answer, Refusal):
            raise self.refused(answer, where, in_doubt=mutates and not is_definite(answer))
        return answer

    def refused(
        self, refusal: Refusal, where: str = PRIMARY, *, in_doubt: bool
    ) -> Failed | Indeterminate:
        """What an error means to the operation; the connection is dropped where it is of no use."""
        elsewhere = where == PRIMARY and leads_elsewhere(refusal)
        is_over = elsewhere or ends_connection(refusal)
        if is_over and (idle := self._idle.pop(where, None)) is not None:
            idle.close()
        told = ["answer", str(refusal)]
        return Indeterminate(told) if in_doubt else Failed(told, session_ended=is_over)

    # -- connections -------------------------------------------------------------------------------

    async def exchange(
        self,
        commands: Sequence[Sequence[Word]],
        *,
        mutates: bool,
        where: str = PRIMARY,
        deadline: float | None = None,
    ) -> list[Answer]:
        """Send ``commands`` in one piece, once; their answers, or what became of them by stage."""
        limit = self.deadline() if deadline is None else deadline
        connection = await self._connected(where, limit)
        if (node := self._served.get(where)) is not None:
            tell(served=node)
        self._in_use = connection
        try:
            async with asyncio.timeout_at(limit):
                answers = await connection.exchange(*commands)
        except TimeoutError as error:
            raise _doubt(mutates, ["sent", "timed out"]) from error
        except (Lost, OSError) as error:
            raise _doubt(mutates, ["sent", reason(error)]) from error
        finally:
            self._in_use = None
        if self._target is None:  # closed meanwhile
            connection.close()
        else:
            self._idle[where] = connection
        return answers

    async def _connected(self, where: str, deadline: float) -> RespConnection:
        """A connection on which nothing has been sent for this operation yet."""
        idle = self._idle.pop(where, None)
        if idle is not None:
            has_switched = where == PRIMARY and self._discovery.has_switched
            if idle.reusable and not has_switched:
                return idle
            idle.close()
            why = "another leads now" if has_switched else "the connection was lost"
            raise Failed(["connect", why], session_ended=True)
        if self._target is None:
            raise Failed(["connect", "this client is not open"], session_ended=False)
        try:
            async with asyncio.timeout_at(deadline):
                if where == PRIMARY and self._discovery.is_needed:
                    connection, node = await self._discovery.connected(self._target)
                    self._served[PRIMARY] = node
                    return connection
                self._served[where] = self._target.node
                return await connected(self._target)
        except TimeoutError as error:
            raise Failed(["connect", "timed out"], session_ended=False) from error
        except (Lost, OSError) as error:
            raise Failed(["connect", reason(error)], session_ended=False) from error


def _doubt(mutates: bool, error: Sequence[str]) -> Failed | Indeterminate:
    """What became of a request of which nobody can know: a pure read is as good as never made."""
    return Indeterminate(list(error)) if mutates else Failed(list(error), session_ended=True)
