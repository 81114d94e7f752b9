"""What each level allows of a small history of registers, by trying everything.

Adya's definitions, to the letter: is there a choice of which infos happened, and an order of the
versions of each key, whose dependency graph has none of the cycles that the level forbids? An
assumption on the order of versions leaves only the orders that it allows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, combinations, pairwise, permutations, product
from typing import Any

from harness.history.history import History

Version = tuple[str, Any]
Edge = tuple[int, int, str]

LEVELS = (
    "read-uncommitted",
    "read-committed",
    "consistent-view",
    "repeatable-read",
    "snapshot-isolation",
    "serializable",
    "strong-session-snapshot-isolation",
    "strong-session-serializable",
    "strong-snapshot-isolation",
    "strict-serializable",
)


@dataclass(frozen=True)
class Txn:
    """One transaction; ``begin`` and ``end`` are positions, ``end`` infinite if unknown."""

    process: Any
    status: str
    steps: tuple[tuple[str, str, Any], ...]
    begin: float
    end: float

    def reads(self) -> dict[str, Any]:
        """What it read before touching the key otherwise; nothing is known of infos."""
        found: dict[str, Any] = {}
        touched = set()
        for f, key, value in self.steps:
            if f == "r" and key not in touched and self.status == "ok":
                found[key] = value
            touched.add(key)
        return found

    def writes(self) -> dict[str, list[Any]]:
        """All that it wrote, in order, by key."""
        found: dict[str, list[Any]] = {}
        for f, key, value in self.steps:
            if f == "w":
                found.setdefault(key, []).append(value)
        return found


def txns_of(history: History) -> list[Txn]:
    """The transactions of a history."""
    found = []
    for place, operation in enumerate(history.operations):
        if operation.type == "invoke":
            other = history.pairs[place]
            done = history.operations[other] if other >= 0 else operation
            status = done.type if other >= 0 else "info"
            end = float(other) if status != "info" else float("inf")
            steps = tuple((f, key, value) for f, key, value in done.value)
            found.append(Txn(operation.process, status, steps, place, end))
    return found


def allowed(history: History, assume: Sequence[str] = ()) -> set[str]:
    """The levels that allow ``history`` with version orders that go with ``assume``.

    ``assume`` out of ``wfr_keys``, ``sequential_keys``, ``linearizable_keys``.
    """
    txns = txns_of(history)
    levels: set[str] = set()
    for world in _worlds(txns):
        dirty = _dirty(world)
        if dirty is None:
            continue
        for orders in _version_orders(world):
            if _fits(world, orders, assume):
                levels |= {level for level in LEVELS if _holds(level, world, orders, dirty)}
    return levels


def _worlds(txns: Sequence[Txn]) -> Iterator[list[Txn]]:
    sure = [txn for txn in txns if txn.status == "ok"]
    maybe = [txn for txn in txns if txn.status == "info"]
    failed = [txn for txn in txns if txn.status == "fail"]
    for chosen in chain.from_iterable(combinations(maybe, n) for n in range(len(maybe) + 1)):
        yield [*sure, *chosen, *failed]


def _dirty(world: Sequence[Txn]) -> frozenset[str] | None:
    """Which of G1a, G1b and internal the reads show; ``None`` if some value is from nowhere."""
    state = {}
    for number, txn in enumerate(world):
        for key, values in txn.writes().items():
            for value in values:
                kind = "G1a" if txn.status == "fail" else "" if value == values[-1] else "G1b"
                state[key, value] = (kind, number)
    found = set()
    for number, txn in enumerate(world):
        if txn.status != "ok":
            continue
        own: dict[str, Any] = {}
        for f, key, value in txn.steps:
            if f == "r":
                if key in own and own[key] != value:
                    found.add("internal")
                if value is not None:
                    if (key, value) not in state:
                        return None
                    kind, writer = state[key, value]
                    if kind == "G1a" or (kind == "G1b" and writer != number):
                        found.add(kind)
            own[key] = value
    return frozenset(found)


def _version_orders(world: Sequence[Txn]) -> Iterator[Mapping[str, tuple[int, ...]]]:
    """For each key every order of the transactions that installed a version."""
    writers: dict[str, list[int]] = {}
    for number, txn in enumerate(world):
        if txn.status != "fail":
            for key in txn.writes():
                writers.setdefault(key, []).append(number)
    keys = list(writers)
    for orders in product(*(permutations(writers[key]) for key in keys)):
        yield dict(zip(keys, orders, strict=True))


def _places(world: Sequence[Txn], orders: Mapping[str, tuple[int, ...]]) -> dict[Version, int]:
    places: dict[Version, int] = {}
    for key, order in orders.items():
        values = [value for writer in order for value in world[writer].writes()[key]]
        places.update({(key, value): at + 1 for at, value in enumerate(values)})
    return places


def _fits(
    world: Sequence[Txn], orders: Mapping[str, tuple[int, ...]], assume: Sequence[str]
) -> bool:
    """Whether a version order goes with what is assumed."""
    if not assume:
        return True
    places = _places(world, orders)

    def place(key: str, value: Any) -> int | None:
        return 0 if value is None else places.get((key, value))

    for txn in world:
        if txn.status == "ok":
            for key, value in txn.reads().items():
                if key in txn.writes():
                    first, last = place(key, value), place(key, txn.writes()[key][-1])
                    if first is not None and last is not None and first >= last:
                        return False
    for a in world:
        for b in world:
            if a is b or a.status != "ok" or b.status == "fail" or not _before(a, b, assume):
                continue
            for key in {**a.reads(), **a.writes()}:
                last = place(key, a.writes()[key][-1] if key in a.writes() else a.reads()[key])
                if key in b.reads():
                    first = place(key, b.reads()[key])
                elif key in b.writes():
                    first = place(key, b.writes()[key][-1])
                else:
                    continue
                if first is not None and last is not None and last > first:
                    return False
    return True


def _before(a: Txn, b: Txn, assume: Sequence[str]) -> bool:
    if "linearizable_keys" in assume and a.end < b.begin:
        return True
    return "sequential_keys" in assume and a.process == b.process and a.begin < b.begin


def _edges(world: Sequence[Txn], orders: Mapping[str, tuple[int, ...]]) -> set[Edge]:
    edges: set[Edge] = set()
    for key, order in orders.items():
        edges |= {(a, b, "ww") for a, b in pairwise(order)}
        made = {value: w for w in order for value in world[w].writes()[key]}
        for number, txn in enumerate(world):
            if txn.status != "ok" or key not in txn.reads():
                continue
            value = txn.reads()[key]
            writer = made.get(value)
            if writer is not None:
                edges.add((writer, number, "wr"))
                at = order.index(writer) + 1
            elif value is None:
                at = 0
            else:
                continue
            if at < len(order):
                edges.add((number, order[at], "rw"))
    return {(a, b, label) for a, b, label in edges if a != b}


def _holds(
    level: str, world: Sequence[Txn], orders: Mapping[str, tuple[int, ...]], dirty: frozenset[str]
) -> bool:
    edges = _edges(world, orders)
    sure = [n for n, txn in enumerate(world) if txn.status != "fail"]
    if level.startswith("strong-session"):
        edges |= {
            (a, b, "order")
            for a in sure
            for b in sure
            if world[a].process == world[b].process
            and world[a].begin < world[b].begin
            and world[a].status == "ok"
        }
    elif level.startswith(("strong", "strict")):
        edges |= {(a, b, "order") for a in sure for b in sure if world[a].end < world[b].begin}
    base = level.removeprefix("strong-session-").removeprefix("strong-").removeprefix("strict-")
    if base == "read-uncommitted":
        return not _cyclic(edges, {"ww"})
    if dirty & {"G1a", "G1b"} or _cyclic(edges, {"ww", "wr", "order"}):
        return False
    if base == "read-committed":
        return True
    if base == "consistent-view":
        return not _has_single(edges)
    if base == "repeatable-read":
        return not _cyclic(edges, {"ww", "wr", "rw", "order"})
    if "internal" in dirty:
        return False
    if base == "snapshot-isolation":
        return not _has_nonadjacent(edges)
    return not _cyclic(edges, {"ww", "wr", "rw", "order"})


def _reach(pairs: set[tuple[Any, Any]]) -> set[tuple[Any, Any]]:
    """The transitive closure."""
    closed = set(pairs)
    while True:
        more = {(a, d) for a, b in closed for c, d in pairs if b == c} - closed
        if not more:
            return closed
        closed |= more


def _cyclic(edges: set[Edge], labels: set[str]) -> bool:
    closed = _reach({(a, b) for a, b, label in edges if label in labels})
    return any(a == b for a, b in closed)


def _has_single(edges: set[Edge]) -> bool:
    closed = _reach({(a, b) for a, b, label in edges if label != "rw"})
    return any((b, a) in closed for a, b, label in edges if label == "rw")


def _has_nonadjacent(edges: set[Edge]) -> bool:
    """A cycle of other edges, each extended by at most one rw."""
    plain = {(a, b) for a, b, label in edges if label != "rw"}
    rw = {(a, b) for a, b, label in edges if label == "rw"}
    steps = plain | {(a, d) for a, b in plain for c, d in rw if b == c}
    return any(a == b for a, b in _reach(steps))
