"""The protocol of MariaDB and MySQL by PyMySQL, in a thread of each connection.

PyMySQL is small and plain, repeats nothing, and connects again only if it is asked to. It blocks,
so each connection has a thread. The socket is ours: it is connected on the loop, and shut down to
end a call that was given up, which frees the thread.

Compared in December 2026: PyMySQL 1.2.4 (this year, pure Python, 45 kB) · aiomysql 0.3.2 (2025,
PyMySQL's code on streams, behind its releases) · asyncmy 0.2.18 (compiled, 8 MB a platform) ·
mysql-connector-python (21 MB, reconnects by itself in its pools). A thread costs
something at each statement; a driver whose every packet can be read is worth that here.

The protocol has no word for what was done. But each answer says whether a transaction is open: a
COMMIT after which one still is was none.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Final, TypeVar

from harness.contract.node import split_address
from systems.drivers.sql.connection import Lost, Result, SqlError, Value

if TYPE_CHECKING:
    import pymysql

_LOST: Final = frozenset({0, 2000, 2003, 2006, 2013, 2014, 2027, 2055})
"""The client's own numbers: the connection is gone, or what came was not understood."""
_FIRST_OF_SERVER: Final = 1000
_T = TypeVar("_T")


class MysqlConnection:
    """A connected, idle connection. Not for use by two tasks at once."""

    def __init__(self, connected: socket.socket) -> None:
        self._socket = connected
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="mysql")
        self._driver: pymysql.Connection | None = None
        self._is_busy = False

    @classmethod
    async def connect(
        cls, address: str, parameters: Mapping[str, Any], set_up: Sequence[str] = ()
    ) -> MysqlConnection:
        """Connect, log in and do the statements of ``set_up``.

        ``parameters`` are PyMySQL's own words (``user``, ``database``, …). Without
        ``ssl_disabled`` certificates are loaded for each connection, which takes 25 ms.
        """
        made = cls(await _connected(*split_address(address)))
        try:
            made._driver = await made._in_thread(lambda: made._log_in(parameters))
            for statement in set_up:
                await made.execute(statement, ())
        except BaseException:
            made.close()
            raise
        return made

    @property
    def reusable(self) -> bool:
        """Open, idle, and neither an end of file nor anything else has arrived."""
        if self._driver is None or self._is_busy or not self._driver.open:
            return False
        try:
            self._socket.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
        except BlockingIOError:
            return True
        except OSError:
            return False
        return False

    async def execute(self, sql: str, values: Sequence[Value]) -> Result:
        """Send one statement and read the whole answer."""
        try:
            return await self._in_thread(lambda: self._exchange(sql, values))
        except SqlError:
            raise
        except BaseException:
            self.close()
            raise

    def abandon(self) -> None:
        """Shut the socket down: the thread that waits for it wakes up and finds the end."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Without the protocol's farewell. The file is closed once no thread uses it."""
        self.abandon()
        with contextlib.suppress(RuntimeError):  # closed before
            self._thread.submit(self._let_go)
        self._thread.shutdown(wait=False)

    def _let_go(self) -> None:
        if self._driver is not None:
            self._driver._force_close()
        self._socket.close()

    async def _in_thread(self, work: Callable[[], _T]) -> _T:
        self._is_busy = True
        done = await asyncio.get_running_loop().run_in_executor(self._thread, _told(work))
        self._is_busy = False
        if isinstance(done, Exception):
            raise done
        return done

    def _log_in(self, parameters: Mapping[str, Any]) -> pymysql.Connection:
        import pymysql
        from pymysql.constants import CLIENT

        driver = pymysql.connect(
            **parameters,
            autocommit=True,
            charset="utf8mb4",
            client_flag=CLIENT.FOUND_ROWS,  # an UPDATE that changes nothing has found its row
            defer_connect=True,
        )
        driver.connect(self._socket)
        return driver

    def _exchange(self, sql: str, values: Sequence[Value]) -> Result:
        from pymysql.constants import SERVER_STATUS

        driver = self._driver
        if driver is None:
            raise Lost("not connected")
        with driver.cursor() as cursor:
            cursor.execute(sql, tuple(values) or None)
            rows = cursor.fetchall() if cursor.description else ()
            is_inside = driver.server_status & SERVER_STATUS.SERVER_STATUS_IN_TRANS
            tag = None if sql == "COMMIT" and is_inside else sql.partition(" ")[0]
            return Result(
                rows=rows, count=max(0, cursor.rowcount), tag=tag, inserted=cursor.lastrowid
            )


def _told(work: Callable[[], _T]) -> Callable[[], _T | Exception]:
    """``work``, whatever goes wrong in it given as what it means."""

    def done() -> _T | Exception:
        import pymysql

        try:
            return work()
        except pymysql.MySQLError as error:
            number = error.args[0] if error.args and isinstance(error.args[0], int) else 0
            said = str(error.args[-1]) if error.args else type(error).__name__
            if number in _LOST or number < _FIRST_OF_SERVER:
                return Lost(_first_line(said))
            return SqlError(str(number), _first_line(said))
        except Exception as error:  # what no server says: cut short, or not its protocol
            return Lost(_first_line(str(error) or type(error).__name__))

    return done


async def _connected(host: str, port: int) -> socket.socket:
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    family, kind, protocol, _, address = found[0]
    connecting = socket.socket(family, kind, protocol)
    try:
        connecting.setblocking(False)
        connecting.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        await loop.sock_connect(connecting, address)
        connecting.setblocking(True)
    except BaseException:
        connecting.close()
        raise
    return connecting


def _first_line(message: str) -> str:
    lines = message.strip().splitlines()
    return lines[0] if lines else "no reason given"
