"""EDN lines into JSON lines, byte by byte, compiled by numba.

Most of an EDN history is keywords, integers, vectors and nil; those differ from JSON only in
punctuation. This translates a file of such operations in one pass and gives up (``ODD``) at
anything else: maps within an operation, sets, tags, ratios, floats, characters, comments, keys
that come twice, numbers of more than 18 digits, odd escapes, lists of which only some are
micro-operations, conditions (``rp``). A keyword within a value is tagged (``{"#edn":":x"}``), but
for the name of a micro-operation. The ordinary reader then reads the whole file, so nothing is
judged here and no error is told from here.

Only :mod:`harness.history.formats.edn` imports this, and only for large files: importing numba
takes longer than reading a small one. Cost: 11 ns a byte, measured on a busy machine.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from harness.history.compiling import compiled
from harness.history.operation import MICRO_OPERATIONS

_DEPTH: Final = 64
_KEYS: Final = 32
ODD: Final = -1
LONGER: Final = 5
"""A tagged keyword is at most so many times longer than it was, with what must stand beside it."""
_TAG: Final = np.frombuffer(b'{"#edn":"', np.uint8)
_MICRO: Final = np.frombuffer(
    b"".join(name.encode().ljust(8, b"\0") for name in sorted(MICRO_OPERATIONS)), np.uint8
).reshape(-1, 8)
"""The names of micro-operations, each in a row."""


@compiled
def _is_blank(c: int) -> bool:
    return c == 32 or c == 44 or c == 10 or c == 13 or c == 9


@compiled
def _ends_a_token(c: int) -> bool:
    """Blanks, brackets and the double quote."""
    if _is_blank(c) or c == 34:
        return True
    return c == 91 or c == 93 or c == 40 or c == 41 or c == 123 or c == 125


@compiled
def _keyword_end(source: Any, i: int) -> int:
    """Where the keyword whose first letter is at ``i`` ends; ``ODD`` if it is not a plain one."""
    start = i
    while i < source.size and not _ends_a_token(source[i]):
        c = source[i]
        if c < 33 or c > 126 or c == 59 or c == 92:  # control, not ASCII, ; and \
            return ODD
        i += 1
    return i if i > start else ODD


@compiled
def _string_end(source: Any, i: int) -> int:
    """Where the string whose first letter is at ``i`` has its closing quote, or ``ODD``."""
    while i < source.size:
        c = source[i]
        if c == 34:
            return i
        if c < 32:
            return ODD
        if c == 92:
            i += 1
            if i >= source.size:
                return ODD
            c = source[i]
            plain = c == 34 or c == 92 or c == 110 or c == 116 or c == 114 or c == 98 or c == 102
            if not plain:
                return ODD
        i += 1
    return ODD


@compiled
def _integer_end(source: Any, i: int) -> int:
    """Where the integer that starts at ``i`` ends; ``ODD`` if JSON writes it otherwise."""
    is_negative = source[i] == 45
    start = i + 1 if is_negative else i
    i = start
    while i < source.size and 48 <= source[i] <= 57:
        i += 1
    digits = i - start
    if digits == 0 or digits > 18 or (i < source.size and not _ends_a_token(source[i])):
        return ODD
    if source[start] == 48 and (digits > 1 or is_negative):
        return ODD
    return i


@compiled
def _word(source: Any, i: int) -> int:
    """How long the word at ``i`` is: 3 for nil, 4 for true, 5 for false, or ``ODD``."""
    left = source.size - i
    length = ODD
    if left >= 3 and source[i] == 110 and source[i + 1] == 105 and source[i + 2] == 108:
        length = 3
    elif left >= 4 and source[i] == 116 and source[i + 1] == 114:
        length = 4 if source[i + 2] == 117 and source[i + 3] == 101 else ODD
    elif left >= 5 and source[i] == 102 and source[i + 1] == 97 and source[i + 2] == 108:
        length = 5 if source[i + 3] == 115 and source[i + 4] == 101 else ODD
    if length > 0 and i + length < source.size and not _ends_a_token(source[i + length]):
        return ODD
    return length


@compiled
def _is_new_key(source: Any, start: int, end: int, starts: Any, ends: Any, count: int) -> bool:
    for n in range(count):
        if ends[n] - starts[n] != end - start:
            continue
        is_same = True
        for k in range(end - start):
            if source[starts[n] + k] != source[start + k]:
                is_same = False
                break
        if is_same:
            return False
    return True


@compiled
def _copy(source: Any, start: int, end: int, target: Any, at: int) -> int:
    for k in range(start, end):
        target[at] = source[k]
        at += 1
    return at


@compiled
def _is_micro(source: Any, start: int, end: int) -> bool:
    """Whether the word between the two places names a micro-operation."""
    size = end - start
    if size > 7:
        return False
    for row in range(_MICRO.shape[0]):
        k = 0
        while k < size and _MICRO[row, k] == source[start + k]:
            k += 1
        if k == size and _MICRO[row, k] == 0:
            return True
    return False


@compiled
def _scalar(source: Any, i: int, target: Any, at: int, is_tagged: bool) -> Any:
    """Copy the keyword, string, integer or word at ``i``; where both go on, or ``ODD`` twice."""
    c = source[i]
    if c == 58:
        end = _keyword_end(source, i + 1)
        if end < 0:
            return ODD, ODD
        if is_tagged:
            at = _copy(_TAG, 0, _TAG.size, target, at)
            at = _copy(source, i, end, target, at)
            target[at], target[at + 1] = 34, 125
            return end, at + 2
        target[at] = 34
        at = _copy(source, i + 1, end, target, at + 1)
        target[at] = 34
        return end, at + 1
    if c == 34:
        end = _string_end(source, i + 1) + 1
        return (end, _copy(source, i, end, target, at)) if end > 0 else (ODD, ODD)
    if c == 45 or 48 <= c <= 57:
        end = _integer_end(source, i)
        return (end, _copy(source, i, end, target, at)) if end > 0 else (ODD, ODD)
    length = _word(source, i)
    if length < 0:
        return ODD, ODD
    if length > 3:
        return i + length, _copy(source, i, i + length, target, at)
    target[at], target[at + 1], target[at + 2], target[at + 3] = 110, 117, 108, 108
    return i + 3, at + 4


@compiled
def _is_value(source: Any, start: int, end: int) -> Any:
    """Whether the key between the two places is ``:value``."""
    if end - start != 6:
        return False
    value = source[start + 1] == 118 and source[start + 2] == 97 and source[start + 3] == 108
    return value and source[start + 4] == 117 and source[start + 5] == 101


@compiled
def _operation(
    source: Any, i: int, target: Any, at: int, kinds: Any, counts: Any, starts: Any, ends: Any
) -> tuple[Any, Any]:
    """Translate the map whose brace is at ``i``; where both go on, or ``ODD`` twice."""
    target[at] = 123
    i, at, depth = i + 1, at + 1, 1
    kinds[1], counts[1] = 125, 0
    is_value, micros = False, 0
    while depth > 0:
        if i >= source.size:
            return ODD, ODD
        c = source[i]
        if _is_blank(c):
            i += 1
            continue
        is_map, count = depth == 1, counts[depth]
        if c == 125 or c == 93 or c == 41:
            if c != kinds[depth] or (is_map and count % 2):
                return ODD, ODD
            if is_value and depth == 2 and micros > 0 and micros < count:
                return ODD, ODD
            target[at] = 125 if is_map else 93
            i, at, depth = i + 1, at + 1, depth - 1
            continue
        is_key = is_map and count % 2 == 0
        if count > 0 and (is_key or not is_map):
            target[at] = 44
            at += 1
        counts[depth] += 1
        if c == 91 or c == 40:
            depth += 1
            if is_key or depth >= _DEPTH:
                return ODD, ODD
            kinds[depth], counts[depth] = (93 if c == 91 else 41), 0
            target[at] = 91
            i, at = i + 1, at + 1
            continue
        start = i
        is_tagged = is_value and not is_key
        if is_tagged and c == 58 and depth > 2 and count == 0:
            end = _keyword_end(source, i + 1)
            is_named = depth == 3 and end > 0 and _is_micro(source, i + 1, end)
            if not is_named or (end - i == 3 and source[i + 1] == 114 and source[i + 2] == 112):
                return ODD, ODD
            is_tagged, micros = False, micros + 1
        i, at = _scalar(source, i, target, at, is_tagged)
        if i < 0:
            return ODD, ODD
        if is_key:
            known = count // 2
            is_new = known < _KEYS and _is_new_key(source, start, i, starts, ends, known)
            if c != 58 or not is_new:
                return ODD, ODD
            starts[known], ends[known] = start, i
            is_value, micros = _is_value(source, start, i), 0
            target[at] = 58
            at += 1
    return i, at


@compiled
def translate(source: Any, target: Any) -> int:
    """Write the JSON lines of ``source`` to ``target`` (twice as long); their length, or ``ODD``.

    Both are arrays of bytes. A vector or list around all operations is entered.
    """
    kinds, counts = np.zeros(_DEPTH, np.int64), np.zeros(_DEPTH, np.int64)
    starts, ends = np.zeros(_KEYS, np.int64), np.zeros(_KEYS, np.int64)
    i, at, closer = 0, 0, 0
    is_over = False
    while i < source.size:
        c = source[i]
        if _is_blank(c):
            i += 1
        elif c == 123 and not is_over:
            i, at = _operation(source, i, target, at, kinds, counts, starts, ends)
            if i < 0:
                return ODD
            target[at] = 10
            at += 1
        elif (c == 91 or c == 40) and at == 0 and closer == 0:
            closer = 93 if c == 91 else 41
            i += 1
        elif c == closer and not is_over:
            is_over = True
            i += 1
        else:
            return ODD
    return at if closer == 0 or is_over else ODD
