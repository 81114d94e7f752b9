"""What each level allows, by trying everything: the oracle for small histories of lists.

Nothing here looks at dependencies inferred from reads. Serializability and snapshot isolation
are replays: is there an order of transactions (of their begins and commits) in which every ok
read shows what it showed? Weaker levels try every version order that reads allow.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, combinations, permutations, product

from harness.history.history import History

Micro = tuple[str, str, object]


@dataclass(frozen=True)
class Txn:
    """One transaction: ``begin`` and ``end`` are positions in the history (``end`` may be inf)."""

    process: int
    status: str
    micro: tuple[Micro, ...]
    begin: float
    end: float


def txns_of(history: History) -> list[Txn]:
    """The transactions of a drawn history."""
    found = []
    for place, operation in enumerate(history.operations):
        if operation.type != "invoke":
            continue
        other = history.pairs[place]
        done = history.operations[other] if other >= 0 else operation
        status = done.type if other >= 0 else "info"
        end = float(other) if status in ("ok", "fail") else float("inf")
        micro = tuple((f, k, _frozen(v)) for f, k, v in done.value)
        assert isinstance(operation.process, int)
        found.append(Txn(operation.process, status, micro, place, end))
    return found


def _frozen(value: object) -> object:
    return tuple(value) if isinstance(value, list) else value


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
        elif txn.status == "ok" and (value or ()) != view.get(key, ()):
            return None
    return view


def _in_order(order: Sequence[Txn], precedes: Callable[[Txn, Txn], bool]) -> bool:
    return not any(precedes(b, a) for a, b in combinations(order, 2))


def nothing(a: Txn, b: Txn) -> bool:
    """No order between transactions."""
    return False


def session(a: Txn, b: Txn) -> bool:
    """Process order."""
    return a.process == b.process and a.begin < b.begin


def realtime(a: Txn, b: Txn) -> bool:
    """Realtime order."""
    return a.status == "ok" and a.end < b.begin


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


def version_orders(world: Sequence[Txn]) -> Iterator[dict[str, tuple[object, ...]]]:
    """Every order of each key's appends that all ok reads are prefixes of."""
    keys = sorted({key for txn in world for _, key, _ in txn.micro})
    choices = []
    for key in keys:
        appended = [v for txn in world for f, k, v in txn.micro if f == "append" and k == key]
        reads = [
            v or ()
            for txn in world
            if txn.status == "ok"
            for f, k, v in txn.micro
            if f == "r" and k == key
        ]
        choices.append(
            [
                order
                for order in permutations(appended)
                if all(order[: len(read)] == read for read in reads)  # type: ignore[arg-type]
            ]
        )
    for combined in product(*choices):
        yield dict(zip(keys, combined, strict=True))


def holds_with_some_order(txns: Sequence[Txn], labels: str, order: str = "") -> bool:
    """Whether some infos and version orders make no cycle of the edges ``labels`` (``ww wr``),
    no read of a failed append (there is no such order), and no intermediate read where wr counts.
    """
    precedes = {"": nothing, "session": session, "realtime": realtime}[order]
    return any(
        _acyclic(world, versions, labels, precedes)
        and ("wr" not in labels or not _intermediate(world))
        for world in worlds(txns)
        for versions in version_orders(world)
    )


def _intermediate(world: Sequence[Txn]) -> bool:
    for writer in world:
        appends = [(k, v) for f, k, v in writer.micro if f == "append"]
        last = dict(appends)
        for reader in world:
            if reader is writer or reader.status != "ok":
                continue
            for f, key, value in reader.micro:
                if f == "r" and value:
                    end = value[-1]  # type: ignore[index]
                    if (key, end) in appends and last[key] != end:
                        return True
    return False


def _acyclic(
    world: Sequence[Txn],
    versions: Mapping[str, tuple[object, ...]],
    labels: str,
    precedes: Callable[[Txn, Txn], bool],
) -> bool:
    writer = {(k, v): i for i, txn in enumerate(world) for f, k, v in txn.micro if f == "append"}
    edges = {(i, j) for i, a in enumerate(world) for j, b in enumerate(world) if precedes(a, b)}
    if "ww" in labels:
        edges |= {
            (writer[key, a], writer[key, b])
            for key, order in versions.items()
            for a, b in combinations(order, 2)
        }
    if "wr" in labels:
        edges |= {
            (writer[key, value[-1]], i)  # type: ignore[index]
            for i, txn in enumerate(world)
            if txn.status == "ok"
            for f, key, value in txn.micro
            if f == "r" and value
        }
    edges = {(a, b) for a, b in edges if a != b}
    left = set(range(len(world)))
    while left:
        free = {i for i in left if not any(b == i and a in left for a, b in edges)}
        if not free:
            return False
        left -= free
    return True


LEVELS: dict[str, Callable[[Sequence[Txn]], bool]] = {
    "read-uncommitted": lambda txns: holds_with_some_order(txns, "ww"),
    "read-committed": lambda txns: holds_with_some_order(txns, "ww wr"),
    "strong-session-read-committed": lambda txns: holds_with_some_order(txns, "ww wr", "session"),
    "strong-read-uncommitted": lambda txns: holds_with_some_order(txns, "ww", "realtime"),
    "strong-read-committed": lambda txns: holds_with_some_order(txns, "ww wr", "realtime"),
    "snapshot-isolation": is_snapshot_isolated,
    "strong-session-snapshot-isolation": lambda txns: is_snapshot_isolated(txns, session),
    "strong-snapshot-isolation": lambda txns: is_snapshot_isolated(txns, realtime),
    "serializable": is_serializable,
    "strong-session-serializable": lambda txns: is_serializable(txns, session),
    "strict-serializable": lambda txns: is_serializable(txns, realtime),
}
