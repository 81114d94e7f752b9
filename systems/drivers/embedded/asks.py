"""One statement, once, and what became of it: by the stage that it was in, and the error.

=========================  =========================================================================
before it was sent         ``Failed``
sent, not effective        ``Failed``: a read, or a statement inside of a transaction, which an
                           error or the loss of its connection rolls back
sent, effective            a whole answer with rows: it happened. An error after which the
                           transaction was still open (``undone``), or one that the system's table
                           calls definite: ``Failed``. All else, time-outs and lost connections
                           among it: ``Indeterminate``
=========================  =========================================================================

A statement is *effective* if the operation may have happened once it is done: ``COMMIT`` of a
transaction that writes, and a change outside of any transaction, which commits itself. Nothing is
repeated. A connection that was lost since the last operation is not made again for this one: its
process would read on over another session.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from typing import Any, Final

from harness.contract.client import Failed, Indeterminate
from harness.wording import shown
from systems.drivers.embedded.lines import LineConnection, Lost

_OWN_SHARE: Final = 0.9  # of the operation's time-out; the rest is for the owner's reaction

Rows = list[list[Any]]


class Asks:
    """Asks one server one statement at a time.

    ``is_definite`` tells, of an error's name and words, whether it is the library's own word that
    an effective statement did not take effect.
    """

    def __init__(self, op_timeout_s: float, is_definite: Callable[[str, str], bool]) -> None:
        self._timeout_s = op_timeout_s * _OWN_SHARE
        self._is_definite = is_definite
        self._address: str | None = None
        self._idle: LineConnection | None = None
        self._in_use: LineConnection | None = None

    async def open(self, target: str) -> None:
        """Remember where to go; the connection is made by the first statement, inside its time."""
        self._address = str(target)

    async def close(self) -> None:
        """Drop every connection, also one with a statement under way. Safe twice."""
        self._address = None
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
        sql: str,
        *values: Any,
        effective: bool,
        deadline: float | None = None,
        is_first: bool = True,
    ) -> Rows:
        """The rows of one statement, sent once; ``Failed`` or ``Indeterminate`` by stage.

        ``is_first``: no other statement of this operation came before, so that a connection may be
        made for it. Any later one must go where its transaction is.
        """
        limit = self.deadline() if deadline is None else deadline
        connection = await self._connected(limit, is_first=is_first)
        self._in_use = connection
        try:
            async with asyncio.timeout_at(limit):
                answer = await connection.exchange({"sql": sql, "values": values})
        except TimeoutError as error:
            raise _doubt(effective, ["sent", "timed out"]) from error
        except (Lost, OSError) as error:
            raise _doubt(effective, ["sent", _reason(error)]) from error
        finally:
            self._in_use = None
        rows = answer.get("rows")
        if not _are_rows(rows) and "error" not in answer:
            connection.close()
            raise _doubt(effective, ["answer", f"not understood: {shown(answer)}"])
        self._keep(connection)
        if "error" in answer:
            raise self._said(answer, effective)
        return list(answer["rows"])

    def drop(self) -> None:
        """End the session, and with it the transaction that is open there."""
        if self._idle is not None:
            self._idle.close()
            self._idle = None

    def _said(self, answer: Any, effective: bool) -> Failed | Indeterminate:
        name, text = str(answer["error"]), str(answer.get("text"))
        said = ["answer", name, text]
        if not effective or answer.get("undone") is True or self._is_definite(name, text):
            return Failed(said, session_ended=False)
        return Indeterminate(said)

    async def _connected(self, deadline: float, *, is_first: bool) -> LineConnection:
        idle, self._idle = self._idle, None
        if idle is not None:
            if idle.reusable:
                return idle
            idle.close()
            raise Failed(["connect", "the connection was lost"], session_ended=True)
        if self._address is None or not is_first:
            raise Failed(["connect", "this client is not open"], session_ended=not is_first)
        try:
            async with asyncio.timeout_at(deadline):
                return await LineConnection.connect(self._address)
        except TimeoutError as error:
            raise Failed(["connect", "timed out"], session_ended=False) from error
        except OSError as error:
            raise Failed(["connect", _reason(error)], session_ended=False) from error

    def _keep(self, connection: LineConnection) -> None:
        if self._address is None:  # closed meanwhile
            connection.close()
        else:
            self._idle = connection


def _are_rows(rows: Any) -> bool:
    return isinstance(rows, list) and all(isinstance(row, list) for row in rows)


def _doubt(effective: bool, error: Any) -> Failed | Indeterminate:
    """What became of a statement whose connection is gone."""
    return Indeterminate(error) if effective else Failed(error, session_ended=True)


def _reason(error: Exception) -> str:
    """What went wrong, without the address: equal troubles shall read alike in a history."""
    number = error.errno if isinstance(error, OSError) else None
    return os.strerror(number) if number else str(error) or type(error).__name__
