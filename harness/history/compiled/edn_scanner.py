"""A scanner compiled by numba: bytes of EDN lines with transactions, straight into columns.

The twin of :mod:`harness.history.compiled.byte_scanner`, with its arrays and its codes, for the
operation maps that Jepsen and elle-cli write: keys in any order, keywords and strings alike, commas
or not, a tag (``#jepsen.history.Op``) before the map or none. Micro-operations are ``[:append k
v]``,
``[:r k …]`` and ``[:w k v]``; keys and values integers, keywords or strings without escapes.

What stands in other fields (``:error``, ``:exception``, a nemesis's value) is stepped over. Where
it is more than one plain word the record is marked (``DOUBTFUL``), and the caller reads it again in
the ordinary way and compares. Anything else that is unusual stops the scan with a code, and the
ordinary reader takes the whole file. So nothing is judged here, and nothing is guessed.

Cost: 0.4 to 1 GB a second and thread. Only :mod:`harness.history.compiled.fast_edn` imports this.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from harness.history.compiled.byte_tokens import named, text
from harness.history.compiled.edn_tokens import (
    any_form,
    blank,
    ends,
    is_nil,
    keyword,
    number,
    plain_form,
    scalar,
    tag,
)
from harness.history.compiling import compiled

_KEYS: Final = 24
"""The most fields of a record beyond those that we know."""


@compiled
def micro_name(b: Any, i: int) -> tuple[Any, Any]:
    """The place after ``[:r``, ``[:append`` or ``[:w`` at ``i``, and its position in the names."""
    if b[i] != 91 or b[i + 1] != 58:
        return -1, 0
    c = b[i + 2]
    if c == 114 and ends(b[i + 3]):
        return i + 3, 0
    if c == 119 and ends(b[i + 3]):
        return i + 3, 2
    is_append = c == 97 and b[i + 3] == 112 and b[i + 4] == 112 and b[i + 5] == 101
    if is_append and b[i + 6] == 110 and b[i + 7] == 100 and ends(b[i + 8]):
        return i + 8, 1
    return -1, 0


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
    """The vector of micro-operations at ``i``; gives the place after it, or -1 with a code.

    Arrays come one by one: taking them out of a tuple would count references at each record.
    """
    m = progress[2]
    e = progress[3]
    i = blank(b, i + 1)
    while True:
        i, f = micro_name(b, i)
        if i < 0:
            return -1, 1
        i = blank(b, i)
        if key_mode == 0:
            key, i = number(b, i)
            if i < 0 or key > 2147483646:
                return -1, 2
        else:
            key, i, code = scalar(b, i, key_slots, key_starts, key_pool, key_used)
            if code:
                return -1, code
        i = blank(b, i)
        txn[m] = record
        mf[m] = f
        mk[m] = key
        mv[m] = -1
        ls[m] = -1
        le[m] = -1
        if b[i] == 91:
            ls[m] = e
            i = blank(b, i + 1)
            c = b[i]
            while value_mode == 0 and c != 93:  # nearly all of a file is here
                start = i
                x = np.int64(0)
                while 48 <= c <= 57:
                    x = x * 10 + (c - 48)
                    i += 1
                    c = b[i]
                if i == start or i - start > 10 or x > 2147483646:
                    return -1, 3
                if b[start] == 48 and i - start > 1:
                    return -1, 1
                elements[e] = x
                e += 1
                if c == 32:
                    i += 1
                    c = b[i]
                    if c > 44:
                        continue
                elif not ends(c):
                    return -1, 3
                i = blank(b, i)
                c = b[i]
            while b[i] != 93:
                x, i, code = scalar(b, i, value_slots, value_starts, value_pool, value_used)
                if code:
                    return -1, code
                elements[e] = x
                e += 1
                i = blank(b, i)
            i += 1
            le[m] = e
        elif is_nil(b, i):
            i += 3
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
    progress[2] = m
    progress[3] = e
    return i + 1, 0


@compiled
def field_at(b: Any, i: int) -> Any:
    """Which keyword stands at ``i``, as a bit, and the place after it.

    64 is a key that nobody asked for, -1 no plain keyword at all. Letters are compared before the
    end of the word is looked for, which takes longer.
    """
    c = b[i + 1]
    size = 0
    field = 64
    if b[i] != 58:
        return -1, i
    if c == 102:
        field, size = 16, 1
    elif c == 116 and b[i + 2] == 105 and b[i + 3] == 109 and b[i + 4] == 101:
        field, size = 1, 4
    elif c == 116 and b[i + 2] == 121 and b[i + 3] == 112 and b[i + 4] == 101:
        field, size = 8, 4
    elif c == 105 and b[i + 2] == 110 and b[i + 3] == 100 and b[i + 4] == 101:
        field, size = 2, 5
    elif c == 118 and b[i + 2] == 97 and b[i + 3] == 108 and b[i + 4] == 117:
        field, size = 32, 5
    elif c == 112 and b[i + 2] == 114 and b[i + 3] == 111 and b[i + 4] == 99:
        field, size = 4, 7
    last = b[i + size]
    known = (
        size == 1 or (last == 101 and (size == 4 or field == 32)) or (last == 120 and field == 2)
    )
    if field == 4:
        known = b[i + 5] == 101 and b[i + 6] == 115 and last == 115
    if known and ends(b[i + size + 1]):
        return field, i + size + 1
    after = keyword(b, i)
    return (64, after) if after >= 0 else (-1, i)


@compiled
def type_at(b: Any, i: int) -> tuple[Any, Any]:
    """The code of the type at ``i`` and the place after it, which is -1 if it is none."""
    c = b[i + 1]
    if b[i] != 58:
        return 0, -1
    if c == 111 and b[i + 2] == 107:
        return 1, i + 3 if ends(b[i + 3]) else -1
    if c == 102 and b[i + 2] == 97 and b[i + 3] == 105 and b[i + 4] == 108:
        return 2, i + 5 if ends(b[i + 5]) else -1
    if c == 105 and b[i + 2] == 110 and b[i + 3] == 102 and b[i + 4] == 111:
        return 3, i + 5 if ends(b[i + 5]) else -1
    invokes = c == 105 and b[i + 2] == 110 and b[i + 3] == 118 and b[i + 4] == 111
    if invokes and b[i + 5] == 107 and b[i + 6] == 101 and ends(b[i + 7]):
        return 0, i + 7
    return 0, -1


@compiled
def process_at(b: Any, i: int) -> tuple[Any, Any]:
    """The process at ``i`` (-1 the nemesis) and the place after it, which is -1 for others."""
    if b[i] == 58 or b[i] == 34:
        after = keyword(b, i) if b[i] == 58 else text(b, i)
        size = after - i - (1 if b[i] == 58 else 2)
        name = b[i + 1] == 110 and b[i + 2] == 101 and b[i + 3] == 109 and b[i + 4] == 101
        name = name and b[i + 5] == 115 and b[i + 6] == 105 and b[i + 7] == 115
        return np.int64(-1), after if size == 7 and name else -1
    x, after = number(b, i)
    return x, after if x <= 2147483646 else -1


@compiled
def is_known(b: Any, start: int, end: int, key_at: Any, count: int) -> bool:
    """Whether a key that ends at one of ``key_at[:count]`` is ``b[start:end]``; notes it if not."""
    size = end - start
    for n in range(count):
        j = 0
        while j < size and b[key_at[n] - size + j] == b[start + j]:
            j += 1
        if j == size:  # the colon among it
            return True
    key_at[count] = end
    return False


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
    """Scan ``b[progress[0]:end]``, whole lines; ``base`` is where in the file ``b`` is.

    ``progress`` counts on from call to call and stays at the start of a record that it stops at.
    """
    at, index, time, kind, process, f, told = rows
    txn, mf, mk, mv, ls, le = micro
    f_slots, f_starts, f_pool, f_used = f_table
    key_slots, key_starts, key_pool, key_used = key_table
    value_slots, value_starts, value_pool, value_used = value_table
    key_mode, value_mode = modes
    key_at = np.zeros(_KEYS, np.int64)
    i = progress[0]
    while True:
        i = blank(b, i)
        while b[i] == 10 and i < end:
            i = blank(b, i + 1)
        progress[0] = i
        if i >= end:
            break
        n = progress[1]
        m0 = progress[2]
        e0 = progress[3]
        at[n] = base + i
        index[n] = -1
        time[n] = -1
        told[n] = 0
        seen = 0
        others = 0
        doubt = 0
        is_odd = False
        if b[i] == 35:
            i = tag(b, i)
        code = 0 if i >= 0 and b[i] == 123 else 1
        i = blank(b, i + 1)
        while code == 0 and b[i] != 125:
            start = i
            field, stop = field_at(b, i)
            i = stop
            if field < 0 or (field < 64 and seen & field):
                code = 1
                break
            seen |= field
            if b[i] != 32 or b[i + 1] <= 44:
                i = blank(b, i)
            else:
                i += 1
            if field == 1:
                time[n], i = number(b, i)
            elif field == 2:
                index[n], i = number(b, i)
            elif field == 4:
                process[n], i = process_at(b, i)
            elif field == 8:
                kind[n], i = type_at(b, i)
            elif field == 16:
                after = -1
                if b[i] == 58:
                    after = keyword(b, i)
                elif b[i] == 34:
                    after = text(b, i)
                if after >= 0:
                    f[n] = named(b, i, after, f_slots, f_starts, f_pool, f_used)
                    if f[n] < 0:
                        after = -1
                i = after
            elif field == 32 and b[i] == 91:
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
                    doubt = 64
                    i = any_form(b, place)
                    code = 0
            else:
                place = i
                if field == 32:
                    is_odd = not is_nil(b, i)
                elif others == key_at.size or is_known(b, start, stop, key_at, others):
                    code = 1
                else:
                    others += 1
                i = plain_form(b, place)
                if i < 0:
                    doubt = 64
                    i = any_form(b, place)
            if i < 0 and code == 0:
                code = 1
            i = blank(b, i)
        if code == 0 and (seen & 28 != 28 or (is_odd and process[n] >= 0)):
            code = 1
        if code:
            progress[2] = m0
            progress[3] = e0
            progress[4] = code
            return
        if process[n] < 0:
            progress[2] = m0
            progress[3] = e0
            told[n] = 0
        told[n] += doubt
        progress[1] = n + 1
        i += 1
    progress[4] = 0
