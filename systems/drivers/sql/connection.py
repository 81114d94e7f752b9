"""What the family asks of a driver: send one statement once, and tell a whole answer from none.

A driver never repeats, never reconnects, never cancels by a second connection. It knows nothing of
outcomes; it tells three things apart: an answer (:class:`Result`), the server's own word that
something went wrong (:class:`SqlError`), and an exchange that broke off (:class:`Lost`).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

Value = str | int


class Lost(Exception):
    """The exchange broke off after its first byte may have been sent; the connection is closed."""


class SqlError(Exception):
    """The server answered with an error, wholly: its code (SQLSTATE, a number) and its words."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message


@dataclass(frozen=True, kw_only=True)
class Result:
    """A whole answer that is no error.

    ``count`` is how many rows a change found; ``tag`` what the server says that it did, where its
    protocol has a word for that; ``inserted`` the id that a row was given, likewise.
    """

    rows: Sequence[Sequence[Any]] = ()
    count: int = 0
    tag: str | None = None
    inserted: int | None = None


class Connection(Protocol):
    """One connection, for one statement at a time. Outside of BEGIN each commits itself."""

    @property
    def reusable(self) -> bool:
        """Whether the next statement may be sent here: open, and nothing has arrived unasked."""
        ...

    async def execute(self, sql: str, values: Sequence[Value]) -> Result:
        """Send one statement, with ``values`` for its marks, and read the whole answer.

        Raises ``SqlError`` or ``Lost``. After any other exception, cancellation included, the
        connection is closed.
        """
        ...

    def abandon(self) -> None:
        """Have an exchange that is under way end as lost. Safe twice, and when there is none."""
        ...

    def close(self) -> None:
        """Drop the connection at once, without a word to the server. Safe twice."""
        ...


Connect = Callable[[str], Awaitable[Connection]]
"""Makes a connection to an address (``host:port``). ``SqlError``, ``Lost`` or ``OSError``."""
