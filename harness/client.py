"""What a system's client can do, and how it tells what became of an operation.

A *system client* is opened on one node for one logical process and offers abilities
(:class:`Registers`, :class:`Transactions`, ...). A workload turns operations into calls of
these abilities, so that a workload over ``Transactions`` runs on every transactional system.

The one rule that everything stands on: ``Failed`` is raised only where the operation
**certainly did not happen** (refused before anything was sent; rolled back by the server's
own word). Every time-out, reset, server error and unknown exception is ``Indeterminate``;
an exception of any other type is treated as ``Indeterminate`` too. Nothing is ever retried.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, runtime_checkable


class Failed(Exception):
    """The operation certainly did not happen; it becomes ``fail``. ``error`` is JSON."""

    def __init__(self, error: Any) -> None:
        super().__init__(str(error))
        self.error = error


class Indeterminate(Exception):
    """Nobody can know whether the operation happened; it becomes ``info``. ``error`` is JSON."""

    def __init__(self, error: Any) -> None:
        super().__init__(str(error))
        self.error = error


@runtime_checkable
class SystemClient(Protocol):
    """A connection of one process to one node.

    ``open`` and ``close`` never change the database. ``open`` may raise ``Failed``. After a
    time-out or an ``Indeterminate`` the owner calls ``close`` and never uses the client again,
    so a late answer can never reach the next operation; ``close`` is quick and safe twice.
    """

    async def open(self, address: str) -> None:
        """Get ready to talk to the node at ``address`` (host or host:port)."""
        ...

    async def close(self) -> None:
        """Drop the connection. Safe twice, and while a request is under way."""
        ...


@runtime_checkable
class Registers(Protocol):
    """Single-object registers. Keys and values are JSON scalars; an absent key reads ``None``."""

    async def read(self, key: Any) -> Any:
        """The value of ``key``."""
        ...

    async def write(self, key: Any, value: Any) -> None:
        """Set ``key`` to ``value``."""
        ...

    async def compare_and_set(self, key: Any, old: Any, new: Any) -> bool:
        """Set ``key`` to ``new`` if it holds ``old``; ``False`` if the server says it did not."""
        ...


@runtime_checkable
class Transaction(Protocol):
    """One open transaction. After ``commit``, ``abort`` or an exception it is finished."""

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
class Transactions(Protocol):
    """Interactive transactions at the isolation level that the system was asked for."""

    def transaction(self) -> Transaction:
        """Begin one."""
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

    def transaction(self) -> PredicateTransaction:
        """Begin one."""
        ...


ABILITIES: Mapping[str, type] = {
    "Registers": Registers,
    "Transactions": Transactions,
    "Predicates": Predicates,
}
"""Every ability by its name, for ``polygraph list --matrix``."""
