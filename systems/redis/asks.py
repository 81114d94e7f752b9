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

**Who leads** is asked of Sentinel as its documentation has it: the Sentinels are tried in order,
that of the client's own node first, the server that one names is connected to, and must say by
``ROLE`` that it is a primary. The connection is kept until it is lost or answers that it is a
replica; a primary that was cut off from the others and still believes is one that clients stay on.

Time: it gives up at nine tenths of the operation's time-out. A lost connection is not made again
within an operation: the session has ended with it.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from harness.contract.client import Failed, Indeterminate, Target, tell
from harness.contract.node import split_address
from harness.wording import shown
from systems.drivers.http import Lost
from systems.drivers.resp import Answer, Refusal, RespConnection, Word
from systems.redis.errors import ends_connection, is_definite, leads_elsewhere
from systems.redis.places import PORT, PRIMARY_NAME, Places

_OWN_SHARE: Final = 0.9  # of the operation's time-out; the rest is for the owner's reaction
_SENTINEL_PATIENCE_S: Final = 0.5
PRIMARY: Final = "primary"
ANY: Final = "any"


@dataclass(frozen=True, kw_only=True)
class Manner:
    """How a client asks: what the options of a run say of it."""

    read_from: str = PRIMARY
    """``primary``, or ``any``: the server of the client's own node, whatever it is."""
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
        self._places = places
        self.manner = manner
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
            raise _doubt(mutates, ["sent", _reason(error)]) from error
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
            if idle.reusable:
                return idle
            idle.close()
            raise Failed(["connect", "the connection was lost"], session_ended=True)
        if self._target is None:
            raise Failed(["connect", "this client is not open"], session_ended=False)
        try:
            async with asyncio.timeout_at(deadline):
                if where == PRIMARY and self._places.sentinels:
                    return await self._connected_to_primary(self._target)
                self._served[where] = self._target.node
                return await _connect(self._target)
        except TimeoutError as error:
            raise Failed(["connect", "timed out"], session_ended=False) from error
        except (Lost, OSError) as error:
            raise Failed(["connect", _reason(error)], session_ended=False) from error

    async def _connected_to_primary(self, target: Target) -> RespConnection:
        peer = await self._named_primary(target)
        address, node = self._places.for_client(peer)
        connection = await _connect(address)
        (role,) = await connection.exchange(("ROLE",))
        if not (isinstance(role, list) and role[:1] == [b"master"]):
            connection.close()
            said = ["connect", f"whom Sentinel names is no primary: {_role(role)}"]
            raise Failed(said, session_ended=False)
        self._served[PRIMARY] = node
        return connection

    async def _named_primary(self, target: Target) -> str:
        """Who leads, as the first Sentinel that answers says."""
        why = "there is no Sentinel"
        for address in self._places.sentinels_from(target.node):
            try:
                async with asyncio.timeout(_SENTINEL_PATIENCE_S):
                    return await _asked_sentinel(address)
            except TimeoutError:
                why = "no Sentinel answers: timed out"
            except (Lost, OSError) as error:
                why = f"no Sentinel answers: {_reason(error)}"
        raise Failed(["connect", why], session_ended=False)


async def _asked_sentinel(address: str) -> str:
    connection = await _connect(address)
    try:
        (found,) = await connection.exchange(("SENTINEL", "GET-MASTER-ADDR-BY-NAME", PRIMARY_NAME))
    finally:
        connection.close()
    match found:
        case [bytes(host), bytes(port)]:
            return f"{host.decode()}:{port.decode()}"
    raise Lost(f"it knows of no primary: {shown(found)}")


async def _connect(address: str) -> RespConnection:
    return await RespConnection.connect(*split_address(address))


def _role(said: Answer) -> str:
    match said:
        case [bytes(word), *_]:
            return word.decode("utf-8", "replace")
    return shown(said)


def _doubt(mutates: bool, error: Sequence[str]) -> Failed | Indeterminate:
    """What became of a request of which nobody can know: a pure read is as good as never made."""
    return Indeterminate(list(error)) if mutates else Failed(list(error), session_ended=True)


def _reason(error: Exception) -> str:
    """What went wrong, without the address: equal troubles shall read alike in a history."""
    number = error.errno if isinstance(error, OSError) else None
    return os.strerror(number) if number else str(error) or type(error).__name__
