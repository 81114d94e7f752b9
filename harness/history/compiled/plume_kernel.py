"""Plume's text taken apart in one pass, compiled by numba; see :mod:`..formats.plume`.

Only text formed as the tools write it is taken: at anything else, and at numbers of twenty digits
or more, :data:`ODD` is the answer, and the ordinary readers go on from there. Cost: 4 ns a byte.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from harness.history.compiling import compiled

ODD: Final = -1
ABORTED: Final = np.uint64((1 << 64) - 1)
"""The transaction of a line that says ``-1``."""
_MOST_DIGITS: Final = 19
"""Of numbers that 64 bits hold for certain."""
_TEN: Final = np.uint64(10)
_ZERO: Final = np.uint64(0)


@compiled
def take_apart(data: Any, writes: Any, numbers: Any) -> int:
    """The lines of ``data`` (bytes) into ``writes`` and the four columns of ``numbers``.

    Their rows are as many as ``data`` has line ends; the answer is how many were filled.
    """
    at, row, size = 0, 0, len(data)
    while at < size:
        kind = data[at]
        if (kind != 114 and kind != 119) or at + 1 >= size or data[at + 1] != 40:  # r w (
            return ODD
        at += 2
        if row >= len(writes):
            return ODD
        writes[row] = kind == 119
        for column in range(4):
            is_aborted = column == 3 and at + 1 < size and data[at] == 45 and data[at + 1] == 49
            if is_aborted:  # -1
                number = ABORTED
                at += 2
            else:
                number, first = _ZERO, at
                while at < size and 48 <= data[at] <= 57:
                    number = number * _TEN + np.uint64(data[at] - 48)
                    at += 1
                if not 0 < at - first <= _MOST_DIGITS:
                    return ODD
            end = 44 if column < 3 else 41  # , )
            if at >= size or data[at] != end:
                return ODD
            at += 1
            numbers[column, row] = number
        if at >= size or data[at] != 10:
            return ODD
        at += 1
        row += 1
    return row
