"""The operations that a client is put through before a real server, and how their effect is seen.

Each uses a key and a value that nobody has used, is prepared by another client, and afterwards a
third one looks what has become of it: not at all, once, or more often (a repeated append shows
twice in its list, a repeated increment as two). What cannot be seen is ``None``.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
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

Step = Callable[[Any, "Item"], Awaitable[Any]]
MOST_DEQUEUED: Final = 5


@dataclass(frozen=True)
class Item:
    """What one trial is about: a key, a value, and what its preparation gave."""

    key: str
    value: int
    kept: dict[str, Any] = field(default_factory=dict)

    @property
    def old(self) -> int:
        """Another value, which stands there before."""
        return self.value + 1_000_000_000

    @property
    def other(self) -> str:
        """Another key."""
        return f"{self.key}b"


@dataclass(frozen=True)
class RealTrial:
    """One operation: ``do`` it, once ``prepare`` is done; ``happened`` counts its effect.

    ``is_right`` judges what it gave. ``is_extra``: that a client can do it shows in its
    transactions alone. ``looks_once``: to look changes what a second look would see.
    """

    ability: type
    name: str
    do: Step
    prepare: Step | None = None
    happened: Step | None = None
    is_right: Callable[[Any, Item], bool] = lambda result, item: True
    is_extra: bool = False
    looks_once: bool = False


def _is_value(result: Any, item: Item) -> bool:
    return bool(result == item.value)


def _is_true(result: Any, item: Item) -> bool:
    return result is True


async def _read(client: Any, item: Item) -> Any:
    return await client.read(item.key)


async def _write(client: Any, item: Item) -> None:
    await client.write(item.key, item.value)


async def _write_old(client: Any, item: Item) -> None:
    await client.write(item.key, item.old)


async def _register_holds(client: Any, item: Item) -> int:
    return int(await client.read(item.key) == item.value)


async def _put(client: Any, item: Item) -> None:
    transaction = await client.begin()
    await transaction.put(item.key, item.value)
    await transaction.commit()


async def _get_and_put(client: Any, item: Item) -> Any:
    transaction = await client.begin()
    found = await transaction.get(item.key)
    await transaction.put(item.other, item.value)
    await transaction.commit()
    return found


async def _gets(client: Any, item: Item) -> Any:
    transaction = await client.begin(read_only=True)
    found = await transaction.get_many([item.key, item.other])
    await transaction.commit()
    return found[item.key]


async def _other_is_put(client: Any, item: Item) -> int:
    transaction = await client.begin(read_only=True)
    found = await transaction.get(item.other)
    await transaction.commit()
    return int(found == item.value)


async def _append(client: Any, item: Item) -> None:
    transaction = await client.begin()
    await transaction.append(item.key, item.value)
    await transaction.commit()


async def _list_holds(client: Any, item: Item) -> int:
    transaction = await client.begin(read_only=True)
    found = await transaction.get(item.key)
    await transaction.commit()
    return (found or []).count(item.value) if isinstance(found, list | tuple | None) else 0


async def _scan(client: Any, item: Item) -> Any:
    transaction = await client.begin(read_only=True)
    found = await transaction.scan(item.key)
    await transaction.commit()
    return found.get(item.key)


async def _scan_and_insert(client: Any, item: Item) -> Any:
    transaction = await client.begin()
    found = await transaction.scan(item.key)
    await transaction.put(item.other, item.value)
    await transaction.commit()
    return found.get(item.key)


async def _scan_and_delete(client: Any, item: Item) -> Any:
    transaction = await client.begin()
    found = await transaction.scan(item.key)
    await transaction.delete(item.key)
    await transaction.commit()
    return found.get(item.key)


async def _is_deleted(client: Any, item: Item) -> int:
    transaction = await client.begin(read_only=True)
    found = await transaction.get(item.key)
    await transaction.commit()
    return int(found is None)


async def _add_to_set(client: Any, item: Item) -> None:
    await client.add_to_set(item.key, item.value)


async def _read_set(client: Any, item: Item) -> Any:
    return list(await client.read_set(item.key))


async def _set_holds(client: Any, item: Item) -> int:
    return list(await client.read_set(item.key)).count(item.value)


async def _add_to_counter(client: Any, item: Item) -> None:
    await client.add_to_counter(item.key, 1)


async def _read_counter(client: Any, item: Item) -> Any:
    return await client.read_counter(item.key)


async def _enqueue(client: Any, item: Item) -> None:
    await client.enqueue(item.key, item.value)


async def _dequeue(client: Any, item: Item) -> Any:
    return await client.dequeue(item.key)


async def _queued(client: Any, item: Item) -> int:
    found = 0
    for _ in range(MOST_DEQUEUED):
        if await client.dequeue(item.key) is None:
            break
        found += 1
    return found


async def _enqueue_two(client: Any, item: Item) -> None:
    await client.enqueue(item.key, item.value)
    await client.enqueue(item.key, item.old)


async def _dequeued(client: Any, item: Item) -> int:
    return 2 - await _queued(client, item)


async def _append_to_log(client: Any, item: Item) -> None:
    await client.append_to_log(item.key, item.value)


async def _poll_log(client: Any, item: Item) -> Any:
    return [value for _, value in await client.poll_log(item.key, -1)]


async def _log_holds(client: Any, item: Item) -> int:
    return [value for _, value in await client.poll_log(item.key, -1)].count(item.value)


async def _acquire(client: Any, item: Item) -> Any:
    return await client.acquire(item.key) is not None


async def _acquire_and_keep(client: Any, item: Item) -> None:
    item.kept["token"] = await client.acquire(item.key)


async def _is_held(client: Any, item: Item) -> int:
    return int(await client.acquire(item.key) is None)


async def _release(client: Any, item: Item) -> Any:
    return await client.release(item.key, item.kept["token"])


async def _is_free(client: Any, item: Item) -> int:
    return int(await client.acquire(item.key) is not None)


async def _generate_id(client: Any, item: Item) -> Any:
    return await client.generate_id() is not None


async def _write_watched(client: Any, item: Item) -> None:
    await client.write_watched(item.key, item.value)


async def _watch(client: Any, item: Item) -> Any:
    return [value for _, value in (await client.watch(item.key, 0))[1]]


async def _watch_holds(client: Any, item: Item) -> int:
    found: list[Any] = await _watch(client, item)
    return found.count(item.value)


def _is_list_of_value(result: Any, item: Item) -> bool:
    return bool(result == [item.value])


async def _compare_and_set(client: Any, item: Item) -> Any:
    return await client.compare_and_set(item.key, item.old, item.value)


REAL_TRIALS: Final = (
    RealTrial(Registers, "read", _read, _write, is_right=_is_value),
    RealTrial(Registers, "write", _write, happened=_register_holds),
    RealTrial(Registers, "compare_and_set", _compare_and_set, _write_old, _register_holds,
              is_right=_is_true),
    RealTrial(Transactions, "read_only_transaction", _gets, _put, is_right=_is_value),
    RealTrial(Transactions, "transaction", _get_and_put, _put, _other_is_put,
              is_right=_is_value),
    RealTrial(Transactions, "append", _append, None, _list_holds, is_extra=True),
    RealTrial(Predicates, "scan", _scan, _put, is_right=_is_value, is_extra=True),
    RealTrial(Predicates, "scan_and_insert", _scan_and_insert, _put, _other_is_put,
              is_right=_is_value, is_extra=True),
    RealTrial(Predicates, "scan_and_delete", _scan_and_delete, _put, _is_deleted,
              is_right=_is_value, is_extra=True),
    RealTrial(Sets, "add_to_set", _add_to_set, None, _set_holds),
    RealTrial(Sets, "read_set", _read_set, _add_to_set, is_right=_is_list_of_value),
    RealTrial(Counters, "add_to_counter", _add_to_counter, None, _read_counter),
    RealTrial(Counters, "read_counter", _read_counter, _add_to_counter,
              is_right=lambda result, item: result == 1),
    RealTrial(Queues, "enqueue", _enqueue, None, _queued),
    RealTrial(Queues, "dequeue", _dequeue, _enqueue_two, _dequeued, looks_once=True,
              is_right=lambda result, item: result in (item.value, item.old)),
    RealTrial(Logs, "append_to_log", _append_to_log, None, _log_holds),
    RealTrial(Logs, "poll_log", _poll_log, _append_to_log, is_right=_is_list_of_value),
    RealTrial(Locks, "acquire", _acquire, None, _is_held, is_right=_is_true, looks_once=True),
    RealTrial(Locks, "release", _release, _acquire_and_keep, _is_free, is_right=_is_true),
    RealTrial(Ids, "generate_id", _generate_id, is_right=_is_true),
    RealTrial(Watches, "write_watched", _write_watched, None, _watch_holds),
    RealTrial(Watches, "watch", _watch, _write_watched, is_right=_is_list_of_value),
)  # fmt: skip
"""Every operation of every ability, as :data:`harness.conformance.trial.TRIALS` names them."""
