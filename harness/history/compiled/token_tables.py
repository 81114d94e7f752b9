"""Tokens that scanners met, such as keys: a table for each thread, and one of them all.

Each thread numbers the tokens that it meets for itself, in order of its meeting them. Blocks are
scanned by whoever comes, so afterwards all are numbered anew, by their first places in the file:
a file always gives the same numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np


class Tokens:
    """Distinct tokens of one kind in one thread: a hash table over their bytes."""

    def __init__(self, room: int) -> None:
        self.slots = np.full(room, -1, dtype=np.int32)
        self.starts = np.zeros(room // 2 + 2, dtype=np.int64)
        self.pool = np.empty(16 * room, dtype=np.uint8)
        self.used = np.zeros(1, dtype=np.int64)

    def arrays(self) -> tuple[Any, Any, Any, Any]:
        """As the scanner takes it."""
        return self.slots, self.starts, self.pool, self.used

    def items(self) -> list[bytes]:
        """The tokens in order of their numbers."""
        count, text = int(self.used[0]), self.pool.tobytes()
        ends = self.starts[: count + 1].tolist()
        return [text[ends[i] : ends[i + 1]] for i in range(count)]

    def grown(self) -> Tokens:
        """The same tokens with four times the room."""
        from harness.history.compiled.byte_tokens import named

        more = Tokens(4 * len(self.slots))
        tokens = np.concatenate((self.pool[: self.starts[self.used[0]]], np.zeros(1, np.uint8)))
        for number in range(int(self.used[0])):
            named(tokens, self.starts[number], self.starts[number + 1], *more.arrays())
        return more


def merged(
    tables: Sequence[Tokens],
    known: Sequence[tuple[int, int]],
    as_value: Callable[[bytes], Any],
) -> tuple[list[Any], list[Any]]:
    """The tokens of all tables as values, and for each table a map from old numbers to new.

    ``known`` says for each block of the file, in order, which table its tokens are in and how
    many that held afterwards. The last entry of a map is -1, so that -1 stays -1.
    """
    numbers: dict[tuple[type, Any], int] = {}
    tokens = [list(map(as_value, table.items())) for table in tables]
    new: list[list[int]] = [[] for _ in tables]
    for table, count in known:
        for token in tokens[table][len(new[table]) : count]:
            new[table].append(numbers.setdefault((type(token), token), len(numbers)))
    maps = [np.array([*each, -1], dtype=np.int32) for each in new]
    return [token for _, token in numbers], maps
