"""Figures of PostgreSQL's servers, by one statement over a connection of its own.

How far the write-ahead log was written (on a standby: replayed) only rises while a server lives.
Sessions, open transactions and locks that are waited for are told, and promised nothing: those of a
client behind a cut stay until the kernel gives up its connection.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from harness.contract.metrics import Gauge, Sample

GAUGES: Final[Sequence[Gauge]] = (
    Gauge(name="client_sessions", help="sessions of clients, that of the sampling among them"),
    Gauge(name="idle_in_transaction", help="sessions that wait in an open transaction"),
    Gauge(name="locks_waited_for", help="locks that are waited for"),
    Gauge(
        name="wal_position",
        help="how far the log was written, or replayed",
        unit="bytes",
        never_falls=True,
    ),
)
SQL: Final = """
SELECT (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'),
       (SELECT count(*) FROM pg_stat_activity WHERE state LIKE 'idle in transaction%'),
       (SELECT count(*) FROM pg_locks WHERE NOT granted),
       pg_wal_lsn_diff(CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn()
                            ELSE pg_current_wal_lsn() END, '0/0')
"""
"""One row, in the order of :data:`GAUGES`."""


def samples_in(rows: Sequence[Sequence[Any]]) -> Iterator[Sample]:
    """The figures in the rows that :data:`SQL` gave; a standby may know no position yet."""
    for gauge, value in zip(GAUGES, rows[0], strict=True):
        if value is not None:
            yield Sample(name=gauge.name, value=float(value))
