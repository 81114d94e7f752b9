"""A store in memory with every ability, sound or broken on purpose, that is its own client."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tests.toys.transactional_store import Transaction, TransactionalStore


class ObjectStore:
    """``broken`` names what it does wrong: lose, repeat, stale, double."""

    def __init__(self, broken: str = "") -> None:
        self.broken = broken
        self.sets: dict[Any, list[Any]] = {}
        self.counters: dict[Any, int] = {}
        self.queues: dict[Any, list[Any]] = {}
        self.logs: dict[Any, list[tuple[int, Any]]] = {}
        self.held: dict[Any, int] = {}
        self.rows: dict[Any, Any] = {}
        self.transactions = TransactionalStore()
        self.changes: dict[Any, list[tuple[int, Any]]] = {}
        self.calls = 0
        self.last: Any = None

    def goes_wrong(self, how: str) -> bool:
        """Whether this call, one of seven, is done wrong in the way ``how``."""
        self.calls += 1
        return self.broken == how and self.calls % 7 == 0

    async def open(self, address: str) -> None: ...

    async def close(self) -> None: ...

    async def add_to_set(self, name: Any, element: Any) -> None:
        if not self.goes_wrong("lose"):
            self.sets.setdefault(name, []).append(element)

    async def read_set(self, name: Any) -> Sequence[Any]:
        found = list(self.sets.get(name, []))
        return found + found[:1] if self.goes_wrong("repeat") else found

    async def add_to_counter(self, name: Any, delta: int) -> None:
        times = 2 if self.goes_wrong("repeat") else 0 if self.goes_wrong("lose") else 1
        self.counters[name] = self.counters.get(name, 0) + times * delta

    async def read_counter(self, name: Any) -> int:
        return self.counters.get(name, 0)

    async def enqueue(self, name: Any, value: Any) -> None:
        if not self.goes_wrong("lose"):
            self.queues.setdefault(name, []).append(value)

    async def dequeue(self, name: Any) -> Any:
        queue = self.queues.get(name, [])
        return (queue[0] if self.goes_wrong("repeat") else queue.pop(0)) if queue else None

    async def append_to_log(self, name: Any, value: Any) -> int:
        log = self.logs.setdefault(name, [])
        offset = log[-1][0] + 2 if log else 0
        if not self.goes_wrong("lose"):
            log.append((offset, value))
        return offset

    async def poll_log(self, name: Any, after: int) -> Sequence[tuple[int, Any]]:
        found = [pair for pair in self.logs.get(name, []) if pair[0] > after]
        return found[::-1] if self.goes_wrong("repeat") else found

    async def acquire(self, name: Any) -> int | None:
        if name in self.held and not self.goes_wrong("double"):
            return None
        self.calls += 1
        self.held[name] = self.calls
        return self.calls

    async def release(self, name: Any, token: int) -> bool:
        return self.held.get(name) == token and bool(self.held.pop(name))

    async def generate_id(self) -> Any:
        self.last = self.last if self.goes_wrong("repeat") else self.calls
        return self.last

    async def write_watched(self, key: Any, value: Any) -> int:
        self.calls += 1
        self.changes.setdefault(key, []).append((self.calls, value))
        return self.calls

    async def watch(self, key: Any, after: int) -> tuple[int, Sequence[tuple[int, Any]]]:
        events = [event for event in self.changes.get(key, []) if event[0] > after]
        to = events[-1][0] if events else after
        return to, events[1:] if self.goes_wrong("lose") else events

    async def read(self, key: Any) -> Any:
        return None if self.goes_wrong("stale") else self.rows.get(key)

    async def write(self, key: Any, value: Any) -> None:
        self.rows[key] = value

    async def compare_and_set(self, key: Any, old: Any, new: Any) -> bool:
        if self.rows.get(key) != old:
            return False
        self.rows[key] = new
        return True

    async def begin(self, *, read_only: bool = False) -> Transaction:
        return SometimesStale(self)


class SometimesStale(Transaction):
    """A serializable one; if the store is to be stale, it misses one of the rows now and then."""

    def __init__(self, objects: ObjectStore) -> None:
        super().__init__(objects.transactions)
        self.objects = objects

    async def get_many(self, keys: Sequence[Any]) -> Mapping[Any, Any]:
        found = dict(await super().get_many(keys))
        if self.objects.goes_wrong("stale"):
            found[next((key for key in keys if found[key] is not None), keys[0])] = None
        return found
