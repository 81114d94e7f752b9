"""What each level allows of a small history of registers, by trying everything.

Adya's definitions, to the letter: is there a choice of which infos committed, and an order of the
versions of each key, whose dependency graph has none of the cycles that the level forbids? Every
read of a committed transaction counts. What no history in Adya's sense has is allowed nowhere: a
read of what nobody wrote, of what the reader itself writes only later, or, after a write of its
own, of the initial state or of an older write of its own. An assumption on the order of versions
leaves only the orders that it allows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, combinations, pairwise, permutations, product
from typing import Any, Final

from harness.history.history import History

Edge = tuple[int, int, str]
Orders = Mapping[str, tuple[int, ...]]

UNDECIDED: Final = "read-uncommitted?"
"""Told where all that speaks against read uncommitted is another's write over one's own."""
NULL: Final = "null!"
"""Nil, read where the initial state is declared to be something else."""

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
    """One transaction; ``begin`` and ``end`` are positions, ``end`` infinite if unknown and
    ``begin`` negative. ``place`` is where it stands among those of its process. ``told`` are the
    places of steps that are reads with an answer.
    """

    process: Any
    status: str
    steps: tuple[tuple[str, str, Any], ...]
    begin: float
    end: float
    place: int
    told: frozenset[int]

    def writes(self) -> dict[str, list[Any]]:
        """All that it wrote, in order, by key."""
        found: dict[str, list[Any]] = {}
        for f, key, value in self.steps:
            if f == "w":
                found.setdefault(key, []).append(value)
        return found


@dataclass(frozen=True)
class Read:
    """``reader`` read the last write of ``writer`` to ``key`` (-1: the initial state)."""

    reader: int
    key: str
    writer: int


@dataclass
class World:
    """What happened, if just the transactions of ``committed`` did.

    ``reads`` are those that make dependencies, in order. ``wrong``: kinds out of ``impossible``,
    ``over``, ``G1a``, ``G1b`` and ``internal``.
    """

    txns: Sequence[Txn]
    committed: frozenset[int]
    reads: list[Read]
    wrong: set[str]


def txns_of(history: History) -> list[Txn]:
    """The transactions of a history."""
    found = []
    for place, operation in enumerate(history.operations):
        other = history.pairs[place]
        if operation.type == "invoke":
            done = history.operations[other] if other >= 0 else operation
            status, begin = done.type if other >= 0 else "info", float(place)
            end = float(other)
        elif other < 0:
            done, status, begin, end = operation, operation.type, -1.0, float(place)
        else:
            continue
        steps = tuple(_normal(history.header.initial, *step) for step in done.value)
        told = {n for n, step in enumerate(steps) if step[0] == "r" and status == "ok"}
        if status == "info" and done.type == "info":
            asked = operation.value if operation.type == "invoke" else [(0, 0, None)] * len(steps)
            told = {
                n
                for n, (f, _, value) in enumerate(done.value)
                if f == "r" and value is not None and asked[n][2] is None
            }
        end = end if status in ("ok", "fail") else float("inf")
        told_ = frozenset(told)
        found.append(Txn(operation.process, status, steps, begin, end, place, told_))
    return found


def _normal(initial: Any, f: str, key: Any, value: Any) -> tuple[str, str, Any]:
    first = initial.get(str(key)) if isinstance(initial, dict) else initial
    if isinstance(value, list):
        value = tuple(value)
    if f == "w" or first is None:
        return f, key, value
    return f, key, None if value == first else NULL if value is None else value


def worlds(txns: Sequence[Txn]) -> Iterator[World]:
    """Every choice of which infos committed."""
    sure = [n for n, txn in enumerate(txns) if txn.status == "ok"]
    maybe = [n for n, txn in enumerate(txns) if txn.status == "info"]
    for chosen in chain.from_iterable(combinations(maybe, n) for n in range(len(maybe) + 1)):
        world = World(txns, frozenset((*sure, *chosen)), [], set())
        for number in sorted(world.committed):
            _look(world, number)
        yield world


def _look(world: World, number: int) -> None:
    """Add what one transaction read."""
    source = {
        (key, value): (other, value == values[-1])
        for other, txn in enumerate(world.txns)
        for key, values in txn.writes().items()
        for value in values
    }
    own: dict[str, list[Any]] = {}
    last: dict[str, Any] = {}
    for place, (f, key, value) in enumerate(world.txns[number].steps):
        if f == "w":
            own.setdefault(key, []).append(value)
        elif place not in world.txns[number].told:
            last.pop(key, None)
            continue
        else:
            writer, is_final = (-1, True) if value is None else source.get((key, value), (-2, True))
            if key in last and last[key] != value:
                world.wrong.add("internal")
            if writer == -2:
                world.wrong.add("impossible")
            elif key in own:
                if value != own[key][-1]:
                    world.wrong.add("impossible" if writer in (-1, number) else "over")
            elif writer == number:
                world.wrong.add("impossible")
            if writer >= 0 and writer not in world.committed:
                world.wrong.add("G1a")
            elif not is_final and writer != number:
                world.wrong.add("G1b")
            elif key not in own and writer not in (-2, number):
                world.reads.append(Read(number, key, writer))
        last[key] = value


def allowed(history: History, assume: Sequence[str] = ()) -> set[str]:
    """The levels that allow ``history`` with version orders that go with ``assume``.

    ``assume`` out of ``wfr_keys``, ``sequential_keys``, ``linearizable_keys``.
    """
    levels: set[str] = set()
    for world in worlds(txns_of(history)):
        if "impossible" in world.wrong:
            continue
        for orders in version_orders(world):
            if _fits(world, orders, assume):
                found = {level for level in LEVELS if _holds(level, world, orders)}
                levels |= {UNDECIDED} if "over" in world.wrong and found else found
    return levels - ({UNDECIDED} if LEVELS[0] in levels else set())


def version_orders(world: World) -> Iterator[Orders]:
    """For each key every order of the transactions that installed a version."""
    writers: dict[str, list[int]] = {}
    for number in sorted(world.committed):
        for key in world.txns[number].writes():
            writers.setdefault(key, []).append(number)
    keys = list(writers)
    for orders in product(*(permutations(writers[key]) for key in keys)):
        yield dict(zip(keys, orders, strict=True))


def _fits(world: World, orders: Orders, assume: Sequence[str]) -> bool:
    """Whether a version order goes with what is assumed."""
    if not assume:
        return True
    seen = {n: _observed(world, orders, n) for n in world.committed}
    for number, mine in seen.items():
        txn = world.txns[number]
        for read, wrote in mine.values() if txn.status == "ok" else ():
            if wrote is not None and any(place >= wrote for place in read):
                return False
            if {*assume} - {"wfr_keys"} and read != sorted(read):
                return False
        for other, theirs in seen.items():
            if other == number or txn.status != "ok":
                continue
            if not _before(txn, world.txns[other], assume):
                continue
            for key in mine.keys() & theirs.keys():
                earlier = [*mine[key][0], *([mine[key][1]] if mine[key][1] is not None else [])]
                is_ok = world.txns[other].status == "ok"
                later = [*(theirs[key][0] if is_ok else ())]
                later += [theirs[key][1]] if theirs[key][1] is not None else []
                if earlier and later and max(earlier) > min(later):
                    return False
    return True


def _observed(world: World, orders: Orders, number: int) -> dict[str, tuple[list[int], int | None]]:
    """By key the places, in the order of versions, of what was read in order, and last written."""
    found: dict[str, tuple[list[int], int | None]] = {}
    for read in world.reads:
        if read.reader == number:
            place = 0 if read.writer < 0 else orders[read.key].index(read.writer) + 1
            found.setdefault(read.key, ([], None))[0].append(place)
    for key in world.txns[number].writes():
        found[key] = (found.get(key, ([], None))[0], orders[key].index(number) + 1)
    return found


def _before(a: Txn, b: Txn, assume: Sequence[str]) -> bool:
    if "linearizable_keys" in assume and a.end < b.begin:
        return True
    return "sequential_keys" in assume and a.process == b.process and a.place < b.place


def edges_of(world: World, orders: Orders) -> set[Edge]:
    """Adya's dependencies: ww to the next version, wr, rw to the next version."""
    edges: set[Edge] = set()
    for order in orders.values():
        edges |= {(a, b, "ww") for a, b in pairwise(order)}
    for read in world.reads:
        order = orders.get(read.key, ())
        at = order.index(read.writer) + 1 if read.writer >= 0 else 0
        if read.writer >= 0:
            edges.add((read.writer, read.reader, "wr"))
        if at < len(order):
            edges.add((read.reader, order[at], "rw"))
    return {(a, b, label) for a, b, label in edges if a != b}


