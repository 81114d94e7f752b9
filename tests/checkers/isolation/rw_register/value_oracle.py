"""Which models allow a small history whose values need not be unique, by having every turn.

Nothing is said of writers: a store holds values, a transaction takes a snapshot, lays its own
writes over it, and every read that counts must find the value that it told; its commit installs
what it wrote last. All choices of infos and of turns are tried. Nothing is shared with the checker
but the reading of the history, and nothing with the oracle of unique values but its transactions.
"""

from __future__ import annotations

import random
from functools import cache
from itertools import chain, combinations
from typing import Any

from harness.history.history import History
from harness.history.operation import Header
from tests.checkers.elle.registers.oracle import NULL, Txn, txns_of
from tests.checkers.isolation.rw_register.contested import recorded
from tests.checkers.isolation.rw_register.schedule_oracle import SERIAL, SNAPSHOT


def allows_values(history: History, kind: str, keeps: str) -> bool:
    """Whether some order of turns explains the history."""
    txns = txns_of(history)
    start = history.header.initial
    sure = [n for n, txn in enumerate(txns) if txn.status == "ok"]
    maybe = [n for n, txn in enumerate(txns) if txn.status == "info"]
    chosen = chain.from_iterable(combinations(maybe, n) for n in range(len(maybe) + 1))
    return any(_has_order(txns, frozenset((*sure, *some)), start, kind, keeps) for some in chosen)


def _before(txns: list[Txn], one: int, other: int, keeps: str) -> bool:
    a, b = txns[one], txns[other]
    if a.status != "ok":
        return False
    same = a.process == b.process and a.place < b.place
    if keeps == "process":
        return same
    return keeps == "realtime" and (a.end < b.begin or (same and b.begin < 0))


def _finds(txn: Txn, snapshot: dict[str, Any], start: Any) -> bool:
    view = dict(snapshot)
    for place, (f, key, value) in enumerate(txn.steps):
        if f == "w":
            view[key] = value
        elif place in txn.told:
            told = start if value is None else None if value == NULL else value
            if view.get(key, start) != told:
                return False
    return True


def _has_order(
    txns: list[Txn], committed: frozenset[int], start: Any, kind: str, keeps: str
) -> bool:
    numbers = sorted(committed)
    needs = {n: {m for m in numbers if _before(txns, m, n, keeps)} for n in numbers}
    writes = {n: {key: values[-1] for key, values in txns[n].writes().items()} for n in numbers}

    @cache
    def ends_well(begun: frozenset[int], done: frozenset[int], store: frozenset[Any]) -> bool:
        if len(done) == len(numbers):
            return True
        held = dict(store)
        for n in numbers:
            if n in done:
                continue
            after = frozenset({**held, **writes[n]}.items())
            if n in begun:
                if ends_well(begun, done | {n}, after):
                    return True
                continue
            if not needs[n] <= done or not _finds(txns[n], held, start):
                continue
            if kind == SNAPSHOT and any({*writes[other]} & {*writes[n]} for other in begun - done):
                continue
            done_ = done | {n} if kind == SERIAL else done
            if ends_well(begun | {n}, done_, after if kind == SERIAL else store):
                return True
        return False

    return ends_well(frozenset(), frozenset(), frozenset())


def repeated(seed: int, *, transactions: int = 5, keys: int = 2, most_steps: int = 3) -> History:
    """A random history in which few values are written again and again, the initial one, too."""
    rng = random.Random(f"repeated {seed}")
    lanes = rng.randint(1, transactions)
    names = "xyz"[:keys]
    values = rng.choice(([1, 2], [1, 2, 3], [None, 1, 2], [1, 2, 3, 4]))
    faithful = rng.choice((0.3, 0.7, 0.95, 1.0))
    initial = rng.choice((None, None, 1))
    state: dict[str, Any] = {}
    steps: list[list[list[object]]] = []
    for _ in range(transactions):
        view = dict(state)
        mine: list[list[object]] = []
        for _ in range(rng.randint(1, most_steps)):
            key = rng.choice(names)
            if rng.random() < 0.5:
                view[key] = rng.choice(values)
                mine.append(["w", key, view[key]])
            else:
                is_so = rng.random() < faithful
                mine.append(["r", key, view.get(key, initial) if is_so else rng.choice(values)])
        state = view if rng.random() < 0.8 else state
        steps.append(mine)
    history = recorded(steps, lanes, rng)
    return History(history.operations, Header(initial=initial))
