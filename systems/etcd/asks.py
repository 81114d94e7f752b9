"""One connection to one etcd member, over which everything is asked: one request, sent once.

Every ability of the client (:mod:`systems.etcd.client`) is an object of its own that is given an
:class:`Asks` and nothing else. What became of an operation is decided here, by the *stage* that it
broke off in:

* **connect**: refused, unreachable, no connection in time: nothing was sent, ``Failed``.
* **sent**: reset, end of file, time-out, half an answer: the server may do it now or later.
* **answer**: a whole answer with an error: by the error table of
  :mod:`systems.etcd.gateway`.

In doubt a *mutation* is ``Indeterminate``. A *pure read* is ``Failed`` instead: a read has no
effect, so a read that gave no value is as good as one that never happened, and no checker can
conclude anything from it. Jepsen's etcd test does the same. It keeps the process alive (after
``Indeterminate`` it would be retired), so that readers go on reading while their node is cut off.

Time: it gives up at nine tenths of the operation's time-out, before its owner does, so that it is
the client, who knows the stage, that says what became of the operation. The socket is closed
then, as after every loss; the next operation makes a new connection, as another process.

Cost: about 0.2 ms of CPU a request (``benchmarks/etcd_client.py``).
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

import msgspec

from harness.contract.client import Failed, Indeterminate, traceparent
from harness.wording import shown
from systems.drivers.http import Answer, HttpConnection, Lost
from systems.etcd import gateway
from systems.etcd.apart import within, without

_OWN_SHARE: Final = 0.9  # of the operation's time-out; the rest is for the owner's reaction
_Shape = TypeVar("_Shape")


class Asks:
    """Asks one member one thing at a time.

    ``serializable`` is how reads shall be asked for: of the member's own, possibly stale, state.
    ``prefix`` is before every key, unseen by who asks (:mod:`systems.etcd.apart`).
    """

    def __init__(
        self, op_timeout_s: float, *, serializable: bool = False, prefix: bytes = b""
    ) -> None:
        self._timeout_s = op_timeout_s * _OWN_SHARE
        self.prefix = prefix
        self.serializable = serializable
        self._endpoint: tuple[str, int] | None = None
        self._idle: HttpConnection | None = None
        self._in_use: HttpConnection | None = None

    async def open(self, address: str) -> None:
        """Remember where to go; the connection is made by the first request, inside its time."""
        parts = urlsplit(f"//{address}")
        if not parts.hostname:
            raise Failed(["connect", f"not an address: {shown(address)}"], session_ended=False)
        self._endpoint = (parts.hostname, parts.port or gateway.PORT)

    async def close(self) -> None:
        """Drop every connection, also one with a request under way. Safe twice."""
        self._endpoint = None
        if self._idle is not None:
            self._idle.close()
            self._idle = None
        if self._in_use is not None:
            self._in_use.abandon()

    def deadline(self) -> float:
        """When an operation that begins now is given up, on the running loop's clock."""
        return asyncio.get_running_loop().time() + self._timeout_s

    async def ask(
        self,
        path: str,
        request: Mapping[str, Any],
        shape: type[_Shape],
        *,
        mutates: bool,
        deadline: float | None = None,
    ) -> _Shape:
        """Send ``request`` once; the answer, or ``Failed`` / ``Indeterminate`` by stage."""
        limit = self.deadline() if deadline is None else deadline
        connection = await self._connected(limit)
        try:
            body = gateway.encode(within(self.prefix, request))
            answer = await self._exchange(connection, path, body, limit)
        except TimeoutError as error:
            raise _doubt(mutates, ["sent", "timed out"], session_ended=True) from error
        except (Lost, OSError) as error:
            raise _doubt(mutates, ["sent", _reason(error)], session_ended=True) from error
        if answer.status != 200:
            message = gateway.error_message(answer.body)
            mutated = mutates and message not in gateway.REFUSED_BEFORE_PROPOSING
            raise _doubt(mutated, ["answer", answer.status, message], session_ended=False)
        try:
            return without(self.prefix, gateway.decode(answer.body, shape))
        except msgspec.MsgspecError as error:
            what = ["answer", 200, f"not understood: {error}"]
            raise _doubt(mutates, what, session_ended=False) from error

    async def put(self, key: bytes, value: bytes) -> int:
        """One put; its revision."""
        request = gateway.put_of(key, value)
        answer = await self.ask(gateway.PUT, request, gateway.PutAnswer, mutates=True)
        return answer.header.revision

    async def follow(
        self, path: str, request: Mapping[str, Any], deadline: float
    ) -> AsyncGenerator[bytes, None]:
        """Send ``request`` once and give each line of its endless answer; ``Failed`` if it ends.

        Only for what changes nothing: any trouble is ``Failed``.
        """
        connection = await self._connected(deadline)
        self._in_use = connection
        parts = connection.stream(path, gateway.encode(within(self.prefix, request)))
        rest = b""
        try:
            async with asyncio.timeout_at(deadline):
                async for part in parts:
                    *lines, rest = (rest + part).split(b"\n")
                    for line in lines:
                        yield line
        except TimeoutError as error:
            raise Failed(["sent", "timed out"], session_ended=True) from error
        except (Lost, OSError) as error:
            raise Failed(["sent", _reason(error)], session_ended=True) from error
        finally:
            self._in_use = None
            await parts.aclose()
        raise Failed(["sent", "the stream ended"], session_ended=True)

    async def _connected(self, deadline: float) -> HttpConnection:
        """A connection on which nothing has been sent for this operation yet.

        One that was lost since the last operation is not made again for this one: its process
        would read on over another connection, perhaps what is older than it has seen.
        """
        idle, self._idle = self._idle, None
        if idle is not None:
            if idle.reusable:
                return idle
            idle.close()
            raise Failed(["connect", "the connection was lost"], session_ended=True)
        if self._endpoint is None:
            raise Failed(["connect", "this client is not open"], session_ended=False)
        try:
            async with asyncio.timeout_at(deadline):
                return await HttpConnection.connect(*self._endpoint)
        except TimeoutError as error:
            raise Failed(["connect", "timed out"], session_ended=False) from error
        except OSError as error:
            raise Failed(["connect", _reason(error)], session_ended=False) from error

    async def _exchange(
        self, connection: HttpConnection, path: str, body: bytes, deadline: float
    ) -> Answer:
        """One exchange. The connection is kept only after a whole answer."""
        self._in_use = connection
        try:
            async with asyncio.timeout_at(deadline):
                answer = await connection.exchange(path, body, _trace())
        finally:
            self._in_use = None
        self._keep(connection)
        return answer

    def _keep(self, connection: HttpConnection) -> None:
        if self._endpoint is None:  # closed meanwhile
            connection.close()
        else:
            self._idle = connection


def _trace() -> Sequence[tuple[str, str]]:
    """The operation's trace, as the gateway hands it on to the member, in gRPC's metadata."""
    told = traceparent()
    return () if told is None else (("Grpc-Metadata-Traceparent", told),)


def _doubt(mutates: bool, error: Any, *, session_ended: bool) -> Failed | Indeterminate:
    """What became of a request of which nobody can know: a pure read is as good as never made."""
    return Indeterminate(error) if mutates else Failed(error, session_ended=session_ended)


def _reason(error: Exception) -> str:
    """What went wrong, without the address: equal troubles shall read alike in a history."""
    number = error.errno if isinstance(error, OSError) else None
    return os.strerror(number) if number else str(error) or type(error).__name__
