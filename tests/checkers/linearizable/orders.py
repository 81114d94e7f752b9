"""For the tests of linearizability: a small notation, generators, and a slow obvious oracle."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from random import Random

from checkers.linearizable.register_entries import INITIAL, NEVER, NOTHING, Entry
from checkers.linearizable.zones import START


def has_order(entries: Sequence[Entry], start: int = INITIAL) -> bool:
    """Try every order, one operation after the other: the definition, spelled out."""
    return _search(tuple(entries), start)


def _search(left: tuple[Entry, ...], value: int) -> bool:
    if all(entry.complete == NEVER for entry in left):
        return True
    bound = min(entry.complete for entry in left)
    for entry in left:
        if entry.invoke < bound and entry.seen in (NOTHING, value):
            rest = tuple(other for other in left if other is not entry)
            if _search(rest, value if entry.made == NOTHING else entry.made):
                return True
    return False


def random_entries(
    random: Random, *, size: int, processes: int, values: int, unknown: float, cas: float
) -> list[Entry]:
    """Any history at all: answers are drawn blindly, so most have no order."""
    open_calls: list[tuple[int, int, int]] = []
    entries: list[Entry] = []
    position = begun = 0
    while begun < size or open_calls:
        if (
            begun < size
            and len(open_calls) < processes
            and (not open_calls or random.random() < 0.5)
        ):
            seen, made = _draw(random, values, cas)
            open_calls.append((position, seen, made))
            begun += 1
        else:
            at, seen, made = open_calls.pop(random.randrange(len(open_calls)))
            lost = random.random() < unknown
            entries.append(Entry(at, at, NEVER if lost else position, seen, made))
        position += 1
    return entries


def _draw(random: Random, values: int, cas: float) -> tuple[int, int]:
    chance = random.random()
    if chance < 0.45:
        return random.randrange(values), NOTHING
    if chance < 0.45 + cas:
        return random.randrange(values), random.randrange(values)
    return NOTHING, random.randrange(values)


def ordered_entries(
    random: Random, *, size: int, processes: int, values: int, unknown: float, cas: float
) -> list[Entry]:
    """A history with an order by construction: each operation acts once inside its interval.

    ``values`` of 0 makes every value once. Unknown ones act somewhen after their invocation,
    or never.
    """
    held, position, begun, fresh = INITIAL, 0, 0, 1
    busy: list[list[int]] = []
    unsettled: list[list[int]] = []
    entries: list[Entry] = []
    while begun < size or busy:
        chance = random.random()
        if begun < size and len(busy) < processes and (not busy or chance < 0.4):
            kind = 0 if random.random() < 0.45 else (2 if random.random() < cas else 1)
            made = random.randrange(values) if values else fresh
            fresh += kind != 0
            busy.append([position, kind, NOTHING, NOTHING if kind == 0 else made, 0])
            begun += 1
            position += 1
            continue
        waiting = [call for call in busy + unsettled if not call[4]]
        if waiting and chance < 0.75:
            call = random.choice(waiting)
            call[4] = 1
            if call[1] != 1:
                call[2] = held
            if call[1] != 0:
                held = call[3]
            continue
        if not busy:
            continue
        call = random.choice(busy)
        if random.random() < unknown:
            busy.remove(call)
            unsettled.append(call)
        elif call[4]:
            busy.remove(call)
            entries.append(Entry(call[0], call[0], position, call[2], call[3]))
            position += 1
    for call in unsettled:
        if call[1] == 2 and not call[4]:
            call[2] = random.randrange(max(fresh, values))
        if call[1] != 0:
            entries.append(Entry(call[0], call[0], NEVER, call[2], call[3]))
    return sorted(entries, key=lambda entry: entry.at)


def with_one_read_changed(random: Random, entries: Sequence[Entry]) -> list[Entry]:
    """``entries`` with one read answered by another value that occurs (or by a new one)."""
    reads = [entry for entry in entries if entry.is_read]
    values = {INITIAL, *(entry.made for entry in entries if entry.made != NOTHING)}
    if not reads:
        return list(entries)
    victim = random.choice(reads)
    other = random.choice(sorted((values | {max(values) + 1}) - {victim.seen}))
    return [replace(entry, seen=other) if entry is victim else entry for entry in entries]


def sources_added(cast: Sequence[Entry], whole: Sequence[Entry], end: int) -> list[Entry]:
    """``cast`` as a proof means it: the lowest value shown of a chain may come from nowhere.

    A compare-and-set whose old value somebody of ``whole``, but nobody of ``cast``, began to make
    before the position ``end`` becomes a write, which allows more orders, never fewer.
    """
    shown = {entry.made for entry in cast} | {START.made}
    makers = [entry for entry in whole if entry.invoke < end and entry.seen != entry.made]
    known = {entry.made for entry in makers} - shown
    return [
        replace(entry, seen=NOTHING) if not entry.is_read and entry.seen in known else entry
        for entry in cast
    ]
