"""Seeded histories of one register, as columns, for the benchmarks: valid by construction.

Each operation acts once inside its interval. ``mixed`` draws values from a few (40 % reads, 30 %
writes, 30 % compare-and-sets; those that fail are answered ``fail``), ``unique`` writes every value
once (half reads). Chosen changes are never answered (infos).
"""

from __future__ import annotations

from random import Random
from typing import Any

import numpy as np

from harness.history.columns import INTEGER, INTERNED, NIL, Columns, MicroColumns
from harness.history.operation import TYPES

READ, WRITE, CAS = range(3)
INVOKE, OK, FAIL, INFO = range(4)
assert TYPES == ("invoke", "ok", "fail", "info")


def mixed(
    operations: int, clients: int, *, infos: int = 0, values: int = 5, seed: int = 7
) -> list[tuple[int, int, int, Any]]:
    """Records (process, type, f, value) of a register that holds one of a few values."""
    random = Random(seed)
    lost = set(random.sample(range(operations), infos * 6)) if infos else set()
    left_infos, held, begun, next_process = infos, 0, 0, clients
    idle = list(range(clients))
    waiting: list[tuple[int, int, Any]] = []
    acted: list[tuple[int, int, int, Any]] = []
    records: list[tuple[int, int, int, Any]] = [(0, INVOKE, WRITE, 0), (0, OK, WRITE, 0)]
    while begun < operations or waiting or acted:
        if begun < operations and idle and (not (waiting or acted) or random.random() < 0.6):
            process = idle.pop(random.randrange(len(idle)))
            f = random.choices((READ, WRITE, CAS), (4, 3, 3))[0]
            value = None if f == READ else random.randrange(values)
            if f == CAS:
                value = (random.randrange(values), value)
            records.append((process, INVOKE, f, value))
            waiting.append((process, f, value))
            begun += 1
        elif waiting and (not acted or random.random() < 0.5):
            process, f, value = waiting.pop(random.randrange(len(waiting)))
            kind = OK if f != CAS or value[0] == held else FAIL
            if kind == OK and f != READ and left_infos and begun in lost:
                left_infos -= 1
                kind = INFO
            if kind != FAIL and f != READ:
                held = value[1] if f == CAS else value
            acted.append((process, kind, f, held if f == READ else value))
        else:
            process, kind, f, value = acted.pop(random.randrange(len(acted)))
            if kind == INFO:
                process, next_process = next_process, next_process + 1
            else:
                records.append((process, kind, f, value))
            idle.append(process)
    return records


def spoiled(records: list[tuple[int, int, int, Any]], value: int) -> None:
    """Let a read at 90 % answer ``value``, which nobody wrote (or wrote elsewhere)."""
    reads = [n for n, record in enumerate(records) if record[1:3] == (OK, READ)]
    chosen = reads[len(reads) * 9 // 10]
    records[chosen] = (*records[chosen][:3], value)


def as_columns(records: list[tuple[int, int, int, Any]]) -> Columns:
    """The records as a history's columns."""
    pairs, open_at = [-1] * len(records), {}
    for place, (process, kind, _, _) in enumerate(records):
        if kind == INVOKE:
            open_at[process] = place
        else:
            begun = open_at.pop(process)
            pairs[begun], pairs[place] = place, begun
    lists = sorted({value for *_, value in records if isinstance(value, tuple)})
    place_of = {value: place for place, value in enumerate(lists)}
    kinds = [
        NIL if value is None else INTERNED if isinstance(value, tuple) else INTEGER
        for *_, value in records
    ]
    numbers = [
        0 if value is None else place_of[value] if isinstance(value, tuple) else value
        for *_, value in records
    ]
    return _columns(
        np.array([record[1] for record in records], np.int8),
        np.array([record[0] for record in records], np.int32),
        np.array([record[2] for record in records], np.int16),
        np.array(pairs, np.int32),
        np.array(kinds, np.int8),
        np.array(numbers, np.int64),
        tuple(list(value) for value in lists),
    )


def unique(operations: int, clients: int = 10, *, infos: float = 0.0, seed: int = 7) -> Columns:
    """A register that is written every value once; a share of writes is never answered."""
    random = np.random.default_rng(seed)
    each = operations // clients
    total = each * clients
    length = random.random((clients, each)) + 0.05
    begin = np.cumsum(0.3 * random.random((clients, each)), 1)
    begin[:, 1:] += np.cumsum(length, 1)[:, :-1]
    acts = (begin + length * random.random((clients, each))).ravel()
    begin, end = begin.ravel(), (begin + length).ravel()
    writes = random.random(total) < 0.5
    is_lost = writes & (random.random(total) < infos)
    value = np.empty(total, np.int64)
    order = np.argsort(acts)
    value[order] = np.cumsum(writes[order])
    place = np.empty(2 * total, np.int64)
    place[np.argsort(np.concatenate([begin, end]), kind="stable")] = np.arange(2 * total)
    pair = np.empty(2 * total, np.int32)
    pair[place] = np.concatenate([place[total:], place[:total]])
    who = np.empty(2 * total, np.int64)
    who[place] = np.tile(np.arange(total), 2)
    kind = np.empty(2 * total, np.int8)
    kind[place] = np.concatenate([np.full(total, INVOKE), np.where(is_lost, INFO, OK)])
    lost_so_far = np.cumsum(is_lost.reshape(clients, each), 1) - is_lost.reshape(clients, each)
    process = np.repeat(np.arange(clients), each) + clients * lost_so_far.ravel()
    has_value = (writes[who] | (kind == OK)) & (value[who] > 0)
    return _columns(
        kind,
        process[who].astype(np.int32),
        np.where(writes, WRITE, READ)[who].astype(np.int16),
        pair,
        np.where(has_value, INTEGER, NIL).astype(np.int8),
        np.where(has_value, value[who], 0),
        (),
    )


def _columns(
    kind: Any, process: Any, f: Any, pair: Any, value_kind: Any, value: Any, values: Any
) -> Columns:
    count = len(kind)
    none = {name: np.zeros(0, np.int32) for name in ("txn", "key", "elements")}
    micro = MicroColumns(
        **none,
        f=np.zeros(0, np.int8),
        value=np.zeros(0, np.int64),
        list_start=np.zeros(0, np.int64),
        list_end=np.zeros(0, np.int64),
        f_names=(),
        keys=(),
    )
    return Columns(
        index=np.arange(count),
        time=np.arange(count) * 1000,
        type=kind,
        process=process,
        f=f,
        pair=pair,
        key=np.full(count, -1, np.int32),
        value_kind=value_kind,
        value=value,
        f_names=("read", "write", "cas"),
        keys=(),
        values=values,
        micro=micro,
    )
