"""One connection to one Alpha, over which everything is asked: one request, sent once.

What became of an operation is decided by the *stage* that it broke off in, as with etcd
(:mod:`systems.etcd.asks`), and by what was asked: only ``/commit`` can leave anything open
(:mod:`systems.dgraph.errors`). Dgraph answers with status 200 and a list of ``errors``, mostly.

It gives up at nine tenths of the operation's time-out. A connection that was lost since the last
operation is not made again for this one: the session has ended with it. One that an answer ended by
its own word (25.4 ends each so) is no loss: the next request makes a new one to the same Alpha.
"""

from __future__ import annotations

import asyncio
import os
from typing import Any, Final

import msgspec

from harness.contract.client import Failed, Indeterminate, Target, tell, traceparent
from harness.contract.node import split_address
from harness.wording import shown
from systems.dgraph.dialect import Request
from systems.dgraph.errors import is_refused
from systems.dgraph.places import ALPHA_HTTP
from systems.drivers.http import Answer, Headers, HttpConnection, Lost

_OWN_SHARE: Final = 0.9  # of the operation's time-out; the rest is for the owner's reaction


class Txn(msgspec.Struct):
    """What an answer tells of its transaction."""

    start_ts: int = 0
    commit_ts: int = 0
    keys: list[str] | None = None
    preds: list[str] | None = None


class Extensions(msgspec.Struct):
    """What an answer tells beside its data."""

    txn: Txn | None = None


class Error(msgspec.Struct):
    """One of the errors of an answer."""

    message: str = ""


class Told(msgspec.Struct):
    """A whole answer."""

    data: Any = None
    extensions: Extensions | None = None
    errors: list[Error] | None = None

    @property
    def txn(self) -> Txn:
        """The transaction's part; an empty one if there is none."""
        return (self.extensions and self.extensions.txn) or Txn()


class Asks:
    """Asks one Alpha one thing at a time."""

    def __init__(self, op_timeout_s: float) -> None:
        self._timeout_s = op_timeout_s * _OWN_SHARE
        self._endpoint: tuple[str, int] | None = None
        self._node: str | None = None
        self._idle: HttpConnection | None = None
        self._in_use: HttpConnection | None = None

    async def open(self, target: str) -> None:
        """Remember where to go; the connection is made by the first request, inside its time."""
        try:
            self._endpoint = split_address(target if ":" in target else f"{target}:{ALPHA_HTTP}")
        except ValueError as error:
            said = ["connect", f"not an address: {shown(target)}"]
            raise Failed(said, session_ended=False) from error
        self._node = target.node if isinstance(target, Target) else None

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

    async def ask(self, request: Request, deadline: float, *, commits: bool = False) -> Told:
        """Send ``request`` once; the answer, or ``Failed`` / ``Indeterminate`` by stage."""
        connection = await self._connected(deadline)
        if self._node is not None:
            tell(served=self._node)
        try:
            answer = await self._exchange(connection, request, deadline)
        except TimeoutError as error:
            raise _doubt(commits, ["sent", "timed out"], session_ended=True) from error
        except (Lost, OSError) as error:
            raise _doubt(commits, ["sent", _reason(error)], session_ended=True) from error
        try:
            told = msgspec.json.decode(answer.body, type=Told, strict=False)
        except msgspec.MsgspecError as error:
            said = answer.body[:200].decode("utf-8", "replace")
            what = ["answer", answer.status, f"not understood: {said}"]
            raise _doubt(commits, what, session_ended=False) from error
        if told.errors:
            text = "; ".join(each.message for each in told.errors)
            in_doubt = commits and not (len(told.errors) == 1 and is_refused(text))
            raise _doubt(in_doubt, ["answer", text], session_ended=False)
        if answer.status != 200:
            what = ["answer", answer.status, answer.body[:200].decode("utf-8", "replace")]
            raise _doubt(commits, what, session_ended=False)
        return told

    async def _connected(self, deadline: float) -> HttpConnection:
        """A connection on which nothing has been sent for this request yet."""
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
        self, connection: HttpConnection, request: Request, deadline: float
    ) -> Answer:
        """One exchange. The connection is kept only after a whole answer."""
        self._in_use = connection
        try:
            async with asyncio.timeout_at(deadline):
                answer = await connection.exchange(*request, _headers())
        finally:
            self._in_use = None
        if self._endpoint is None:  # closed meanwhile
            connection.close()
        elif not connection.closed:
            self._idle = connection
        return answer


def _headers() -> Headers:
    """The operation's trace, where there is one. (Dgraph's HTTP does not look at it yet.)"""
    told = traceparent()
    return [("traceparent", told)] if told else []


def _doubt(in_doubt: bool, error: Any, *, session_ended: bool) -> Failed | Indeterminate:
    return Indeterminate(error) if in_doubt else Failed(error, session_ended=session_ended)


def _reason(error: Exception) -> str:
    """What went wrong, without the address: equal troubles shall read alike in a history."""
    number = error.errno if isinstance(error, OSError) else None
    return os.strerror(number) if number else str(error) or type(error).__name__
