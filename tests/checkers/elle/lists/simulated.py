"""A store of lists at each isolation level, and histories of clients that use it at once.

Steps of open transactions are interleaved at random. What each level does is its textbook way:

- ``read-uncommitted``: writes show at once; an abort takes them back; write locks are held;
- ``read-committed``: reads show committed lists; write locks are held to the end;
- ``snapshot-isolation``: reads come from the state at begin, first committer wins;
- ``serializable``: snapshots of any age, validated at commit: nothing read may have changed, and
  a transaction that only reads may stay in the past;
- ``strict-serializable``: as before, but the snapshot is of now.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random
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
State = dict[str, tuple[int, ...]]


@dataclass
class Open:
    """A transaction under way."""

    process: int
    plan: list[tuple[str, str, int]]
    state: State
    answer: list[list[Any]] = field(default_factory=list)
    writes: list[tuple[str, int]] = field(default_factory=list)
    reads: set[str] = field(default_factory=set)


class Store:
    """Committed states by version, with what each level needs beside."""

    def __init__(self, level: str, rng: Random) -> None:
        self.level = level
        self.rng = rng
        self.states: list[State] = [{}]
        self.dirty: State = {}
        self.locks: dict[str, int] = {}

    def begin(self, process: int, plan: list[tuple[str, str, int]]) -> Open:
        """A transaction with the snapshot of its level."""
        at = len(self.states) - 1
        if self.level == "serializable" and self.rng.random() < 0.3:
            at = self.rng.randrange(len(self.states))
        return Open(process, plan, self.states[at])

    def step(self, txn: Open) -> bool:
        """Do the next micro-operation; ``False`` if a lock is in the way."""
        f, key, value = txn.plan[len(txn.answer)]
        locking = self.level in ("read-uncommitted", "read-committed")
        if f == "append":
            if locking and self.locks.setdefault(key, txn.process) != txn.process:
                return False
            txn.writes.append((key, value))
            if self.level == "read-uncommitted":
                self.dirty[key] = (*self.dirty.get(key, ()), value)
            txn.answer.append([f, key, value])
            return True
        if self.level == "read-uncommitted":
            seen = self.dirty.get(key, ())
        else:
            base = self.states[-1] if locking else txn.state
            seen = base.get(key, ()) + tuple(v for k, v in txn.writes if k == key)
        txn.reads.add(key)
        txn.answer.append([f, key, list(seen)])
        return True

    def end(self, txn: Open) -> bool:
        """Commit if the level lets it, else take everything back."""
        ok = self._may_commit(txn)
        if ok:
            state = dict(self.states[-1])
            for key, value in txn.writes:
                state[key] = (*state.get(key, ()), value)
            self.states.append(state)
        elif self.level == "read-uncommitted":
            for key, value in txn.writes:
                self.dirty[key] = tuple(v for v in self.dirty[key] if v != value)
        self.locks = {k: p for k, p in self.locks.items() if p != txn.process}
        return ok

    def _may_commit(self, txn: Open) -> bool:
        now = self.states[-1]
        if self.level in ("read-uncommitted", "read-committed"):
            return True
        watched = {key for key, _ in txn.writes}
        if self.level == "serializable" and not txn.writes:
            return True
        if self.level in ("serializable", "strict-serializable"):
            watched |= txn.reads
        return all(txn.state.get(key, ()) == now.get(key, ()) for key in watched)


def simulated(level: str, rng: Random, count: int, keys: str = "wxyz") -> History:
    """``count`` transactions of four clients at ``level``, some with unknown outcome."""
    store, records = Store(level, rng), list[tuple[int, str, Any]]()
    open_: dict[int, Open] = {}
    processes = [0, 1, 2, 3]
    given = begun = stuck = 0
    while begun < count or open_:
        lane = rng.randrange(4)
        process = processes[lane]
        if process not in open_:
            if begun < count:
                begun += 1
                plan = []
                for _ in range(rng.randint(1, 4)):
                    given += 1
                    plan.append((rng.choice(("r", "append")), rng.choice(keys), given))
                open_[process] = store.begin(process, plan)
                records.append((process, "invoke", _asked(plan)))
            continue
        txn = open_[process]
        if len(txn.answer) < len(txn.plan):
            stuck = 0 if store.step(txn) else stuck + 1
            if stuck < 50:
                continue
        stuck = 0
        del open_[process]
        whole = len(txn.answer) == len(txn.plan)
        if not whole:
            txn.reads = {"\0"}
            _take_back(store, txn)
            records.append((process, "fail", _asked(txn.plan)))
        elif rng.random() < 0.07:
            store.end(txn) if rng.random() < 0.5 else _take_back(store, txn)
            records.append((process, "info", _asked(txn.plan)))
            processes[lane] += 4
        elif store.end(txn):
            records.append((process, "ok", txn.answer))
        else:
            records.append((process, "fail", _asked(txn.plan)))
    return History(
        [
            Operation(n, n, process, kind, "txn", value)
            for n, (process, kind, value) in enumerate(records)
        ]
    )


def _asked(plan: list[tuple[str, str, int]]) -> list[list[Any]]:
    return [[f, key, None if f == "r" else value] for f, key, value in plan]


def _take_back(store: Store, txn: Open) -> None:
    if store.level == "read-uncommitted":
        for key, value in txn.writes:
            store.dirty[key] = tuple(v for v in store.dirty[key] if v != value)
    store.locks = {k: p for k, p in store.locks.items() if p != txn.process}
