"""What a system's client can do, and how it tells what became of an operation.

A *system client* is opened on one node for one logical process and offers abilities
(:class:`Registers`, :class:`Transactions`, ...). A workload turns operations into calls of
these abilities, so that a workload over ``Transactions`` runs on every transactional system.

The one rule that everything stands on: ``Failed`` is raised only where the operation
**certainly did not happen** (refused before anything was sent; rolled back by the server's
own word). Every time-out, reset, server error and unknown exception is ``Indeterminate``;
an exception of any other type is a defect of the client: its operation is ``Indeterminate`` too,
and the run ends. Nothing is ever retried.

A *session* (what a process may expect of its own earlier operations) ends with the connection
that it was held over. A client that lost its connection therefore says so with the ``Failed``
that it raises, and goes on as another process; it makes no new connection in the middle of an
operation whose process used the old one, but raises ``Failed(..., session_ended=True)`` before
anything is sent. Of a client that does not say, every ``Failed`` is taken for the end of its
session, which accuses nobody and costs only what sessions longer than that would have shown.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

from harness.contract.current import grpc_trace_bin as grpc_trace_bin
from harness.contract.current import tell as tell
from harness.contract.current import trace_id as trace_id
from harness.contract.current import traceparent as traceparent
from harness.contract.transaction import AppendingTransaction as AppendingTransaction
from harness.contract.transaction import Predicates as Predicates
from harness.contract.transaction import PredicateTransaction as PredicateTransaction
from harness.contract.transaction import Transaction as Transaction
from harness.contract.transaction import Transactions as Transactions


class Failed(Exception):
    """The operation certainly did not happen; it becomes ``fail``. ``error`` is JSON.

    ``session_ended`` tells whether the connection was lost with it (``None``: the client cannot
    tell). The client is used again, by another process if the session has ended or may have.
    """

    def __init__(self, error: Any, *, session_ended: bool | None = None) -> None:
        super().__init__(str(error))
        self.error = error
        self.session_ended = session_ended


class Indeterminate(Exception):
    """Nobody can know whether the operation happened; it becomes ``info``. ``error`` is JSON."""

    def __init__(self, error: Any) -> None:
        super().__init__(str(error))
        self.error = error


class Target(str):
    """Where a client is to connect. As text it is the address, ``host`` or ``host:port``.

    ``node`` is the node's name and ``role`` what it is there, where these are known; ``addresses``
    maps each port that the system has (as it calls it) to the ``host:port`` to reach it by.
    """

    __slots__ = ("addresses", "node", "role")

    def __new__(
        cls,
        address: str,
        *,
        node: str | None = None,
        role: str | None = None,
        addresses: Mapping[int, str] | None = None,
    ) -> Target:
        made = super().__new__(cls, address)
        made.node, made.role, made.addresses = node, role, addresses or {}
        return made

    node: str | None
    role: str | None
    addresses: Mapping[int, str]


@runtime_checkable
class SystemClient(Protocol):
    """A connection of one process to one node.

    ``open`` and ``close`` never change the database. ``open`` may raise ``Failed``. After a
    time-out or an ``Indeterminate`` the owner calls ``close`` and never uses the client again,
    so a late answer can never reach the next operation; ``close`` is quick and safe twice.
    """

    async def open(self, target: Target, /) -> None:
        """Get ready to talk to the node at ``target``: text that is its address, and more."""
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
class Sets(Protocol):
    """Named sets of JSON scalars that only grow."""

    async def add_to_set(self, name: Any, element: Any) -> None:
        """Add ``element``."""
        ...

    async def read_set(self, name: Any) -> Sequence[Any]:
        """Every element, in any order; a set that is not there is empty."""
        ...


@runtime_checkable
class Counters(Protocol):
    """Named counters that begin at 0."""

    async def add_to_counter(self, name: Any, delta: int) -> None:
        """Change the counter by ``delta``, which may be negative."""
        ...

    async def read_counter(self, name: Any) -> int:
        """The value."""
        ...


@runtime_checkable
class Queues(Protocol):
    """Named queues. A value is taken by at most one."""

    async def enqueue(self, name: Any, value: Any) -> None:
        """Put ``value`` in. Callers keep values unique within a queue."""
        ...

    async def dequeue(self, name: Any) -> Any:
        """Take a value out; ``None`` if the server says that the queue is empty."""
        ...


@runtime_checkable
class Logs(Protocol):
    """Named append-only logs. Offsets rise, and may have gaps."""

    async def append_to_log(self, name: Any, value: Any) -> int | None:
        """Append ``value``; its offset, where the system tells. Values are unique in a log."""
        ...

    async def poll_log(self, name: Any, after: int) -> Sequence[tuple[int, Any]]:
        """Offset and value of every message after offset ``after`` (-1: all), in order.

        Must show all that was acknowledged before the call, up to the end of the log.
        """
        ...


@runtime_checkable
class Locks(Protocol):
    """Named locks. A holder is whoever has the token."""

    async def acquire(self, name: Any) -> int | None:
        """Take the lock without waiting; a fence token, or ``None`` if another holds it."""
        ...

    async def release(self, name: Any, token: int) -> bool:
        """Give the lock back; ``False`` if the server says that ``token`` does not hold it."""
        ...


@runtime_checkable
class Ids(Protocol):
    """A source of unique ids."""

    async def generate_id(self) -> Any:
        """An id that nobody was or will be given: a JSON scalar."""
        ...


@runtime_checkable
class Watches(Protocol):
    """Keys whose changes can be followed. Every change has a revision; revisions rise."""

    async def write_watched(self, key: Any, value: Any) -> int | None:
        """Set ``key``; the revision of the change, where the system tells."""
        ...

    async def watch(self, key: Any, after: int) -> tuple[int, Sequence[tuple[int, Any]]]:
        """Follow ``key`` from after revision ``after`` (0: the start) up to some later one.

        Returns that revision (at least that of the last change acknowledged before the call) and
        revision and value of every change in between, as they arrived.
        """
        ...


ABILITIES: Mapping[str, type] = {
    ability.__name__: ability
    for ability in (
        *(Registers, Transactions, Predicates),
        *(Sets, Counters, Queues, Logs, Locks, Ids, Watches),
    )
}
"""Every ability by its name, for ``polygraph list --matrix``."""
