"""The words of EDN in bytes, compiled by numba: blanks, keywords, numbers, whole forms.

Part of :mod:`harness.history.compiled.edn_scanner`. Every function takes the bytes ``b`` and a
place ``i`` in them, and trusts that enough zeros follow the end.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from harness.history.compiled.byte_tokens import named, text
from harness.history.compiling import compiled

_ENDS: Final = b'\0\t\n\r ,()[]{}"'
_KINDS: Final = np.array(
    [1 if c in _ENDS else 0 if 32 < c < 127 and c not in b";\\" else 2 for c in range(256)],
    dtype=np.int8,
)
"""Of each byte: 0 it may stand in a word, 1 it ends one, 2 neither (or only seldom)."""


@compiled
def blank(b: Any, i: int) -> int:
    """The next place that is neither a blank nor a comma."""
    while b[i] <= 44 and (b[i] == 32 or b[i] == 44 or b[i] == 9 or b[i] == 13):
        i += 1
    return i


@compiled
def ends(c: int) -> Any:
    """Whether ``c`` ends a word: blanks, line ends, brackets, double quotes."""
    return _KINDS[c] == 1


@compiled
def keyword(b: Any, i: int) -> int:
    """The place after the keyword whose colon is at ``i``; -1 if it is not a plain one."""
    start = i + 1
    i = start
    while _KINDS[b[i]] == 0:
        i += 1
    return i if i > start and _KINDS[b[i]] == 1 else -1


@compiled
def number(b: Any, i: int) -> tuple[Any, int]:
    """A non-negative integer at ``i`` and the place after it; the place is -1 if there is none."""
    start = i
    x = np.int64(0)
    while 48 <= b[i] <= 57:
        x = x * 10 + (b[i] - 48)
        i += 1
    if i == start or i - start > 18 or (b[start] == 48 and i - start > 1) or not ends(b[i]):
        return x, -1
    return x, i


@compiled
def is_nil(b: Any, i: int) -> Any:
    """Whether the word at ``i`` is nil."""
    return b[i] == 110 and b[i + 1] == 105 and b[i + 2] == 108 and ends(b[i + 3])


@compiled
def tag(b: Any, i: int) -> int:
    """The place of the form behind the tag whose # is at ``i``; -1 if it is no plain tag."""
    c = b[i + 1] | 32
    if c < 97 or c > 122:
        return -1
    i = keyword(b, i)
    return i if i < 0 else blank(b, i)


@compiled
def scalar(b: Any, i: int, slots: Any, starts: Any, pool: Any, used: Any) -> tuple[Any, Any, Any]:
    """A named key or value at ``i``: its number, the place after it, and a code."""
    if b[i] == 58:
        after = keyword(b, i)
    elif b[i] == 34:
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


@compiled
def plain_form(b: Any, i: int) -> int:
    """The place after the keyword, integer, ASCII string or nil at ``i``; -1 for all else."""
    c = b[i]
    if c == 58:
        return keyword(b, i)
    if 48 <= c <= 57:
        return number(b, i)[1]
    if c == 34:
        after = text(b, i)
        for j in range(i, after):
            if b[j] > 126:
                return -1
        return after
    return i + 3 if is_nil(b, i) else -1


@compiled
def _string_end(b: Any, i: int) -> int:
    while b[i] != 34:
        if b[i] == 92:
            i += 1
        if b[i] == 10 or b[i] == 0:
            return -1
        i += 1
    return i + 1


@compiled
def any_form(b: Any, i: int) -> int:
    """Where the form at ``i`` probably ends, for somebody who looks again; -1 if not in this line.

    Brackets are counted and not told from one another.
    """
    depth = 0
    while True:
        c = b[i]
        is_whole = True
        if c == 10 or c == 0 or c == 59:
            return -1
        if c == 34:
            i = _string_end(b, i + 1)
            if i < 0:
                return -1
        elif c == 91 or c == 123 or c == 40:
            depth += 1
            i += 1
            is_whole = False
        elif c == 93 or c == 125 or c == 41:
            depth -= 1
            i += 1
            if depth < 0:
                return -1
        elif c == 35:
            i += 1
            is_whole = False
            while not ends(b[i]):
                i += 1
        elif c == 92:
            if b[i + 1] < 33:
                return -1
            i += 2
        elif c == 32 or c == 44 or c == 9 or c == 13:
            i += 1
            is_whole = False
        else:
            while not ends(b[i]) and b[i] != 92 and b[i] != 59:
                i += 1
        if is_whole and depth == 0:
            return i
