"""A store in memory with interactive transactions, sound or broken, for tests of workloads.

``level`` is ``serializable`` (a commit is refused if anything read has changed), ``snapshot``
(only if anything written has), ``dirty`` (never, and reads see the newest), ``torn`` (dirty, and
what is committed becomes visible bit by bit) or ``lagging`` (half of the keys are read as they were
four commits ago).
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from harness.contract.client import Failed


class TransactionalStore:
    """Is its own client: ``begin()`` begins one. ``fails_with`` becomes of every commit."""

    def __init__(self, level: str = "serializable") -> None:
        self.level = level
        self.rows: dict[Any, list[tuple[int, Any]]] = {}
        self.commits = 0
        self.fails_with: Exception | None = None

    async def open(self, address: str) -> None: ...

    async def close(self) -> None: ...

    async def begin(self, *, read_only: bool = False) -> Transaction:
        return Transaction(self)

    def at(self, key: Any, commit: int) -> tuple[int, Any]:
        """When the value of ``key`` as of ``commit`` was committed, and the value."""
        older = [row for row in self.rows.get(key, []) if row[0] <= commit]
        return older[-1] if older else (0, None)


class Transaction:
    """One transaction: a snapshot as of its first read (none if dirty)."""

    def __init__(self, store: TransactionalStore) -> None:
        self.store = store
        self.began = -1
        self.seen: set[Any] = set()
        self.puts: dict[Any, Any] = {}
        self.scanned: list[str] = []

    async def scan(self, prefix: str) -> Mapping[str, Any]:
        self.scanned.append(prefix)
        await self.get_many([])  # from here on the snapshot stands
        keys = sorted(k for k in {*self.store.rows, *self.puts} if k.startswith(prefix))
        found = await self.get_many(keys)
        return {key: value for key, value in found.items() if value is not None}

    async def delete(self, key: Any) -> None:
        self.puts[key] = None

    async def get(self, key: Any) -> Any:
        return (await self.get_many([key]))[key]

    async def get_many(self, keys: Sequence[Any]) -> Mapping[Any, Any]:
        await asyncio.sleep(0)
        if self.began < 0:
            self.began = self.store.commits
        self.seen.update(keys)
        moment = self.store.commits if self.store.level in ("dirty", "torn") else self.began
        return {
            key: self.puts.get(key, self.store.at(key, self._of(key, moment))[1]) for key in keys
        }

    def _of(self, key: Any, moment: int) -> int:
        lags = self.store.level == "lagging" and str(key)[-1] in "02468"
        return moment - 4 if lags else moment

    async def put(self, key: Any, value: Any) -> None:
        await asyncio.sleep(0)
        self.puts[key] = value

    async def commit(self) -> None:
        await asyncio.sleep(0)
        store = self.store
        if store.fails_with is not None:
            raise store.fails_with
        self.seen.update(k for k in store.rows for prefix in self.scanned if k.startswith(prefix))
        guarded = {"serializable": self.seen, "snapshot": set(self.puts)}.get(store.level, set())
        changed = any(store.at(key, store.commits)[0] > self.began for key in guarded)
        if self.puts and self.began >= 0 and changed:
            raise Failed(["answer", "conflict"])
        if self.puts:
            store.commits += 1
        for key, value in self.puts.items():
            store.rows.setdefault(key, []).append((store.commits, value))
            if store.level == "torn":
                await asyncio.sleep(0)

    async def abort(self) -> None: ...
