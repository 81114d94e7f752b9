"""One connection to one database, over which statements are sent: each once, one at a time.

Every ability of the client is an object of its own that is given a :class:`Session`. What became of
an operation is decided here, by the *stage* that it broke off in:

* **connect**: refused, unreachable, not let in, not in time: nothing was sent, ``Failed``.
* **statement** in an open transaction, or one that only reads: whatever went wrong, nothing of it
  has happened, ``Failed``.
* **commit** (COMMIT, or a statement that commits itself): only the server's own word that it did
  nothing is ``Failed``, by the dialect's table; a lost connection, no answer in time and every
  other error is ``Indeterminate``.

Time: it gives up at nine tenths of the operation's time-out, before its owner does. The socket is
shut down then; no second connection asks the server to cancel anything. After a loss the next
operation makes a new connection, as another process; in the middle of an operation none is made.

Where to connect is asked before each operation. Where it has become another address (a failover),
the operation is ``Failed`` before anything is sent, and its process ends.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Sequence
from typing import Final

from harness.contract.client import Failed, Indeterminate, traceparent
from systems.drivers.sql.connection import Connect, Connection, Lost, Result, SqlError, Value
from systems.drivers.sql.dialect import Dialect

_OWN_SHARE: Final = 0.9
_LONGEST: Final = 200


class Session:
    """Asks one database one thing at a time. ``where`` gives the address to connect to."""

    def __init__(self, dialect: Dialect, connect: Connect, op_timeout_s: float) -> None:
        self.dialect = dialect
        self._connect = connect
        self._timeout_s = op_timeout_s * _OWN_SHARE
        self._where: Callable[[], str] | None = None
        self._led_to = ""
        self._connection: Connection | None = None

    async def open(self, where: Callable[[], str]) -> None:
        """Remember where to go; the connection is made by the first statement, inside its time."""
        self._where = where

    async def close(self) -> None:
        """Drop the connection, also with a statement under way. Safe twice."""
        self._where = None
        connection = self._connection
        if connection is not None:
            connection.abandon()
            self._drop()

    def deadline(self) -> float:
        """When an operation that begins now is given up, on the running loop's clock."""
        return asyncio.get_running_loop().time() + self._timeout_s

    async def execute(
        self,
        sql: str,
        values: Sequence[Value] = (),
        *,
        commits: bool,
        deadline: float | None = None,
        inside: bool = False,
    ) -> Result:
        """Send one statement; its answer, or ``Failed`` / ``Indeterminate`` by stage.

        ``commits``: once it is done, so is the operation. ``inside``: of an open transaction, whose
        connection it must be.
        """
        limit = self.deadline() if deadline is None else deadline
        connection = await self._connected(limit, inside)
        loop = asyncio.get_running_loop()
        timer = loop.call_at(limit, connection.abandon)
        stage = "commit" if commits else "statement"
        try:
            return await connection.execute(_traced(self.dialect.spelled(sql), values), values)
        except SqlError as error:
            self._drop_if_unusable()
            told = [stage, error.code, error.message[:_LONGEST]]
            if commits and not self.dialect.is_definite(error.code):
                raise Indeterminate(told) from error
            raise Failed(told, session_ended=self._connection is None) from error
        except Lost as error:
            self._drop()
            told = [stage, "timed out" if loop.time() >= limit else _said(error)]
            if commits:
                raise Indeterminate(told) from error
            raise Failed(told, session_ended=True) from error
        except BaseException:
            self._drop()
            raise
        finally:
            timer.cancel()

    async def roll_back(self, deadline: float) -> bool:
        """Have nothing open afterwards: by ROLLBACK, or without the connection (``False``)."""
        if self._connection is None:
            return False
        try:
            await self.execute("ROLLBACK", commits=False, deadline=deadline, inside=True)
        except Failed:
            self._drop()
        return self._connection is not None

    async def _connected(self, deadline: float, inside: bool) -> Connection:
        """A connection on which nothing has been sent for this operation yet (or its own)."""
        if self._where is None:
            raise Failed(["connect", "this client is not open"], session_ended=False)
        address = self._where()
        if self._connection is not None and not inside and address != self._led_to:
            self._drop()
            raise Failed(["connect", f"clients are led to {address} now"], session_ended=True)
        if self._connection is not None:
            if self._connection.reusable:
                return self._connection
            self._drop()
            raise Failed(["connect", "the connection was lost"], session_ended=True)
        if inside:
            raise Failed(["connect", "the connection was lost"], session_ended=True)
        self._connection, self._led_to = await self._new(address, deadline), address
        return self._connection

    async def _new(self, address: str, deadline: float) -> Connection:
        try:
            async with asyncio.timeout_at(deadline):
                return await self._connect(address)
        except TimeoutError as error:
            raise Failed(["connect", "timed out"], session_ended=False) from error
        except SqlError as error:
            told = ["connect", error.code, error.message[:_LONGEST]]
            raise Failed(told, session_ended=False) from error
        except (Lost, OSError) as error:
            raise Failed(["connect", _said(error)], session_ended=False) from error

    def _drop_if_unusable(self) -> None:
        if self._connection is not None and not self._connection.reusable:
            self._drop()

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()


def _said(error: Exception) -> str:
    """What went wrong, without the address: equal troubles shall read alike in a history."""
    number = error.errno if isinstance(error, OSError) else None
    return (os.strerror(number) if number else str(error) or type(error).__name__)[:_LONGEST]


def _traced(sql: str, values: Sequence[Value]) -> str:
    """The statement with the operation's trace in a comment, which servers log and pass over.

    Not what begins or ends a transaction: drivers know that by its very words.
    """
    told = traceparent() if values else None
    return sql if told is None else f"{sql} /*traceparent='{told}'*/"
