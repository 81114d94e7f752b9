"""The statements that a client of such a library sends, and where two of them differ.

Keys, names and values are stored as JSON text, so that ``1`` and ``"1"`` are two keys; counters as
whole numbers. What is said here runs on SQLite and on DuckDB; what does not is a field that a
system sets.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Dialect:
    """Every statement by its name. ``make`` makes the tables, and is harmless where they are."""

    make: Sequence[str]
    begin: str = "BEGIN"
    begin_read_only: str = "BEGIN"

    get: str = "SELECT key, value FROM held WHERE key IN "
    scan: str = "SELECT key, value FROM held WHERE key >= ? AND key < ?"
    put: str = (
        "INSERT INTO held VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value"
    )
    append: str = (
        "INSERT INTO held VALUES (?, '[' || ? || ']') ON CONFLICT (key) DO UPDATE SET value ="
        " substr(held.value, 1, length(held.value) - 1) || ',' || substr(excluded.value, 2)"
    )
    delete: str = "DELETE FROM held WHERE key = ?"
    create: str = "INSERT INTO held VALUES (?, ?) ON CONFLICT (key) DO NOTHING RETURNING 1"
    swap: str = "UPDATE held SET value = ? WHERE key = ? AND value = ? RETURNING 1"

    add: str = "INSERT INTO members VALUES (?, ?) ON CONFLICT (name, element) DO NOTHING"
    members: str = "SELECT element FROM members WHERE name = ?"
    count: str = (
        "INSERT INTO counts VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET"
        " value = counts.value + excluded.value"
    )
    counted: str = "SELECT value FROM counts WHERE name = ?"
    enqueue: str = "INSERT INTO queued (name, value) VALUES (?, ?)"
    dequeue: str = (
        "DELETE FROM queued WHERE place = (SELECT min(place) FROM queued WHERE name = ?)"
        " RETURNING value"
    )
    log: str = (
        "INSERT INTO logged SELECT ?, coalesce(max(place), -1) + 1, ? FROM logged WHERE name = ?"
        " RETURNING place"
    )
    logged: str = "SELECT place, value FROM logged WHERE name = ? AND place > ? ORDER BY place"
    acquire: str = (
        "INSERT INTO locks (name) VALUES (?) ON CONFLICT (name) DO NOTHING RETURNING token"
    )
    release: str = "DELETE FROM locks WHERE name = ? AND token = ? RETURNING 1"
    generate: str = "INSERT INTO ids DEFAULT VALUES RETURNING id"


def get_of(dialect: Dialect, keys: int) -> str:
    """The statement that gets so many keys."""
    return f"{dialect.get}({', '.join('?' * keys)})"


TABLES = (
    "CREATE TABLE IF NOT EXISTS held (key TEXT PRIMARY KEY, value TEXT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS members (name TEXT, element TEXT, PRIMARY KEY (name, element))",
    "CREATE TABLE IF NOT EXISTS counts (name TEXT PRIMARY KEY, value BIGINT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS logged (name TEXT, place BIGINT, value TEXT NOT NULL,"
    " PRIMARY KEY (name, place))",
)
"""Those that are written alike in both."""
