"""Carries out a transaction that is given as a list of micro-operations.

A transaction's value is Jepsen's: ``[["append", 3, 7], ["r", 5, null], ["w", 4, 2]]``. It is done
step by step in one transaction of the system, and the completion has every read filled in. A
*held* transaction waits between its steps: its invocation carries ``"pauses_s": [0, 0.8, 0]``, the
seconds to wait before each step, beside the value (so that the value stays what every checker of
such histories expects). A transaction that is never open for long cannot see what a database does
to one that is: a current one broke its snapshots for 22 of 730 held reads, and for none of 1,092
quick ones.

Reads that follow each other without a pause are asked for together, which saves requests. What
``append`` is made of: the transaction's own ``append`` if it has one (one statement that appends),
else a get and a put of the longer list. The second kind can undo another's append where the
isolation level allows lost updates, so the header tells which it was (:data:`APPENDS`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, TypeGuard

from harness.contract.client import AppendingTransaction, Transaction, Transactions
from harness.history.operation import OK, Operation
from workloads.kit import completed

TXN: Final = "txn"
"""The ``f`` of such a transaction."""

PAUSES: Final = "pauses_s"
"""The key beside an invocation's value under which its pauses stand."""

APPENDS: Final = "appends"
"""The header's option that tells what appends are made of."""
OWN, GET_AND_PUT = "own", "get-and-put"

MicroOperation = list[Any]


def has_append(transaction: Transaction) -> TypeGuard[AppendingTransaction]:
    """Whether ``transaction`` appends in one statement."""
    return callable(getattr(transaction, "append", None))


def reads_of(keys: Iterable[Any]) -> list[MicroOperation]:
    """A read of each key."""
    return [["r", key, None] for key in keys]


def greatest_key(value: Sequence[MicroOperation]) -> int:
    """The greatest key of some micro-operations; -1 if there are none."""
    return max((int(step[1]) for step in value), default=-1)


def pauses_of(operation: Operation) -> Sequence[float]:
    """Seconds to wait before each step of ``operation``; empty if it is not held."""
    pauses = (operation.extra or {}).get(PAUSES)
    return pauses if isinstance(pauses, list) else ()


async def carry_out(
    client: Transactions, operation: Operation, name_of: Callable[[Any], str]
) -> Operation:
    """Do the transaction ``operation`` once and commit it; ``ok`` with what its reads found.

    ``name_of`` gives the name under which the system stores a key of the workload. ``Failed`` and
    ``Indeterminate`` pass through.
    """
    steps = operation.value
    transaction = await client.begin(read_only=all(step[0] == "r" for step in steps))
    done: list[MicroOperation] = []
    pauses = pauses_of(operation)
    while len(done) < len(steps):
        at = len(done)
        if at < len(pauses) and pauses[at] > 0:
            await asyncio.sleep(pauses[at])
        end = _end_of_reads(steps, at, pauses)
        if end > at:
            done += await _read(transaction, steps[at:end], name_of)
        else:
            await _write(transaction, steps[at], name_of)
            done.append(steps[at])
    await transaction.commit()
    return completed(operation, OK, done)


def _end_of_reads(steps: Sequence[MicroOperation], at: int, pauses: Sequence[float]) -> int:
    """Where the reads that begin at ``at`` and may be asked for together end."""
    end = at
    while end < len(steps) and steps[end][0] == "r":
        if end > at and end < len(pauses) and pauses[end] > 0:
            break
        end += 1
    return end


async def _read(
    transaction: Transaction, reads: Sequence[MicroOperation], name_of: Callable[[Any], str]
) -> list[MicroOperation]:
    names = [name_of(key) for _, key, _ in reads]
    found = await transaction.get_many(list(dict.fromkeys(names)))
    return [["r", key, found[name]] for (_, key, _), name in zip(reads, names, strict=True)]


async def _write(
    transaction: Transaction, step: MicroOperation, name_of: Callable[[Any], str]
) -> None:
    f, key, value = step
    name = name_of(key)
    if f == "append" and has_append(transaction):
        await transaction.append(name, value)
        return
    if f == "append":
        value = [*(await transaction.get(name) or ()), value]
    await transaction.put(name, value)
