"""Weak models of registers, decided exactly: is there an order in which transactions committed?

Biswas and Enea, "On the Complexity of Checking Transactional Consistency" (OOPSLA 2019), define
isolation by what a transaction *sees*: if T3 sees T2, which wrote x, and yet read x of T1, then
T2 committed before T1 (else T2's x had replaced T1's). What these demands, the reads themselves
and, where they count, the sessions say of the order of commits must be an order. For three models
nothing else is needed, so drawing every demand once decides them:

- ``READ_COMMITTED``: a read sees those that the same transaction had read from before;
- ``READ_ATOMIC``: a transaction sees those that it reads from, and its own session;
- ``CAUSAL``: a transaction sees those, and all that they saw.

Values are unique in their key. Reads of what failed, of what its writer overwrote or of what nobody
wrote, and reads that disagree with the transaction's own write, are told of elsewhere
(:mod:`checkers.elle.registers.anomalies`); with one of them nothing is proved here. A transaction
of unknown outcome takes part if it was read from. Cost: linear in reads and what each sees;
``CAUSAL`` n squared bits.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from checkers.elle.components import strong_components
from checkers.elle.explain import show
from checkers.elle.graph import PROCESS, WR
from checkers.elle.registers.versions import Versions
from checkers.elle.transactions import OK

READ_COMMITTED: Final = "read-committed"
READ_ATOMIC: Final = "read-atomic"
CAUSAL: Final = "causal"
MOST_CAUSAL: Final = 20_000
"""Transactions up to which what each sees is kept as bits: 50 MB."""
MOST_DEMANDS: Final = 3_000_000


@dataclass(frozen=True)
class Step:
    """``before`` comes before ``after``; ``text`` says why, with ``{a}`` and ``{b}`` for them.

    ``witness`` is the transaction that shows it, ``{c}`` in the text; -1 if there is none.
    """

    before: int
    after: int
    text: str
    witness: int = -1


@dataclass(frozen=True)
class _Read:
    """``reader`` read ``key`` of ``writer`` (-1: the initial state)."""

    reader: int
    key: int
    writer: int


@dataclass
class _World:
    """Transactions with what they read, in order, and wrote; and who directly sees whom."""

    known: Versions
    parts: list[int]
    reads: dict[int, list[_Read]] = field(default_factory=dict)
    writes: dict[int, set[int]] = field(default_factory=dict)
    sees: dict[int, dict[int, int]] = field(default_factory=dict)
    """By transaction those that it directly sees, with ``WR`` or ``PROCESS`` for why."""
    earlier: dict[int, dict[int, int]] = field(default_factory=dict)
    """By transaction and key the last of its session before it that wrote the key."""
    is_odd: bool = False
    """Whether some read was left out."""

    def value(self, writer: int, key: int) -> str:
        """What ``writer`` left in ``key``, to print."""
        known = self.known
        found = known.found
        span = range(int(found.first[writer]), int(found.first[writer + 1]))
        row = next(r for r in reversed(span) if found.f[r] and found.key[r] == key)
        return show(known.name(int(known.of[row])))

    def key(self, key: int) -> str:
        """A key, to print."""
        return show(self.known.found.keys[key])


def contradiction(known: Versions, kind: str, *, sessions: bool) -> list[Step] | None:
    """A cycle of what the order of commits must be, empty if there is none.

    ``sessions``: whether the order of each process counts. ``None`` if that is not decided: too
    many transactions for ``CAUSAL``, or reads that were left out.
    """
    world = _world(known, sessions=sessions)
    if kind == CAUSAL and len(world.parts) > MOST_CAUSAL:
        return None
    plain = [
        Step(one, other, _why_seen(world, one, other, label))
        for other, seen in world.sees.items()
        for one, label in seen.items()
    ]
    found = shortest_cycle(plain)
    if found:
        return found
    told: dict[tuple[int, int], _Read] = {}
    for count, (read, seen) in enumerate(_demands(world, kind)):
        if count >= MOST_DEMANDS:
            return None
        if read.writer < 0:
            return _stale(world, read, seen)
        told.setdefault((seen, read.writer), read)
    demands = [
        Step(*pair, _why_first(world, read, pair[0]), read.reader) for pair, read in told.items()
    ]
    return shortest_cycle(plain + demands) or (None if world.is_odd else [])


def _world(known: Versions, *, sessions: bool) -> _World:
    found = known.found
    rows, writer = _reads(known)
    odd = writer == -2
    taking = known.reads.committed.copy()
    taking[writer[writer >= 0]] = True
    is_odd = bool(odd.any()) or known.reads.unexplained
    world = _World(known, np.flatnonzero(taking).tolist(), is_odd=is_odd)
    final = known.final[taking[found.txn[known.final]]]
    for txn, key in zip(found.txn[final].tolist(), found.key[final].tolist(), strict=True):
        world.writes.setdefault(txn, set()).add(key)
    rows, writer = rows[~odd], writer[~odd]
    readers, keys = found.txn[rows].tolist(), found.key[rows].tolist()
    for reader, key, one in zip(readers, keys, writer.tolist(), strict=True):
        world.reads.setdefault(reader, []).append(_Read(reader, key, one))
        if one >= 0:
            world.sees.setdefault(reader, {})[one] = WR
    if sessions:
        _add_sessions(world)
    return world


def _reads(known: Versions) -> tuple[Any, Any]:
    """Reads of committed transactions of what others wrote, in order, with who: -1 nobody, the
    initial state; -2 odd.
    """
    rows = known.reads.foreign
    of = known.of[rows]
    return rows, np.where(
        known.is_nil(of), -1, np.where(known.writer[of] >= 0, known.writer[of], -2)
    )


def _add_sessions(world: _World) -> None:
    found = world.known.found
    latest: dict[int, int] = {}
    wrote: dict[int, dict[int, int]] = {}
    for txn in world.parts:
        process = int(found.process[txn])
        mine = wrote.setdefault(process, {})
        touched = {read.key for read in world.reads.get(txn, ())}
        world.earlier[txn] = {key: mine[key] for key in touched if key in mine}
        if process in latest:
            world.sees.setdefault(txn, {}).setdefault(latest[process], PROCESS)
        if found.status[txn] == OK:
            latest[process] = txn
            mine.update(dict.fromkeys(world.writes.get(txn, ()), txn))


def _demands(world: _World, kind: str) -> Iterator[tuple[_Read, int]]:
    """Each read with each other writer of its key that it sees."""
    if kind == CAUSAL:
        yield from _causal_demands(world)
        return
    for txn, reads in world.reads.items():
        seen = set() if kind == READ_COMMITTED else {read.writer for read in reads} - {-1}
        for read in reads:
            others = {one for one in seen if read.key in world.writes.get(one, ())}
            if kind == READ_ATOMIC and read.key in world.earlier.get(txn, {}):
                others.add(world.earlier[txn][read.key])
            for one in sorted(others - {read.writer}):
                yield read, one
            if read.writer >= 0:
                seen.add(read.writer)


def _causal_demands(world: _World) -> Iterator[tuple[_Read, int]]:
    """What is drawn directly has no cycle, so all that each sees can be gathered in order."""
    number = {txn: place for place, txn in enumerate(world.parts)}
    writers: dict[int, int] = {}
    for txn, keys in world.writes.items():
        for key in keys:
            writers[key] = writers.get(key, 0) | 1 << number[txn]
    seen: dict[int, int] = {}
    for txn in _in_order(world):
        mine = 0
        for one in world.sees.get(txn, ()):
            mine |= seen[one] | 1 << number[one]
        seen[txn] = mine
        for read in world.reads.get(txn, ()):
            others = mine & writers.get(read.key, 0)
            while others:
                lowest = others & -others
                others ^= lowest
                one = world.parts[lowest.bit_length() - 1]
                if one != read.writer:
                    yield read, one


def _in_order(world: _World) -> Iterator[int]:
    waits = {txn: len(world.sees.get(txn, ())) for txn in world.parts}
    after: dict[int, list[int]] = {}
    for txn, seen in world.sees.items():
        for one in seen:
            after.setdefault(one, []).append(txn)
    ready = deque(txn for txn in world.parts if not waits[txn])
    while ready:
        txn = ready.popleft()
        yield txn
        for later in after.get(txn, ()):
            waits[later] -= 1
            if not waits[later]:
                ready.append(later)


def _why_seen(world: _World, one: int, other: int, label: int) -> str:
    if label == PROCESS:
        return f"process {int(world.known.found.process[one])} executed {{a}} before {{b}}"
    key = next(read.key for read in world.reads[other] if read.writer == one)
    return f"{{b}} read key {world.key(key)} = {world.value(one, key)}, which {{a}} wrote"


def _why_first(world: _World, read: _Read, seen: int) -> str:
    key, value = world.key(read.key), world.value(read.writer, read.key)
    return (
        f"{{c}} saw {{a}} ({_how_seen(world, read.reader, seen)}), which wrote key {key}, and yet"
        f" read {value} there, which {{b}} wrote: if {{b}} had committed first, {{a}} would have"
        " overwritten that before {c} saw it"
    )


def _how_seen(world: _World, reader: int, seen: int) -> str:
    label = world.sees.get(reader, {}).get(seen)
    if label == WR:
        key = next(read.key for read in world.reads[reader] if read.writer == seen)
        return f"in key {world.key(key)}, which {{c}} read as {world.value(seen, key)}"
    if label == PROCESS or seen in world.earlier.get(reader, {}).values():
        return "which is earlier in {c}'s process"
    return "through others that {c} saw"


def _stale(world: _World, read: _Read, seen: int) -> list[Step]:
    """A reader of the initial state that sees a write of it."""
    path = _path(world, seen, read.reader)
    key = world.key(read.key)
    text = (
        f"{{a}} read the initial (nil) state of key {key}, which {{b}} had set to"
        f" {world.value(seen, read.key)}"
    )
    return [*path, Step(read.reader, seen, text)]


def _path(world: _World, first: int, last: int) -> list[Step]:
    """The shortest chain of who sees whom."""
    came = {last: -1}
    queue = deque([last])
    while queue and first not in came:
        at = queue.popleft()
        for one in world.sees.get(at, ()):
            if one not in came:
                came[one] = at
                queue.append(one)
    if first not in came:  # of its session, some turns before
        process = int(world.known.found.process[first])
        return [Step(first, last, f"process {process} executed {{a}} before {{b}}")]
    steps = []
    while came[first] >= 0:
        label = world.sees[came[first]][first]
        steps.append(Step(first, came[first], _why_seen(world, first, came[first], label)))
        first = came[first]
    return steps


def shortest_cycle(steps: Sequence[Step]) -> list[Step]:
    """A shortest cycle in one of the smallest components, or nothing."""
    if not steps:
        return []
    source = np.array([step.before for step in steps], dtype=np.int32)
    target = np.array([step.after for step in steps], dtype=np.int32)
    component = strong_components(int(max(source.max(), target.max())) + 1, source, target)
    inside = np.flatnonzero(component[source] == component[target])
    if not len(inside):
        return []
    sizes = np.bincount(component)[component[source[inside]]]
    chosen = inside[component[source[inside]] == component[source[inside[sizes.argmin()]]]]
    after: dict[int, list[Step]] = {}
    for place in chosen.tolist():
        after.setdefault(steps[place].before, []).append(steps[place])
    start = min(after)
    came: dict[int, Any] = {}
    queue = deque([start])
    while start not in came:
        at = queue.popleft()
        for step in after.get(at, ()):
            if step.after not in came:
                came[step.after] = step
                queue.append(step.after)
    path = [came[start]]
    while path[-1].before != start:
        path.append(came[path[-1].before])
    return path[::-1]
