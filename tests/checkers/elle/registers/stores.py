"""Simulated stores at each level of isolation, and the histories that clients of one record.

Each store keeps its promise by construction and no better than it must: a history of one must
never be called invalid at its level.

- ``read-uncommitted``: writes in place under locks held to the end, reads see everything
- ``read-committed``: each read sees what is committed just then; writes appear at commit
- ``snapshot-isolation``: reads of the state at the beginning; the second writer of a key aborts
- ``serializable``: done at one moment; transactions that only read may be shown an older state
- ``strict-serializable``: done at one moment, now
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Any

from harness.history.history import History
from harness.history.operation import Operation

LEVELS = (
    "read-uncommitted",
    "read-committed",
    "snapshot-isolation",
    "serializable",
    "strict-serializable",
)


@dataclass
class _Open:
    """A transaction under way: ``steps`` to do, ``done`` with what was read."""

    process: int
    steps: list[list[Any]]
    snapshot: dict[str, Any]
    stamp: int
    done: list[list[Any]] = field(default_factory=list)
    writes: dict[str, Any] = field(default_factory=dict)
    undo: dict[str, Any] = field(default_factory=dict)
    is_doomed: bool = False


class Store:
    """One store at ``level``, driven step by step with all chance from ``seed``."""

    def __init__(self, level: str, seed: int, keys: int) -> None:
        self.level = level
        self.random = random.Random(seed)
        self.names = [f"k{n}" for n in range(keys)]
        self.state: dict[str, Any] = {}
        self.past: list[dict[str, Any]] = [{}]
        self.locks: dict[str, int] = {}
        self.changed: dict[str, int] = {}
        self.stamp = 0
        self.next_value = dict.fromkeys(self.names, 1)

    def begin(self, process: int, length: int) -> _Open:
        """A new transaction of up to ``length`` steps, half of them writes of fresh values."""
        steps = []
        for _ in range(self.random.randint(1, length)):
            key = self.random.choice(self.names)
            if self.random.random() < 0.5:
                steps.append(["r", key, None])
            else:
                steps.append(["w", key, self.next_value[key]])
                self.next_value[key] += 1
        return _Open(process, steps, dict(self.state), self.stamp)

    def step(self, txn: _Open) -> None:
        """The next step of a transaction whose steps are done one by one."""
        f, key, value = txn.steps[len(txn.done)]
        if self.level == "read-uncommitted":
            self._step_in_place(txn, f, key, value)
        elif f == "w":
            txn.writes[key] = value
            txn.done.append([f, key, value])
        else:
            seen = txn.snapshot if self.level == "snapshot-isolation" else self.state
            txn.done.append([f, key, txn.writes.get(key, seen.get(key))])

    def _step_in_place(self, txn: _Open, f: str, key: str, value: Any) -> None:
        if f == "w":
            if self.locks.setdefault(key, txn.process) != txn.process:
                txn.is_doomed = True
            else:
                txn.undo.setdefault(key, self.state.get(key))
                self.state[key] = value
        txn.done.append([f, key, value if f == "w" else self.state.get(key)])

    def commit(self, txn: _Open) -> bool:
        """Whether it committed."""
        if self.level == "read-uncommitted":
            self.locks = {key: p for key, p in self.locks.items() if p != txn.process}
            if txn.is_doomed:
                self.state.update(txn.undo)
            return not txn.is_doomed
        if self.level in ("serializable", "strict-serializable"):
            self._at_once(txn)
        elif self.level == "snapshot-isolation" and any(
            self.changed.get(key, 0) > txn.stamp for key in txn.writes
        ):
            return False
        self.stamp += 1
        self.state.update(txn.writes)
        self.changed.update(dict.fromkeys(txn.writes, self.stamp))
        self.past.append(dict(self.state))
        return True

    def _at_once(self, txn: _Open) -> None:
        only_reads = all(step[0] == "r" for step in txn.steps)
        view = dict(self.state)
        if only_reads and self.level == "serializable":
            view = dict(self.random.choice(self.past[-10:]))
        for f, key, value in txn.steps:
            if f == "w":
                view[key] = txn.writes[key] = value
            txn.done.append([f, key, view.get(key)])

    @property
    def is_stepwise(self) -> bool:
        """Whether steps are done one by one, and not all at the commit."""
        return self.level not in ("serializable", "strict-serializable")


def recorded(
    level: str,
    seed: int,
    *,
    transactions: int = 60,
    processes: int = 5,
    keys: int = 4,
    length: int = 4,
    infos: float = 0.05,
) -> History:
    """A history of a store at ``level``; a share ``infos`` is never answered, though it ended."""
    store = Store(level, seed, keys)
    chance = store.random
    names = list(range(processes))
    lanes: list[_Open | None] = [None] * processes
    operations: list[Operation] = []
    begun = 0

    def record(lane: int, kind: str, value: Any) -> None:
        at = len(operations)
        operations.append(Operation(at, at * 1_000_000, names[lane], kind, "txn", value))

    while begun < transactions or any(lanes):
        lane = chance.randrange(processes)
        txn = lanes[lane]
        if txn is None:
            if begun < transactions:
                begun += 1
                txn = lanes[lane] = store.begin(names[lane], length)
                record(lane, "invoke", txn.steps)
        elif store.is_stepwise and len(txn.done) < len(txn.steps) and not txn.is_doomed:
            store.step(txn)
        else:
            committed = store.commit(txn)
            lanes[lane] = None
            kind = "ok" if committed else "fail"
            if chance.random() < infos:
                kind = "info"
            record(lane, kind, txn.done if kind == "ok" else txn.steps)
            if kind == "info":
                names[lane] += processes
    return History(operations)