def session_order(world: World) -> set[Edge]:
    """Each ok transaction before those that its process began later."""
    return _ordered(world, lambda a, b: a.process == b.process and a.place < b.place)


def real_time(world: World) -> set[Edge]:
    """Each ok transaction before those invoked after its completion, as those are that its process
    began later (also where no record tells that).
    """
    return _ordered(world, lambda a, b: a.end < b.begin) | session_order(world)


def _ordered(world: World, is_before: Any) -> set[Edge]:
    txns = world.txns
    return {
        (a, b, "order")
        for a in world.committed
        for b in world.committed
        if a != b and txns[a].status == "ok" and is_before(txns[a], txns[b])
    }


def _holds(level: str, world: World, orders: Orders) -> bool:
    edges = edges_of(world, orders)
    if level.startswith("strong-session"):
        edges |= session_order(world)
    elif level.startswith(("strong", "strict")):
        edges |= real_time(world)
    base = level.removeprefix("strong-session-").removeprefix("strong-").removeprefix("strict-")
    if base == "read-uncommitted":
        return not _cyclic(edges, {"ww"})
    if world.wrong & {"G1a", "G1b", "over"} or _cyclic(edges, {"ww", "wr", "order"}):
        return False
    if base == "read-committed":
        return True
    if base == "consistent-view":
        return not _has_single(edges)
    if base == "repeatable-read":
        return not _cyclic(edges, {"ww", "wr", "rw", "order"})
    if "internal" in world.wrong:
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
