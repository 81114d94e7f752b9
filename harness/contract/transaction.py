"""Interactive transactions: the abilities ``Transactions`` and ``Predicates``, and what they begin.

To begin is a coroutine, for on most databases it is a round trip, and one that may be refused.
After an exception, of ``begin`` or of any call of the transaction, nobody calls ``abort``: whoever
raised it has rolled back, or has dropped the connection.

A client that leaves the ``BEGIN`` to the first statement may do so. What counts is what becomes
of the operation: up to ``commit`` nothing of it can have happened, so any loss before that is
``Failed``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, runtime_checkable


@runtime_checkable
class Transaction(Protocol):
    """One open transaction. After ``commit``, ``abort`` or an exception it is finished.

    It may also be an :class:`AppendingTransaction`.
    """

    async def get(self, key: Any) -> Any:
        """The value of ``key`` in this transaction's view (``None`` if absent)."""
        ...

    async def get_many(self, keys: Sequence[Any]) -> Mapping[Any, Any]:
        """The values of all ``keys`` in one view."""
        ...

    async def put(self, key: Any, value: Any) -> None:
        """Set ``key`` to ``value`` when this commits."""
        ...

    async def commit(self) -> None:
        """Commit. ``Failed`` if the server said that it rolled back."""
        ...

    async def abort(self) -> None:
        """Give up; nothing of it happens."""
        ...


@runtime_checkable
class AppendingTransaction(Transaction, Protocol):
    """A transaction that can append in one statement, instead of a get and a put."""

    async def append(self, key: Any, element: Any) -> None:
        """Add ``element`` to the list ``key`` (an absent one is empty) when this commits."""
        ...


@runtime_checkable
class Transactions(Protocol):
    """Interactive transactions at the isolation level that the system was asked for."""

    async def begin(self, *, read_only: bool = False) -> Transaction:
        """Begin one. ``Failed`` if it was refused.

        ``read_only`` is the caller's word that it will only read. A system that has a kind of
        transaction for that (``BEGIN READ ONLY``, a read timestamp) takes it, at the same
        isolation level: what is claimed holds of both. Others need not look at it.
        """
        ...


@runtime_checkable
class PredicateTransaction(Transaction, Protocol):
    """A transaction that can ask for all rows that there are, and delete."""

    async def scan(self, prefix: str) -> Mapping[str, Any]:
        """Every key (a string) that begins with ``prefix``, with its value, in this view.

        The *absence* of other keys is part of what was read: a commit that is serializable is
        refused if one has come meanwhile.
        """
        ...

    async def delete(self, key: Any) -> None:
        """Remove ``key`` when this commits."""
        ...


@runtime_checkable
class Predicates(Protocol):
    """As :class:`Transactions`, over rows that can be asked for by a condition."""

    async def begin(self, *, read_only: bool = False) -> PredicateTransaction:
        """Begin one, as :meth:`Transactions.begin`."""
        ...
