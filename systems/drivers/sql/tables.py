"""Where the family keeps things: a table for keys and values, and one for each kind of object.

=========  =====================================================================================
kv         a key and its value as JSON, for registers and transactions; keys may be spread over
           several such tables
items      members of sets, values of queues and messages of logs, each with its place
counters   a name and a number: counters, and the last place of each log
locks      a name, its last token, and whether it is held
ids        a row for each id
ready      the proof that writes are served
=========  =====================================================================================

Keys and values are JSON text without spaces, so that equal values are equal texts, and a list is
made longer by cutting off its bracket.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator, Sequence
from typing import Any

from harness.contract.client import Failed
from harness.wording import shown
from systems.drivers.sql.dialect import Dialect


class Tables:
    """The tables of one run. ``prefix`` is before each name; ``spread`` is how many hold keys."""

    def __init__(self, dialect: Dialect, prefix: str = "", spread: int = 1) -> None:
        self._dialect = dialect
        self.keyed = tuple(f"{prefix}kv{n or ''}" for n in range(spread))
        self.items = f"{prefix}items"
        self.counters = f"{prefix}counters"
        self.locks = f"{prefix}locks"
        self.ids = f"{prefix}ids"
        self.ready = f"{prefix}ready"

    def all(self) -> Sequence[str]:
        """Every table's name."""
        return (*self.keyed, self.items, self.counters, self.locks, self.ids, self.ready)

    def holding(self, key: str) -> str:
        """The table that a stored key lies in, always the same one."""
        return self.keyed[zlib.crc32(key.encode()) % len(self.keyed)]

    def creations(self) -> Iterator[str]:
        """Statements that make what is not there yet."""
        key, text = self._dialect.key_type, self._dialect.text_type
        for table in self.keyed:
            yield f"CREATE TABLE IF NOT EXISTS {table} (k {key} PRIMARY KEY, v {text} NOT NULL)"
        yield (
            f"CREATE TABLE IF NOT EXISTS {self.items} (id {self._dialect.id_type},"
            f" kind varchar(8) NOT NULL, name {key} NOT NULL, place bigint NOT NULL,"
            f" v {text} NOT NULL)"
        )
        yield (
            f"CREATE TABLE IF NOT EXISTS {self.counters} (k {key} PRIMARY KEY, n bigint NOT NULL)"
        )
        yield (
            f"CREATE TABLE IF NOT EXISTS {self.locks}"
            f" (k {key} PRIMARY KEY, n bigint NOT NULL, held int NOT NULL)"
        )
        yield f"CREATE TABLE IF NOT EXISTS {self.ids} (id {self._dialect.id_type}, n int NOT NULL)"
        yield f"CREATE TABLE IF NOT EXISTS {self.ready} (k int PRIMARY KEY, n int NOT NULL)"

    def count_up(self) -> str:
        """A statement that changes the one row of ``ready``."""
        return (
            f"INSERT INTO {self.ready} (k, n) VALUES (1, 1)"
            f" {self._dialect.on_conflict} n = {self.ready}.n + 1"
        )

    def upsert(self, table: str) -> str:
        """A statement that sets the value of a key: marks for key and value."""
        new = self._dialect.new.format(column="v")
        return f"INSERT INTO {table} (k, v) VALUES (?, ?) {self._dialect.on_conflict} v = {new}"

    def update(self, table: str) -> str:
        """A statement that sets the value of a key that has one: marks for value and key."""
        return f"UPDATE {table} SET v = ? WHERE k = ?"

    def insert_or_ignore(self, table: str, columns: int = 2) -> str:
        """A statement that makes a row if there is none of that key, and counts whether it did."""
        values = f"({', '.join('?' * columns)})"
        return self._dialect.insert_or_ignore.format(table=table, values=values)

    def append(self, table: str) -> str:
        """A statement that makes a list longer: marks for key, ``[element]`` and ``,element]``."""
        cut = f"substr({table}.v, 1, length({table}.v) - 1)"
        longer = self._dialect.concat((cut, "?"))
        return f"INSERT INTO {table} (k, v) VALUES (?, ?) {self._dialect.on_conflict} v = {longer}"

    def add(self, table: str) -> str:
        """A statement that adds to a number: marks for name and what is added."""
        new = self._dialect.new.format(column="n")
        return (
            f"INSERT INTO {table} (k, n) VALUES (?, ?)"
            f" {self._dialect.on_conflict} n = {table}.n + {new}"
        )


def stored(value: Any) -> str:
    """``value`` as text: JSON without spaces. ``None`` cannot be stored, it stands for absent."""
    if value is None:
        told = ["request", "null stands for absent and cannot be stored"]
        raise Failed(told, session_ended=False)
    return json.dumps(value, separators=(",", ":"))


def loaded(text: Any) -> Any:
    """The value that ``stored`` made ``text`` of; ``Failed`` (a read) if it is something else."""
    try:
        return json.loads(text)
    except (TypeError, ValueError) as error:
        told = ["answer", f"a value that is no JSON: {shown(str(text)[:80])}"]
        raise Failed(told, session_ended=False) from error


def under(prefix: str) -> tuple[str, str]:
    """The range of stored keys that begin with ``prefix``: from the first to before the second."""
    low = stored(prefix)[:-1]
    return low, low[:-1] + chr(ord(low[-1]) + 1)
