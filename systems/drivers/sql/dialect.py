"""How one SQL database differs from the others: spelling, and what its errors mean.

Statements of the family are written with ``?`` for a value. What is written here is all that a new
database needs besides a driver; :mod:`systems.drivers.sql.dialects` holds those that there are.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final


@dataclass(frozen=True, kw_only=True, eq=False)
class Dialect:
    """One database's words.

    ``mark`` gives the n-th value's placeholder, counted from 1. ``key_type`` must be compared byte
    by byte, ``text_type`` too. ``on_conflict`` begins the part of an INSERT that changes the row
    that is there already, and ``new`` is how that part calls a column of the row that was not
    inserted. ``for_update`` locks what a SELECT reads.

    ``levels`` maps each isolation level, as options spell it, to what SQL calls it; ``begin`` and
    ``begin_read_only`` open a transaction, with ``{level}`` for that. ``committed`` is the tag of a
    COMMIT that was one, and ``rolled_back`` of one that was not; both ``None`` where there are no
    tags. ``is_definite`` tells of an error's code whether it is the database's own word that the
    statement (or commit) did nothing and never will. ``is_duplicate`` tells of those that a key is
    there already.
    """

    name: str
    mark: Callable[[int], str] = field(repr=False)
    key_type: str
    text_type: str
    id_type: str
    on_conflict: str
    new: str
    insert_or_ignore: str
    returning: bool
    levels: Mapping[str, str]
    begin: str
    begin_read_only: str
    is_definite: Callable[[str], bool] = field(repr=False)
    committed: str | None = None
    rolled_back: str | None = None
    for_update: str = " FOR UPDATE"
    concat: Callable[[Sequence[str]], str] = field(default=lambda parts: " || ".join(parts))

    def spelled(self, sql: str) -> str:
        """``sql`` with this database's placeholders."""
        return _spelled(self, sql)


_MARK: Final = re.compile(r"\?")


@lru_cache(maxsize=4096)
def _spelled(dialect: Dialect, sql: str) -> str:
    count = 0

    def next_mark(_: re.Match[str]) -> str:
        nonlocal count
        count += 1
        return dialect.mark(count)

    return _MARK.sub(next_mark, sql)
