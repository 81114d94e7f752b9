"""The operations that the conformance kit puts a client through, by ability.

A trial is one operation as a workload would do it. Its name is the key of
:attr:`harness.contract.speaker.Speaker.requests`. Under an honest server that answers with a
value, the trial gives :meth:`Trial.expected` of that value.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final

from harness.contract.client import (
    Counters,
    Ids,
    Locks,
    Logs,
    Predicates,
    Queues,
    Registers,
    Sets,
    Transactions,
    Watches,
)

_KEY: Final = "k"
_OTHER_KEY: Final = "l"


@dataclass(frozen=True)
class Trial:
    """One operation. ``shows_value`` says whether its result is what the server answered.

    ``is_extra``: that a client can do it shows in its transactions alone.
    """

    ability: type
    name: str
    call: Callable[[Any], Awaitable[Any]]
    shows_value: bool = False
    constant: Any = None
    is_extra: bool = False

    def expected(self, value: Any) -> Any:
        """The result if the server answered honestly with ``value``."""
        return value if self.shows_value else self.constant


async def _read(client: Any) -> Any:
    return await client.read(_KEY)


async def _write(client: Any) -> Any:
    return await client.write(_KEY, 1)


async def _compare_and_set(client: Any) -> Any:
    return await client.compare_and_set(_KEY, 1, 2)


async def _read_only_transaction(client: Any) -> Any:
    transaction = await client.begin(read_only=True)
    found = await transaction.get_many([_KEY, _OTHER_KEY])
    await transaction.commit()
    return found[_KEY]


async def _transaction(client: Any) -> Any:
    transaction = await client.begin()
    found = await transaction.get(_KEY)
    await transaction.put(_OTHER_KEY, 1)
    await transaction.commit()
    return found


async def _append(client: Any) -> Any:
    transaction = await client.begin()
    await transaction.append(_OTHER_KEY, 1)
    await transaction.commit()


async def _scan(client: Any) -> Any:
    transaction = await client.begin(read_only=True)
    (value,) = (await transaction.scan(_KEY)).values()
    await transaction.commit()
    return value


async def _scan_and_insert(client: Any) -> Any:
    transaction = await client.begin()
    (value,) = (await transaction.scan(_KEY)).values()
    await transaction.put(_OTHER_KEY, 1)
    await transaction.commit()
    return value


async def _scan_and_delete(client: Any) -> Any:
    transaction = await client.begin()
    (value,) = (await transaction.scan(_KEY)).values()
    await transaction.delete(_OTHER_KEY)
    await transaction.commit()
    return value


async def _add_to_set(client: Any) -> Any:
    return await client.add_to_set(_KEY, 1)


async def _read_set(client: Any) -> Any:
    (element,) = await client.read_set(_KEY)
    return element


async def _add_to_counter(client: Any) -> Any:
    return await client.add_to_counter(_KEY, 1)


async def _read_counter(client: Any) -> Any:
    return await client.read_counter(_KEY)


async def _enqueue(client: Any) -> Any:
    return await client.enqueue(_KEY, 1)


async def _dequeue(client: Any) -> Any:
    return await client.dequeue(_KEY)


async def _append_to_log(client: Any) -> Any:
    await client.append_to_log(_KEY, 1)


async def _poll_log(client: Any) -> Any:
    ((_, value),) = await client.poll_log(_KEY, -1)
    return value


async def _acquire(client: Any) -> Any:
    return await client.acquire(_KEY) is not None


async def _release(client: Any) -> Any:
    return await client.release(_KEY, 1)


async def _generate_id(client: Any) -> Any:
    await client.generate_id()


async def _write_watched(client: Any) -> Any:
    await client.write_watched(_KEY, 1)


async def _watch(client: Any) -> Any:
    _, events = await client.watch(_KEY, 0)
    return events[-1][1]


TRIALS: Final = (
    Trial(Registers, "read", _read, shows_value=True),
    Trial(Registers, "write", _write),
    Trial(Registers, "compare_and_set", _compare_and_set, constant=True),
    Trial(Transactions, "read_only_transaction", _read_only_transaction, shows_value=True),
    Trial(Transactions, "transaction", _transaction, shows_value=True),
    Trial(Transactions, "append", _append, is_extra=True),
    Trial(Predicates, "scan", _scan, shows_value=True, is_extra=True),
    Trial(Predicates, "scan_and_insert", _scan_and_insert, shows_value=True, is_extra=True),
    Trial(Predicates, "scan_and_delete", _scan_and_delete, shows_value=True, is_extra=True),
    Trial(Sets, "add_to_set", _add_to_set),
    Trial(Sets, "read_set", _read_set, shows_value=True),
    Trial(Counters, "add_to_counter", _add_to_counter),
    Trial(Counters, "read_counter", _read_counter, shows_value=True),
    Trial(Queues, "enqueue", _enqueue),
    Trial(Queues, "dequeue", _dequeue, shows_value=True),
    Trial(Logs, "append_to_log", _append_to_log),
    Trial(Logs, "poll_log", _poll_log, shows_value=True),
    Trial(Locks, "acquire", _acquire, constant=True),
    Trial(Locks, "release", _release, constant=True),
    Trial(Ids, "generate_id", _generate_id),
    Trial(Watches, "write_watched", _write_watched),
    Trial(Watches, "watch", _watch, shows_value=True),
)
"""Every operation of every ability."""
