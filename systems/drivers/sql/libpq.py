"""PostgreSQL's protocol by libpq, as psycopg 3 wraps it (``psycopg.pq``): its own loop, no more.

psycopg's connections are comfortable: one that is cancelled opens a second connection to ask the
server to stop, and waits for that up to 5 s. So only libpq itself is used, without blocking: send,
wait for the socket, read. It repeats nothing and never connects again.

A statement is done when the server is ready for the next one, not when it has told that it was
done: with values (the extended protocol) a statement that commits itself does so only after its
``CommandComplete``. So all results are read, and a connection that ends before the last is
:class:`Lost`. Values travel as text.
"""

from __future__ import annotations

import asyncio
import os
import re
import socket
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

from harness.contract.node import split_address
from systems.drivers.sql.connection import Lost, Result, SqlError, Value

if TYPE_CHECKING:
    from psycopg import pq

_ADDRESS: Final = re.compile(r"^connection to server at .* failed: ")
_FIXED: Final = {"sslmode": "disable", "gssencmode": "disable", "client_encoding": "UTF8"}


class PgConnection:
    """A connected, idle connection. Not for use by two tasks at once."""

    def __init__(self, pgconn: pq.abc.PGconn) -> None:
        self._pg = pgconn

    @classmethod
    async def connect(cls, address: str, parameters: Mapping[str, str]) -> PgConnection:
        """Connect and log in; ``parameters`` are libpq's own words (``user``, ``dbname``, …)."""
        from psycopg import OperationalError, pq

        host, port = split_address(address)
        words = {"host": host, "hostaddr": await _numeric(host, port), "port": str(port)}
        pgconn = pq.PGconn.connect_start(_conninfo({**_FIXED, **parameters, **words}))
        try:
            while (status := pgconn.connect_poll()) != pq.PollingStatus.OK:
                if status == pq.PollingStatus.FAILED:
                    raise Lost(_first_line(pgconn.get_error_message()))
                await _wait(pgconn.socket, write=status == pq.PollingStatus.WRITING)
            pgconn.nonblocking = 1
        except OperationalError as error:
            pgconn.finish()
            raise Lost(_first_line(str(error))) from error
        except BaseException:
            pgconn.finish()
            raise
        return cls(pgconn)

    @property
    def reusable(self) -> bool:
        """Open, idle, and neither an end of file nor anything else has arrived."""
        from psycopg import pq

        if self._pg.status != pq.ConnStatus.OK:
            return False
        if self._pg.transaction_status == pq.TransactionStatus.ACTIVE:
            return False
        return not _has_arrived(self._pg.socket)

    def told(self, parameter: str) -> str | None:
        """A setting that the server told at the start, such as ``in_hot_standby``."""
        found = self._pg.parameter_status(parameter.encode())
        return None if found is None else found.decode()

    async def execute(self, sql: str, values: Sequence[Value]) -> Result:
        """Send one statement and read everything up to the server's being ready again."""
        from psycopg import OperationalError

        try:
            if values:
                given = [str(value).encode() for value in values]
                self._pg.send_query_params(sql.encode(), given)
            else:
                self._pg.send_query(sql.encode())
            await self._flushed()
            return self._result(await self._results(), sql)
        except OperationalError as error:
            self.close()
            raise Lost(_first_line(str(error))) from error
        except SqlError:
            raise
        except BaseException:
            self.close()
            raise

    def abandon(self) -> None:
        """Shut the socket down: whoever waits for it wakes up and finds the end."""
        try:
            with socket.socket(fileno=os.dup(self._pg.socket)) as twin:
                twin.shutdown(socket.SHUT_RDWR)
        except Exception:  # closed already, or never connected: there is nobody to wake
            return

    def close(self) -> None:
        """Close the socket without the protocol's farewell, which could wait."""
        self.abandon()
        self._pg.finish()

    async def _flushed(self) -> None:
        while self._pg.flush():
            await _wait(self._pg.socket, write=True)

    async def _results(self) -> list[pq.abc.PGresult]:
        found = list["pq.abc.PGresult"]()
        while True:
            while self._pg.is_busy():
                await _wait(self._pg.socket, write=False)
                self._pg.consume_input()
            result = self._pg.get_result()
            if result is None:
                return found
            found.append(result)

    def _result(self, results: Sequence[pq.abc.PGresult], sql: str) -> Result:
        from psycopg import pq

        good = (pq.ExecStatus.COMMAND_OK, pq.ExecStatus.TUPLES_OK)
        for result in results:
            if result.status not in good:
                self._raise(result)
        if self._pg.status != pq.ConnStatus.OK or len(results) != 1:
            self.close()
            raise Lost(f"{len(results)} answers to one statement")
        (result,) = results
        tag = (result.command_status or b"").decode("ascii", "replace")
        said, asked = tag.partition(" ")[0], sql.partition(" ")[0]
        if said != asked and (said, asked) != ("ROLLBACK", "COMMIT"):
            self.close()
            raise Lost(f"{asked} was answered {tag or 'nothing'}")
        rows = [
            [_text(result.get_value(row, column)) for column in range(result.nfields)]
            for row in range(result.ntuples)
        ]
        return Result(rows=rows, count=result.command_tuples or 0, tag=tag)

    def _raise(self, result: pq.abc.PGresult) -> None:
        from psycopg import pq

        state = result.error_field(pq.DiagnosticField.SQLSTATE)
        said = result.error_field(pq.DiagnosticField.MESSAGE_PRIMARY) or result.error_message
        if state is None:  # libpq's own word, not the server's
            self.close()
            raise Lost(_first_line(said.decode("utf-8", "replace")))
        raise SqlError(state.decode(), _first_line(said.decode("utf-8", "replace")))


async def _wait(fd: int, *, write: bool) -> None:
    """Until the socket can be read, or written."""
    loop = asyncio.get_running_loop()
    ready: asyncio.Future[None] = loop.create_future()

    def wake() -> None:
        if not ready.done():
            ready.set_result(None)

    if write:
        loop.add_writer(fd, wake)
    else:
        loop.add_reader(fd, wake)
    try:
        await ready
    finally:
        if write:
            loop.remove_writer(fd)
        else:
            loop.remove_reader(fd)


def _has_arrived(fd: int) -> bool:
    """Whether there is something to read, or the end of file."""
    try:
        with socket.socket(fileno=os.dup(fd)) as twin:
            twin.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True


async def _numeric(host: str, port: int) -> str:
    """The address of ``host``, looked up without holding the loop up (libpq would)."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    except socket.gaierror:
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return str(found[0][4][0])


def _conninfo(words: Mapping[str, str]) -> bytes:
    def quoted(value: str) -> str:
        return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"

    return " ".join(f"{name}={quoted(value)}" for name, value in words.items()).encode()


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode()


def _first_line(message: str) -> str:
    """The first line, without the address: equal troubles shall read alike in a history."""
    lines = message.strip().splitlines()
    return _ADDRESS.sub("", lines[0]) if lines else "no reason given"
