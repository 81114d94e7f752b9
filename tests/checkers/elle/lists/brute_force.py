"""What each level allows, by trying everything: the oracle for small histories of lists.

Nothing here looks at dependencies inferred from reads. Serializability and snapshot isolation
are replays: is there an order of transactions (of their begins and commits) in which every read
of a committed transaction shows what it showed? Weaker levels try every version order that reads
allow, and ask of the history what Adya asks of any: a read comes after the write that it shows and
after its own transaction's writes before it, and a transaction's writes take effect in its order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, combinations, permutations, product

from harness.history.history import History

Micro = tuple[str, str, object]
UNKNOWN = "unknown"
"""What a read showed of which nobody knows what it showed."""


@dataclass(frozen=True)
class Txn:
    """One transaction: ``begin`` and ``end`` are positions in the history (``end`` may be inf)."""

    process: int
    status: str
    micro: tuple[Micro, ...]
    begin: float
    end: float

    def reads(self) -> list[tuple[str, tuple[object, ...]]]:
        """Key and list of each read of which it is known what it showed."""
        return [(k, v) for f, k, v in self.micro if f == "r" and isinstance(v, tuple)]

    def appends(self) -> list[tuple[str, object]]:
        """Key and value of each append."""
        return [(k, v) for f, k, v in self.micro if f == "append"]


def txns_of(history: History) -> list[Txn]:
    """The transactions of a drawn history; one whose invocation is missing began any time."""
    found = []
    for place, operation in enumerate(history.operations):
        other = history.pairs[place]
        if operation.type != "invoke" and other >= 0:
            continue
        begin = float(place) if operation.type == "invoke" else float("-inf")
        if operation.type != "invoke":
            other = place
        done = history.operations[other] if other >= 0 else operation
        status = done.type if done.type != "invoke" else "info"
        end = float(other) if status in ("ok", "fail") else float("inf")
        asked = operation.value
        told = done.value if done.value is not None else asked
        if told is None:
            continue  # nothing is known of it
        if status != "ok" and _kinds(told) != _kinds(asked):
            told = asked  # told in part
        micro = tuple(
            (
                f,
                k,
                _shown(v, status, done is not operation or begin < 0) if f == "r" else _frozen(v),
            )
            for f, k, v in told
        )
        assert isinstance(operation.process, int)
        found.append(Txn(operation.process, status, micro, begin, end))
    return found


def _kinds(value: Sequence[Sequence[object]]) -> list[object]:
    return [(f, k, None if f == "r" else _frozen(v)) for f, k, v in value]


def _shown(value: object, status: str, answered: bool) -> object:
    if isinstance(value, list) and answered:
        return _frozen(value)
    return () if value is None and status == "ok" else UNKNOWN


def _frozen(value: object) -> object:
    return tuple(map(_frozen, value)) if isinstance(value, list) else value


def worlds(txns: Sequence[Txn]) -> Iterator[list[Txn]]:
    """Every way in which infos happened or not; failed ones did not."""
    sure = [txn for txn in txns if txn.status == "ok"]
    maybe = [txn for txn in txns if txn.status == "info"]
    for chosen in chain.from_iterable(combinations(maybe, n) for n in range(len(maybe) + 1)):
        yield [*sure, *chosen]


def _runs(
    txn: Txn, state: Mapping[str, tuple[object, ...]]
) -> dict[str, tuple[object, ...]] | None:
    """The state after ``txn`` on its own view, or ``None`` if a read of it shows otherwise."""
    view = dict(state)
    for f, key, value in txn.micro:
        if f == "append":
            view[key] = (*view.get(key, ()), value)
        elif value != UNKNOWN and value != view.get(key, ()):
            return None
    return view


def _in_order(order: Sequence[Txn], precedes: Callable[[Txn, Txn], bool]) -> bool:
    return not any(precedes(b, a) for a, b in combinations(order, 2))


def nothing(a: Txn, b: Txn) -> bool:
    """No order between transactions."""
    return False


def session(a: Txn, b: Txn) -> bool:
    """Process order."""
    return a.process == b.process and a.status == "ok" and (a.end, a.begin) < (b.end, b.begin)


def realtime(a: Txn, b: Txn) -> bool:
    """Realtime order. A process does one thing after another, also where no begin is known."""
    alone = b.begin == float("-inf") and session(a, b)
    return alone or (a.status == "ok" and a.end < b.begin)


def is_serializable(txns: Sequence[Txn], precedes: Callable[[Txn, Txn], bool] = nothing) -> bool:
    """Whether some order of ok transactions and some infos replays."""
    return any(
        _replays(order)
        for world in worlds(txns)
        for order in permutations(world)
        if _in_order(order, precedes)
    )


def _replays(order: Sequence[Txn]) -> bool:
    state: dict[str, tuple[object, ...]] = {}
    for txn in order:
        after = _runs(txn, state)
        if after is None:
            return False
        state = after
    return True


def is_snapshot_isolated(
    txns: Sequence[Txn], precedes: Callable[[Txn, Txn], bool] = nothing
) -> bool:
    """Whether some order of begins and commits replays with snapshots and no two concurrent
    writers of one key. ``precedes`` puts commits before begins.
    """
    return any(_snapshots(world, precedes) for world in worlds(txns))


def _snapshots(world: Sequence[Txn], precedes: Callable[[Txn, Txn], bool]) -> bool:
    before = {
        j: [i for i, a in enumerate(world) if i != j and precedes(a, b)]
        for j, b in enumerate(world)
    }

    def go(
        state: dict[str, tuple[object, ...]],
        open_: dict[int, dict[str, tuple[object, ...]]],
        dirty: Mapping[int, frozenset[str]],
        done: frozenset[int],
    ) -> bool:
        if len(done) == len(world):
            return True
        for i, txn in enumerate(world):
            if i in done:
                continue
            if i in open_:
                writes = {key for f, key, _ in txn.micro if f == "append"}
                if writes & dirty[i]:
                    continue
                view = _runs(txn, open_[i])
                if view is None:
                    return False  # its snapshot is fixed, so it never will
                after = dict(state) | {key: view[key] for key in writes}
                rest = {j: s for j, s in open_.items() if j != i}
                marks = {j: dirty[j] | writes for j in rest}
                if go(after, rest, marks, done | {i}):
                    return True
            elif all(j in done for j in before[i]) and go(
                state, open_ | {i: dict(state)}, {**dirty, i: frozenset()}, done
            ):
                return True
        return False

    return go({}, {}, {}, frozenset())


def version_orders(
    writers: Sequence[Txn], readers: Sequence[Txn], *, in_own_order: bool = True
) -> Iterator[dict[str, tuple[object, ...]]]:
    """Every order of each key's appends by ``writers`` that all known reads of ``readers`` are
    prefixes of; ``in_own_order``: a transaction's appends stand in the order in which it made
    them (those of one that failed may be undone one by one).
    """
    keys = sorted({key for txn in (*writers, *readers) for _, key, _ in txn.micro})
    choices = []
    for key in keys:
        mine = [
            [v for k, v in txn.appends() if k == key]
            for txn in writers
            if in_own_order and txn.status != "fail"
        ]
        appended = [v for txn in writers for k, v in txn.appends() if k == key]
        reads = [v for txn in readers for k, v in txn.reads() if k == key]
        choices.append(
            [
                order
                for order in permutations(appended)
                if all(order[: len(read)] == read for read in reads)
                and all([v for v in order if v in own] == own for own in mine)
            ]
        )
    for combined in product(*choices):
        yield dict(zip(keys, combined, strict=True))


def is_well_formed(txn: Txn) -> bool:
    """Whether no read shows what ``txn`` appends later, or lacks what it appended before."""
    for at, (f, key, value) in enumerate(txn.micro):
        if f != "r" or not isinstance(value, tuple):
            continue
        before = [v for g, k, v in txn.micro[:at] if g == "append" and k == key]
        later = [v for g, k, v in txn.micro[at:] if g == "append" and k == key]
        if any(v not in value for v in before) or any(v in value for v in later):
            return False
    return True


def holds_with_some_order(txns: Sequence[Txn], labels: str, order: str = "") -> bool:
    """Whether some infos and version orders make no cycle of the edges ``labels`` (``ww wr rw``),
    no read of a failed append (there is no such order), and no intermediate read where wr counts.

    Where ``labels`` are ``ww`` alone, reads may show what was never committed. ``one rw``: of
    cycles only those with exactly one rw edge, or none, count.
    """
    precedes = {"": nothing, "session": session, "realtime": realtime}[order]
    return any(
        _acyclic(world, versions, labels, precedes)
        and all(map(is_well_formed, world))
        and ("wr" not in labels or not _intermediate(world))
        for world in worlds(txns)
        for versions in version_orders(world if "wr" in labels else txns, world)
    )


def has_an_order(txns: Sequence[Txn]) -> bool:
    """Whether what ok transactions read of each key is one order at all."""
    sure = [txn for txn in txns if txn.status == "ok"]
    return any(True for _ in version_orders(txns, sure, in_own_order=False))


def _intermediate(world: Sequence[Txn]) -> bool:
    for writer in world:
        appends = writer.appends()
        last = dict(appends)
        for reader in world:
            for key, value in reader.reads() if reader is not writer else ():
                if value and (key, value[-1]) in appends and last[key] != value[-1]:
                    return True
    return False


def _acyclic(
    world: Sequence[Txn],
    versions: Mapping[str, tuple[object, ...]],
    labels: str,
    precedes: Callable[[Txn, Txn], bool],
) -> bool:
    writer = {append: i for i, txn in enumerate(world) for append in txn.appends()}
    edges = {(i, j) for i, a in enumerate(world) for j, b in enumerate(world) if precedes(a, b)}
    edges |= {
        (writer[key, a], writer[key, b])
        for key, order in versions.items()
        for a, b in combinations([v for v in order if (key, v) in writer], 2)
    }
    reads = [(i, key, value) for i, txn in enumerate(world) for key, value in txn.reads()]
    if "wr" in labels:
        edges |= {(writer[key, value[-1]], i) for i, key, value in reads if value}
    edges = {(a, b) for a, b in edges if a != b}
    over = {
        (i, writer[key, after])
        for i, key, value in reads
        for after in versions[key][len(value) :]
        if "rw" in labels and writer[key, after] != i
    }
    if "one rw" in labels:
        reach = _closure(edges)
        return not any(a == b for a, b in reach) and not any((b, a) in reach for a, b in over)
    return not any(a == b for a, b in _closure(edges | over))


def _closure(edges: set[tuple[int, int]]) -> set[tuple[int, int]]:
    reach = set(edges)
    while True:
        more = {(a, d) for a, b in reach for c, d in edges if b == c} - reach
        if not more:
            return reach
        reach |= more


LEVELS: dict[str, Callable[[Sequence[Txn]], bool]] = {
    "read-uncommitted": lambda txns: holds_with_some_order(txns, "ww"),
    "read-committed": lambda txns: holds_with_some_order(txns, "ww wr"),
    "strong-session-read-uncommitted": lambda txns: holds_with_some_order(txns, "ww", "session"),
    "strong-session-read-committed": lambda txns: holds_with_some_order(txns, "ww wr", "session"),
    "strong-read-uncommitted": lambda txns: holds_with_some_order(txns, "ww", "realtime"),
    "strong-read-committed": lambda txns: holds_with_some_order(txns, "ww wr", "realtime"),
    "consistent-view": lambda txns: holds_with_some_order(txns, "ww wr one rw"),
    "repeatable-read": lambda txns: holds_with_some_order(txns, "ww wr rw"),
    "snapshot-isolation": is_snapshot_isolated,
    "strong-session-snapshot-isolation": lambda txns: is_snapshot_isolated(txns, session),
    "strong-snapshot-isolation": lambda txns: is_snapshot_isolated(txns, realtime),
    "serializable": is_serializable,
    "strong-session-serializable": lambda txns: is_serializable(txns, session),
    "strict-serializable": lambda txns: is_serializable(txns, realtime),
}
