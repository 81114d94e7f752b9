"""The words of JSON in bytes, compiled by numba: blanks, numbers, strings, and their names.

Part of :mod:`harness.history.compiled.byte_scanner`. Every function takes the bytes ``b`` and a
place
``i`` in them, and trusts that enough bytes that are no JSON follow the end.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from harness.history.compiling import compiled


@compiled
def blank(b: Any, i: int) -> int:
    """The next place that is no blank."""
    while b[i] <= 32 and (b[i] == 32 or b[i] == 9 or b[i] == 13):
        i += 1
    return i


@compiled
def number(b: Any, i: int) -> tuple[Any, int]:
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


@compiled
def text(b: Any, i: int) -> int:
    """The place after the string that starts at ``i``; -1 with an escape or a line end in it."""
    i += 1
    while b[i] != 34:
        if b[i] == 92 or b[i] < 32:
            return -1
        i += 1
    return i + 1


@compiled
def anything(b: Any, i: int) -> int:
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


@compiled
def named(b: Any, start: int, end: int, slots: Any, starts: Any, pool: Any, used: Any) -> Any:
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


@compiled
def scalar(b: Any, i: int, slots: Any, starts: Any, pool: Any, used: Any) -> tuple[Any, Any, Any]:
    """A named key or value at ``i``: its number, the place after it, and a code."""
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
