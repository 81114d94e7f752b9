"""What each of the checkers of one thing promises, written out anew and slowly.

None of this knows the checkers. Where a checker promises less than the model that it stands for
(it looks for pairs, not for longer circles), there are two bounds: what is impossible under the
model, which alone may be called false, and the pairs that its docstring names, which all must be.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import chain, combinations, permutations
from typing import Any

from tests.checkers.isolation.weak_cases import Done, holds

Start = Callable[[str], Any]


def count_reads(done: list[Done], start: Start) -> None:
    """Say of each whether its reads count: it is ok, or a committed one read its last write."""
    for each in done:
        each.counts = each.ok
    changed = not ambiguous(done, start)
    while changed:
        changed = False
        for each in done:
            if each.counts or not (each.end == "info" and each.is_known and each.begin >= 0):
                continue
            finals = {(key, writes_of(each, key)[-1]) for f, key, _ in each.asked if f == "w"}
            readers = [other for other in done if other is not each and other.counts]
            if any(finals & set(views(other)) for other in readers):
                each.counts = changed = True
                each.answer = [
                    step for step in each.answer if step[0] == "w" or step[2] is not None
                ]


def before(a: Done, b: Done) -> bool:
    """Whether ``a`` was over before ``b`` was sent."""
    return a.over < b.begin


def started_with(initial: Any) -> Start:
    """The declared first value of a key."""
    if isinstance(initial, dict):
        return lambda key: initial.get(key)
    return lambda key: initial


def writes_of(each: Done, key: str) -> list[Any]:
    """All that a transaction writes to a key, in order."""
    return [value for f, k, value in each.asked if f == "w" and k == key]


def ambiguous(done: list[Done], start: Start) -> bool:
    """Whether some value was written twice by different transactions, or is the first one."""
    seen: dict[tuple[str, Any], int] = {}
    for number, each in enumerate(done):
        for f, key, value in each.asked:
            if f != "w":
                continue
            if value == start(key) and (each.may):
                return True
            if seen.setdefault((key, value), number) != number:
                return True
    return False


def odd_reads(done: list[Done], start: Start) -> set[str]:
    """The kinds of reads that no store can answer so."""
    found: set[str] = set()
    for reader in done:
        if reader.counts:
            own: dict[str, Any] = {}
            mine: set[str] = set()
            for f, key, value in reader.answer:
                if f == "w":
                    mine.add(key)
                elif key in mine:
                    if value != own[key]:
                        found.add(_lacking(done, reader, start, key, value))
                        found |= _source(done, reader, start, key, value, is_later=False)
                else:
                    if key in own and own[key] != value:
                        found.add("internal")
                    found |= _source(done, reader, start, key, value, is_later=True)
                own[key] = value
    return found


def _lacking(done: list[Done], reader: Done, start: Start, key: str, value: Any) -> str:
    others = [each for each in done if each is not reader and value in writes_of(each, key)]
    is_theirs = bool(others) and value != start(key)
    return "own-write-overwritten" if is_theirs else "own-write-unread"


def _source(
    done: list[Done], reader: Done, start: Start, key: str, value: Any, *, is_later: bool
) -> set[str]:
    if value == start(key):
        return set()
    writers = [each for each in done if value in writes_of(each, key)]
    if not writers:
        return {"thin-air"}
    (writer,) = writers
    if writer is reader:
        return {"future-read"} if is_later else set()
    if not writer.may:
        return {"G1a"}
    found = {"G1b"} if writes_of(writer, key)[-1] != value else set()
    return found | ({"G1c-realtime"} if before(reader, writer) else set())


def worlds(done: list[Done]) -> Iterator[list[Done]]:
    """What may have happened: all that was ok, and any of what nobody knows."""
    sure = [each for each in done if each.ok]
    maybe = [each for each in done if each.may and not each.ok]
    for some in chain.from_iterable(combinations(maybe, n) for n in range(len(maybe) + 1)):
        yield [*sure, *some]


def orders(done: list[Done], kept: str) -> Iterator[tuple[Done, ...]]:
    """All orders of all that may have happened, keeping that of ``process`` or ``realtime``."""
    for world in worlds(done):
        for order in permutations(world):
            if all(
                not _must_come_first(b, a, kept)
                for n, a in enumerate(order)
                for b in order[n + 1 :]
            ):
                yield order


def _must_come_first(a: Done, b: Done, kept: str) -> bool:
    if kept == "realtime":
        return before(a, b)
    return kept == "process" and a.ok and a.process == b.process and a.finish < b.finish


def registers_have_an_order(done: list[Done], start: Start, kept: str) -> bool:
    """Whether some serial order explains every read."""
    for order in orders(done, kept):
        state: dict[str, Any] = {}
        if all(_explains_registers(each, state, start) for each in order):
            return True
    return False


def _explains_registers(each: Done, state: dict[str, Any], start: Start) -> bool:
    for f, key, value in each.answer if each.counts else each.asked:
        if f == "w":
            state[key] = value
        elif each.counts and state.get(key, start(key)) != value:
            return False
    return True


def rows_have_an_order(done: list[Done], first: dict[str, Any], kept: str) -> bool:
    """Whether some serial order explains every read of rows."""
    for order in orders(done, kept):
        state = dict(first)
        if all(_explains_rows(each, state) for each in order):
            return True
    return False


def _explains_rows(each: Done, state: dict[str, Any]) -> bool:
    for step in each.answer if each.ok else each.asked:
        if step[0] in ("insert", "w", "delete"):
            state[step[1]] = None if step[0] == "delete" else step[2]
        elif not each.ok:
            continue
        elif step[0] == "r":
            if state.get(step[1]) != step[2]:
                return False
        elif {r: v for r, v in state.items() if holds(step[1], v)} != step[2]:
            return False
    return True


def views(each: Done, start: Start | None = None) -> list[tuple[str, Any]]:
    """Every (key, value) that a transaction read and had not itself left so."""
    found, own = [], {}
    if not each.counts:
        return []
    for f, key, value in each.answer:
        if f == "w":
            own[key] = value
        elif key not in own or own[key] != value:
            found.append((key, value))
    return found


def torn(done: list[Done], start: Start) -> bool:
    """Whether a reader saw one transaction at x and, at y, one that it must have come after."""
    for reader in done:
        for x, a in views(reader, start):
            for y, b in views(reader, start):
                one, other = _final_writer(done, x, a), _final_writer(done, y, b)
                if x == y or one is None or one in (reader, other) or not writes_of(one, y):
                    continue
                if b == start(y):
                    return True
                if other is not None and other is not reader and writes_of(other, x):
                    return True
    return False


def _final_writer(done: list[Done], key: str, value: Any) -> Done | None:
    for each in done:
        if each.may and writes_of(each, key)[-1:] == [value]:
            return each
    return None


def has_a_view(done: list[Done], start: Start) -> bool:
    """Whether each reader alone can have seen the state after whole transactions."""
    for reader in done:
        seen = views(reader, start)
        rest = [each for each in done if each is not reader]
        if seen and not any(_shows(order, seen, start) for order in _prefixes(rest)):
            return False
    return True


def _prefixes(done: list[Done]) -> Iterator[tuple[Done, ...]]:
    able = [each for each in done if each.may]
    for count in range(len(able) + 1):
        yield from permutations(able, count)


def _shows(order: tuple[Done, ...], seen: list[tuple[str, Any]], start: Start) -> bool:
    state: dict[str, Any] = {}
    for each in order:
        state.update({key: value for f, key, value in each.asked if f == "w"})
    return all(state.get(key, start(key)) == value for key, value in seen)


def skew(done: list[Done], start: Start) -> bool:
    """Whether each of two ok transactions overwrote a version that the other had read."""
    sure = [each for each in done if each.counts]
    return any(
        _overwrote(done, a, b, start) and _overwrote(done, b, a, start)
        for a, b in combinations(sure, 2)
    )


def _overwrote(done: list[Done], reader: Done, writer: Done, start: Start) -> bool:
    """Whether ``writer`` certainly overwrote a version that ``reader`` read."""
    for key, value in views(reader, start):
        source = _final_writer(done, key, value)
        if not writes_of(writer, key) or (value != start(key) and source in (None, reader)):
            continue
        if value == start(key) or (source is not writer and _read_first(writer, key, value)):
            return True
    return False


def _read_first(each: Done, key: str, value: Any) -> bool:
    """Whether it read the value before it wrote the key itself."""
    for f, k, v in each.answer:
        if f == "w" and k == key:
            return False
        if (k, v) == (key, value):
            return True
    return False


def fork(done: list[Done], start: Start) -> bool:
    """Whether two reads of the same keys each show a write that the other does not."""
    states = []
    for each in done:
        if not each.ok or any(f == "w" for f, _, _ in each.asked):
            continue
        told = {key: {v for f, k, v in each.answer if k == key} for _, key, _ in each.answer}
        if any(len(values) > 1 for values in told.values()):
            continue
        seen = {key for key, (value,) in told.items() if value != start(key)}
        if all(_final_writer(done, key, next(iter(told[key]))) for key in seen):
            states.append((frozenset(told), seen))
    return any(a == b and one - other and other - one for a, one in states for b, other in states)


def is_convergent(done: list[Done], start: Start) -> bool:
    """Causal convergence of single operations: one order, in which each reads its causes' last."""
    read = {(key, value) for each in done for key, value in views(each, start)}
    nodes = [
        each
        for each in done
        if each.ok
        or (each.may and any(("w", k, v) == tuple(s) for k, v in read for s in each.asked))
    ]
    size = range(len(nodes))
    causes = {
        (a, b)
        for a in size
        for b in size
        if a != b
        and (
            (nodes[a].ok and nodes[a].process == nodes[b].process and _earlier(nodes[a], nodes[b]))
            or any(
                value in writes_of(nodes[a], key) and value != start(key)
                for key, value in views(nodes[b], start)
            )
        )
    }
    while more := {(a, d) for a, b in causes for c, d in causes if b == c} - causes:
        causes |= more
    return any(_explains(nodes, causes, order, start) for order in permutations(size))


def _earlier(a: Done, b: Done) -> bool:
    return a.finish < b.finish


def _explains(
    nodes: list[Done], causes: set[tuple[int, int]], order: tuple[int, ...], start: Start
) -> bool:
    place = {number: at for at, number in enumerate(order)}
    if any(a == b or place[a] > place[b] for a, b in causes):
        return False
    for number, each in enumerate(nodes):
        for key, value in views(each, start):
            seen = [a for a, b in causes if b == number and writes_of(nodes[a], key)]
            last = max(seen, key=place.__getitem__, default=None)
            if value != (start(key) if last is None else writes_of(nodes[last], key)[-1]):
                return False
    return True
