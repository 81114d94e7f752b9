"""Long columns a slice at a time, so that what is worked out on the way stays small.

An expression of numpy writes each of its steps to memory, an index of small integers is copied
to large ones first, and a process that touches memory for the first time waits for it. Over
slices the same few megabytes serve again and again, and of the rest only results are touched.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

SLICE: Final = 1 << 17
"""Rows of a slice: a column of it fits the processor's cache."""


def slices(length: int) -> Iterator[slice]:
    """Slices of ``length`` rows, one after another."""
    for low in range(0, length, SLICE):
        yield slice(low, min(low + SLICE, length))


def collected(
    length: int, columns: int, found: Callable[[slice], tuple[NDArray[Any], ...]]
) -> tuple[NDArray[np.int32], ...]:
    """What ``found`` gives for slices of ``length`` rows, end to end: so many columns, of which
    each slice has at most as many entries as it has rows.
    """
    whole = tuple(np.empty(length, dtype=np.int32) for _ in range(columns))
    count = 0  # what stays unused is never touched
    for some in slices(length):
        parts = found(some)
        for column, part in zip(whole, parts, strict=True):
            column[count : count + len(part)] = part
        count += len(parts[0])
    return tuple(column[:count] for column in whole)


def places(length: int, mask: Callable[[slice], NDArray[np.bool_]]) -> NDArray[np.int32]:
    """Where ``mask`` is true, in order; it is asked for one slice of ``length`` rows at a time."""
    return collected(length, 1, lambda some: (np.flatnonzero(mask(some)) + some.start,))[0]


def mapped(length: int, kind: Any, value: Callable[[slice], NDArray[Any]]) -> NDArray[Any]:
    """A column of ``length`` rows of a type, of which ``value`` gives one slice at a time."""
    found = np.empty(length, dtype=kind)
    for some in slices(length):
        found[some] = value(some)
    return found


def sorted_once(numbers: NDArray[Any]) -> NDArray[Any]:
    """The numbers in order, each once.

    ``np.unique`` hashes, and of numbers put together from several (key times width plus value) so
    many fall on one another that a million take minutes.
    """
    numbers = np.sort(numbers)
    first = np.ones(len(numbers), dtype=bool)
    first[1:] = numbers[1:] != numbers[:-1]
    return numbers[first]
