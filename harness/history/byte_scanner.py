"""A scanner compiled by numba: bytes of JSON lines with transactions, straight into columns.

It takes the lines that a run of transactions writes and no others: every operation with all of
``index time process type f value``, a client's value a list of ``["append"|"r"|"w", key, value]``
(or null), keys and values integers or strings without escapes. Whatever else it meets makes it
stop with a code; the caller then reads the file in the ordinary way, which knows all formats and
names what is wrong. So nothing is judged here, and nothing is guessed.

A key or value is its own number where all are small non-negative integers (``PLAIN``); otherwise
each distinct token, as its bytes, gets the next number (``NAMED``).

Cost: 0.4 to 1 GB a second and thread. Only :mod:`harness.history.fast_jsonl` imports this.
"""

from __future__ import annotations

from typing import Any, Final

import numba
import numpy as np

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

_compiled: Any = numba.njit(cache=True, nogil=True)


@_compiled
def blank(b, i):  # type: ignore[no-untyped-def]
    """The next place that is no blank."""
    while b[i] == 32 or b[i] == 9 or b[i] == 13:
        i += 1
    return i


@_compiled
def number(b, i):  # type: ignore[no-untyped-def]
    """A non-negative integer at ``i`` and the place after it; the place is -1 if there is none."""
    start = i
    x = np.int64(0)
    while 48 <= b[i] <= 57:
        x = x * 10 + (b[i] - 48)
        i += 1
    if i == start or i - start > 18 or (b[start] == 48 and i - start > 1):
        return x, -1
    if b[i] == 46 or b[i] == 101 or b[i] == 69:
        return x, -1
    return x, i


@_compiled
def text(b, i):  # type: ignore[no-untyped-def]
    """The place after the string that starts at ``i``; -1 with an escape or a line end in it."""
    i += 1
    while b[i] != 34:
        if b[i] == 92 or b[i] < 32:
            return -1
        i += 1
    return i + 1


@_compiled
def anything(b, i):  # type: ignore[no-untyped-def]
    """The place of the comma or brace after the value at ``i``; -1 if the line ends before."""
    depth = 0
    quoted = False
    while True:
        c = b[i]
        if c < 32 and c != 9:
            return -1
        if quoted:
            if c == 92:
                i += 1
            elif c == 34:
                quoted = False
        elif c == 34:
            quoted = True
        elif c == 91 or c == 123:
            depth += 1
        elif c == 93 or c == 125:
            if depth == 0:
                return i
            depth -= 1
        elif c == 44 and depth == 0:
            return i
        i += 1


@_compiled
def named(b, start, end, slots, starts, pool, used):  # type: ignore[no-untyped-def]
    """The number of the token ``b[start:end]``; -1 if the table has no room for a new one."""
    h = np.uint64(1469598103934665603)
    for j in range(start, end):
        h = (h ^ np.uint64(b[j])) * np.uint64(1099511628211)
    mask = len(slots) - 1
    at = np.int64((h ^ (h >> np.uint64(29))) & np.uint64(mask))
    while slots[at] >= 0:
        token = slots[at]
        first = starts[token]
        if starts[token + 1] - first == end - start:
            j = 0
            while j < end - start and pool[first + j] == b[start + j]:
                j += 1
            if j == end - start:
                return token
        at = (at + 1) & mask
    token = used[0]
    if 2 * (token + 2) > len(slots) or starts[token] + end - start > len(pool):
        return -1
    for j in range(end - start):
        pool[starts[token] + j] = b[start + j]
    starts[token + 1] = starts[token] + end - start
    slots[at] = token
    used[0] = token + 1
    return token


@_compiled
def scalar(b, i, mode, slots, starts, pool, used):  # type: ignore[no-untyped-def]
    """A key or value at ``i``: its number, the place after it, and a code."""
    if mode == 0:
        x, after = number(b, i)
        if after < 0 or x > 2147483646:
            return np.int64(0), i, 2
        return x, after, 0
    if b[i] == 34:
        after = text(b, i)
    else:
        digits = i + 1 if b[i] == 45 else i
        x, after = number(b, digits)
        if digits > i and x == 0:
            return np.int64(0), i, 1
    if after < 0:
        return np.int64(0), i, 1
    token = named(b, i, after, slots, starts, pool, used)
    return np.int64(token), after, 4 if token < 0 else 0


@_compiled
def transaction(  # type: ignore[no-untyped-def]
    b, i, record, progress, micro, elements, modes, key_table, value_table
):
    """The list of micro-operations at ``i``; gives the place after it, or -1 with a code."""
    txn, mf, mk, mv, ls, le = micro
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
        slots, starts, pool, used = key_table
        key, i, code = scalar(b, i, modes[0], slots, starts, pool, used)
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
        slots, starts, pool, used = value_table
        if b[i] == 91:
            ls[m] = e
            i = blank(b, i + 1)
            if b[i] == 93:
                i += 1
            elif modes[1] == 0:
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
                    x, i, code = scalar(b, i, modes[1], slots, starts, pool, used)
                    if code:
                        return -1, 3 if code == 2 else code
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
            x, i, code = scalar(b, i, modes[1], slots, starts, pool, used)
            if code:
                return -1, 3 if code == 2 else code
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


@_compiled
def scan(  # type: ignore[no-untyped-def]
    b, end, base, progress, rows, micro, elements, modes, f_table, key_table, value_table
):
    """Scan whole lines of ``b[progress[POSITION]:end]``; ``base`` is where in the file ``b`` is.

    ``progress`` counts on from call to call and stays at the start of a line that it stops at.
    """
    at, index, time, kind, process, f, told = rows
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
            if b[i] != 34:
                code = 1
                break
            start = i + 1
            i = text(b, i)
            if i < 0:
                code = 1
                break
            length = i - 1 - start
            i = blank(b, i)
            if b[i] != 58:
                code = 1
                break
            i = blank(b, i + 1)
            c = b[start]
            field = 0
            if c == 116 and length == 4 and b[start + 1] == 105:
                field = 1
                time[n], i = number(b, i)
            elif c == 105 and length == 5 and b[start + 1] == 110 and b[start + 2] == 100:
                field = 2
                index[n], i = number(b, i)
            elif c == 112 and length == 7 and b[start + 1] == 114:
                field = 4
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
            elif c == 116 and length == 4 and b[start + 1] == 121:
                field = 8
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
            elif c == 102 and length == 1:
                field = 16
                slots, starts, pool, used = f_table
                after = text(b, i) if b[i] == 34 else -1
                if after >= 0:
                    f[n] = named(b, i, after, slots, starts, pool, used)
                    if f[n] < 0:
                        after = -1
                i = after
            elif c == 118 and length == 5 and b[start + 1] == 97:
                field = 32
                told[n] = 0
                if b[i] == 110:
                    i = anything(b, i)
                elif b[i] == 91 and b[i + 1] == 91:
                    place = i
                    i, code = transaction(
                        b, i, n, progress, micro, elements, modes, key_table, value_table
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
            if i < 0 or seen & field:
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
            if seen != 63 or (i < end and b[i] != 10) or (is_odd and process[n] >= 0):
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


@_compiled
def pair(index, kind, process, f, partner, width):  # type: ignore[no-untyped-def]
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
