"""Transactions over registers as Python objects, for checkers that look at them one by one.

Reads and writes are told apart by name (``r``/``read``, ``w``/``write``). Of each transaction
the *external* reads are kept (the first touch of a key, if that is a read) and the *final* writes
(the last to each key): what other transactions can have to do with. An ``ok`` transaction
happened, a ``fail`` one did not, and of an ``info`` one (or one never answered) the writes may
have, and its reads are unknown.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from harness.history.operation import FAIL, INFO, INVOKE, OK, Operation, is_transaction
from harness.history.record import Record

READS: Final = frozenset(("r", "read"))
WRITES: Final = frozenset(("w", "write"))


@dataclass(eq=False)
class Registers:
    """One transaction: ``position`` of its completion (or invocation), and what it touched.

    ``begun`` is the position of its invocation (of its completion, if none was recorded).
    """

    position: int
    status: str
    process: Any = None
    begun: int = -1
    reads: dict[Any, Any] = field(default_factory=dict)
    writes: dict[Any, Any] = field(default_factory=dict)
    overwritten: list[tuple[Any, Any]] = field(default_factory=list)
    """(key, value) of writes that the same transaction overwrote."""
    disagreeing: list[tuple[Any, Any, Any]] = field(default_factory=list)
    """(key, value read, value that it had itself read or written last) where the two differ."""


def register_transactions(record: Record) -> list[Registers]:
    """Every client transaction of ``record`` over registers, in order of its last record."""
    return [
        _registers(record, position, told, told.value) for position, told in _last_records(record)
    ]


def single_operations(record: Record) -> list[Registers]:
    """As :func:`register_transactions`, and each ``read`` or ``write`` as one of one step."""
    independent = record.header.independent
    found = register_transactions(record)
    history = record.history
    for position, operation in enumerate(history.operations):
        f = "read" if operation.f == "read-init" else operation.f
        if not operation.is_client or f not in READS | WRITES or is_transaction(operation.value):
            continue
        if operation.type == INVOKE and history.pairs[position] >= 0:
            continue
        value = operation.value
        is_keyed = independent and isinstance(value, list | tuple) and len(value) == 2
        key, value = value if is_keyed else (None, value)
        found.append(_registers(record, position, operation, [(f, key, value)]))
    found.sort(key=lambda transaction: transaction.position)
    return found


def _last_records(record: Record) -> Iterator[tuple[int, Operation]]:
    """Position of the end of each transaction, and the record with its steps."""
    history = record.history
    for position, operation in enumerate(history.operations):
        if not operation.is_client:
            continue
        other = history.pairs[position]
        if operation.type == INVOKE and other >= 0:
            continue
        told = operation
        if not is_transaction(operation.value) and other >= 0:
            told = history.operations[other]
        if is_transaction(told.value):
            yield position, told


def _registers(
    record: Record, position: int, told: Operation, steps: Sequence[Sequence[Any]]
) -> Registers:
    last = record.history.operations[position]
    status = INFO if last.type == INVOKE else last.type
    if status == OK and told is not last:
        status = INFO  # it says ok and not what it read
    pair = record.history.pairs[position]
    found = Registers(position, status, last.process, pair if pair >= 0 else position)
    own: dict[Any, Any] = {}
    for f, key, value in steps:
        if f in READS:
            if status == OK and key not in own:
                found.reads[key] = value
            elif status == OK and own[key] != value:
                found.disagreeing.append((key, value, own[key]))
        elif f in WRITES:
            if key in found.writes:
                found.overwritten.append((key, found.writes[key]))
            found.writes[key] = value
        own[key] = value
    return found


@dataclass
class Writers:
    """Who wrote which value: by (key, value) the transactions, failed ones apart."""

    possible: dict[tuple[Any, Any], Registers] = field(default_factory=dict)
    failed: dict[tuple[Any, Any], Registers] = field(default_factory=dict)
    intermediate: dict[tuple[Any, Any], Registers] = field(default_factory=dict)
    twice: list[tuple[Any, Any]] = field(default_factory=list)
    """(key, value) that more than one transaction may have written: nothing follows from them."""


def writers(found: list[Registers]) -> Writers:
    """The writers of every value."""
    known = Writers()
    for transaction in found:
        table = known.failed if transaction.status == FAIL else known.possible
        for version in transaction.writes.items():
            if version in known.possible or version in known.failed:
                known.twice.append(version)
            table[version] = transaction
        for version in transaction.overwritten:
            known.intermediate[version] = transaction
    return known
