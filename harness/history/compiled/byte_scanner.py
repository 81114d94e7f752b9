"""A scanner compiled by numba: bytes of JSON lines with transactions, straight into columns.

It takes the lines that a run of transactions writes and no others: every operation with all of
``index time process type f value``, a client's value a list of ``["append"|"r"|"w", key, value]``
(or null), keys and values integers or strings without escapes. Whatever else it meets makes it
stop with a code; the caller then reads the file in the ordinary way, which knows all formats and
names what is wrong. So nothing is judged here, and nothing is guessed.

A key or value is its own number where all are small non-negative integers (``PLAIN``); otherwise
each distinct token, as its bytes, gets the next number (``NAMED``).

Cost: 0.4 to 1 GB a second and thread. Only :mod:`harness.history.compiled.fast_jsonl` imports this.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from harness.history.compiled.byte_tokens import anything, blank, named, number, scalar, text
from harness.history.compiling import compiled

DONE: Final = 0
ODD: Final = 1
KEY_TOKEN: Final = 2
VALUE_TOKEN: Final = 3
FULL: Final = 4
"""Why a scan stopped: at the end; at something unusual; at a key or a value that is no small
integer though plain ones were asked for; a table of tokens is full."""

PLAIN: Final = 0
NAMED: Final = 1

POSITION: Final = 0
RECORDS: Final = 1
MICROS: Final = 2
ELEMENTS: Final = 3
CODE: Final = 4
"""Places in ``progress``."""

LARGEST_PLAIN: Final = (1 << 31) - 2
MICRO_NAMES: Final = ("r", "append", "w")


@compiled
def transaction(
    b: Any,
    i: int,
    record: Any,
    progress: Any,
    txn: Any,
    mf: Any,
    mk: Any,
    mv: Any,
    ls: Any,
    le: Any,
    elements: Any,
    key_mode: Any,
    value_mode: Any,
    key_slots: Any,
    key_starts: Any,
    key_pool: Any,
    key_used: Any,
    value_slots: Any,
    value_starts: Any,
    value_pool: Any,
    value_used: Any,
) -> tuple[Any, Any]:
    """The list of micro-operations at ``i``; gives the place after it, or -1 with a code.

    Arrays come one by one: taking them out of a tuple would count references at each record.
    """
    m = progress[2]
    e = progress[3]
    i = blank(b, i + 1)
    while True:
        if b[i] != 91 or b[i + 1] != 34:
            return -1, 1
        if b[i + 2] == 114 and b[i + 3] == 34:
            f = 0
            i += 4
        elif b[i + 2] == 119 and b[i + 3] == 34:
            f = 2
            i += 4
        elif (
            b[i + 2] == 97
            and b[i + 3] == 112
            and b[i + 4] == 112
            and b[i + 5] == 101
            and b[i + 6] == 110
            and b[i + 7] == 100
            and b[i + 8] == 34
        ):
            f = 1
            i += 9
        else:
            return -1, 1
        i = blank(b, i)
        if b[i] != 44:
            return -1, 1
        i = blank(b, i + 1)
        if key_mode == 0:
            key, i = number(b, i)
            if i < 0 or key > 2147483646:
                return -1, 2
        else:
            key, i, code = scalar(b, i, key_slots, key_starts, key_pool, key_used)
            if code:
                return -1, code
        i = blank(b, i)
        if b[i] != 44:
            return -1, 1
        i = blank(b, i + 1)
        txn[m] = record
        mf[m] = f
        mk[m] = key
        mv[m] = -1
        ls[m] = -1
        le[m] = -1
        if b[i] == 91:
            ls[m] = e
            i = blank(b, i + 1)
            if b[i] == 93:
                i += 1
            elif value_mode == 0:
                while True:  # nearly all of a file is here
                    start = i
                    x = np.int64(0)
                    c = b[i]
                    while 48 <= c <= 57:
                        x = x * 10 + (c - 48)
                        i += 1
                        c = b[i]
                    if i == start or i - start > 10 or x > 2147483646 or c == 46:
                        return -1, 3
                    if b[start] == 48 and i - start > 1:
                        return -1, 1
                    elements[e] = x
                    e += 1
                    if c != 44 and c != 93:
                        i = blank(b, i)
                        c = b[i]
                    i += 1
                    if c == 93:
                        break
                    if c != 44:
                        return -1, 1
                    if b[i] == 32:
                        i = blank(b, i)
            else:
                while True:
                    x, i, code = scalar(b, i, value_slots, value_starts, value_pool, value_used)
                    if code:
                        return -1, code
                    elements[e] = x
                    e += 1
                    i = blank(b, i)
                    if b[i] == 93:
                        i += 1
                        break
                    if b[i] != 44:
                        return -1, 1
                    i = blank(b, i + 1)
            le[m] = e
        elif b[i] == 110 and b[i + 1] == 117 and b[i + 2] == 108 and b[i + 3] == 108:
            i += 4
        else:
            if value_mode == 0:
                x, i = number(b, i)
                code = 3 if i < 0 or x > 2147483646 else 0
            else:
                x, i, code = scalar(b, i, value_slots, value_starts, value_pool, value_used)
            if code:
                return -1, code
            mv[m] = x
        m += 1
        i = blank(b, i)
        if b[i] != 93:
            return -1, 1
        i = blank(b, i + 1)
        if b[i] == 93:
            break
        if b[i] != 44:
            return -1, 1
        i = blank(b, i + 1)
    progress[2] = m
    progress[3] = e
    return i + 1, 0


@compiled
def field_at(b: Any, i: int) -> tuple[Any, Any]:
    """Which key stands at ``i`` with its colon behind it, as a bit, and the place of its value.

    64 is a key that nobody asked for, -1 none at all.
    """
    c = b[i + 1]
    if b[i] != 34:
        return -1, i
    if c == 105 and b[i + 2] == 110 and b[i + 3] == 100 and b[i + 4] == 101:
        field, length = 2, 5
        known = b[i + 5] == 120
    elif c == 116 and b[i + 2] == 105 and b[i + 3] == 109:
        field, length = 1, 4
        known = b[i + 4] == 101
    elif c == 112 and b[i + 2] == 114 and b[i + 3] == 111 and b[i + 4] == 99 and b[i + 5] == 101:
        field, length = 4, 7
        known = b[i + 6] == 115 and b[i + 7] == 115
    elif c == 116 and b[i + 2] == 121 and b[i + 3] == 112:
        field, length = 8, 4
        known = b[i + 4] == 101
    elif c == 102:
        field, length = 16, 1
        known = True
    elif c == 118 and b[i + 2] == 97 and b[i + 3] == 108 and b[i + 4] == 117:
        field, length = 32, 5
        known = b[i + 5] == 101
    else:
        field, length = 64, 0
        known = False
    if known and b[i + length + 1] == 34:
        i += length + 2
    else:
        field = 64
        i = text(b, i)
        if i < 0:
            return -1, i
    if b[i] != 58:
        i = blank(b, i)
        if b[i] != 58:
            return -1, i
    i += 1
    return field, i if b[i] > 32 else blank(b, i)


@compiled
def scan(
    b: Any,
    end: int,
    base: int,
    progress: Any,
    rows: Any,
    micro: Any,
    elements: Any,
    modes: Any,
    f_table: Any,
    key_table: Any,
    value_table: Any,
) -> None:
    """Scan whole lines of ``b[progress[POSITION]:end]``; ``base`` is where in the file ``b`` is.

    ``progress`` counts on from call to call and stays at the start of a line that it stops at.
    """
    at, index, time, kind, process, f, told = rows
    txn, mf, mk, mv, ls, le = micro
    f_slots, f_starts, f_pool, f_used = f_table
    key_slots, key_starts, key_pool, key_used = key_table
    value_slots, value_starts, value_pool, value_used = value_table
    key_mode, value_mode = modes
    i = progress[0]
    while i < end:
        line = i
        i = blank(b, i)
        if b[i] == 10:
            i += 1
            progress[0] = i
            continue
        n = progress[1]
        m0 = progress[2]
        e0 = progress[3]
        seen = 0
        is_odd = False
        code = 0 if b[i] == 123 else 1
        i = blank(b, i + 1)
        while code == 0:
            field, i = field_at(b, i)
            if field < 0:
                code = 1
                break
            if field == 1:
                time[n], i = number(b, i)
            elif field == 2:
                index[n], i = number(b, i)
            elif field == 4:
                if b[i] == 34:
                    process[n] = -1
                    after = text(b, i)
                    if after - i != 9 or b[i + 1] != 110 or b[i + 7] != 115:
                        after = -1
                    i = after
                else:
                    x, i = number(b, i)
                    if x > 2147483646:
                        i = -1
                    process[n] = x
            elif field == 8:
                d = b[i + 1]
                after = text(b, i) if b[i] == 34 else -1
                size = after - i - 2
                if d == 105 and size == 6 and b[i + 3] == 118:
                    kind[n] = 0
                elif d == 111 and size == 2:
                    kind[n] = 1
                elif d == 102 and size == 4 and b[i + 2] == 97:
                    kind[n] = 2
                elif d == 105 and size == 4 and b[i + 3] == 102:
                    kind[n] = 3
                else:
                    after = -1
                i = after
            elif field == 16:
                after = text(b, i) if b[i] == 34 else -1
                if after >= 0:
                    f[n] = named(b, i, after, f_slots, f_starts, f_pool, f_used)
                    if f[n] < 0:
                        after = -1
                i = after
            elif field == 32:
                told[n] = 0
                if b[i] == 110:
                    i = anything(b, i)
                elif b[i] == 91 and b[i + 1] == 91:
                    place = i
                    i, code = transaction(
                        b,
                        i,
                        n,
                        progress,
                        txn,
                        mf,
                        mk,
                        mv,
                        ls,
                        le,
                        elements,
                        key_mode,
                        value_mode,
                        key_slots,
                        key_starts,
                        key_pool,
                        key_used,
                        value_slots,
                        value_starts,
                        value_pool,
                        value_used,
                    )
                    told[n] = 3
                    if code == 1:
                        is_odd = True
                        i = anything(b, place)
                        code = 0
                else:
                    is_odd = True
                    i = anything(b, i)
            else:
                i = anything(b, i)
            if code:
                break
            if i < 0 or (seen & field and field < 64):
                code = 1
                break
            seen |= field
            i = blank(b, i)
            if b[i] == 125:
                break
            if b[i] != 44:
                code = 1
                break
            i = blank(b, i + 1)
        if code == 0:
            i = blank(b, i + 1)
            if seen & 63 != 63 or (i < end and b[i] != 10) or (is_odd and process[n] >= 0):
                code = 1
        if code:
            progress[0] = line
            progress[2] = m0
            progress[3] = e0
            progress[4] = code
            return
        if process[n] < 0:
            progress[2] = m0
            progress[3] = e0
            told[n] = 0
        at[n] = base + line
        progress[1] = n + 1
        i += 1
        progress[0] = i
    progress[4] = 0


@compiled
def pair(index: Any, kind: Any, process: Any, f: Any, partner: Any, width: int) -> int:
    """Fill in ``partner``; -1 if the records keep the rules of a history, else one that does not.

    Client processes only; those of the nemesis are left at -1.
    """
    opened = np.full(width, -1, np.int32)
    last = np.int64(-1)
    for i in range(len(kind)):
        partner[i] = -1
        if index[i] <= last:
            return i
        last = index[i]
        p = process[i]
        if p < 0:
            continue
        if kind[i] == 0:
            if opened[p] >= 0:
                return i
            opened[p] = i
            continue
        j = opened[p]
        if j < 0 or f[j] != f[i]:
            return i
        partner[i] = j
        partner[j] = i
        opened[p] = -1
    return -1
