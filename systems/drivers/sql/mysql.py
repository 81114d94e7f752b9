"""MariaDB's and MySQL's words, and those of databases that speak their protocol.

Which errors are the server's own word that nothing happened, by number: a deadlock has rolled back
the transaction; a lock that was waited for too long, and most refusals, only the statement, so the
rest is rolled back by us. Not believed is what came while the server was ending, out of space or in
trouble, nor 1180, an error during COMMIT itself.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from systems.drivers.sql.dialect import Dialect

_DEFINITE: Final = {
    "1020": "the record has changed since the snapshot (innodb_snapshot_isolation)",
    "1044": "no right to the database",
    "1045": "not let in",
    "1046": "no database chosen",
    "1048": "a column cannot be null",
    "1049": "no such database",
    "1054": "no such column",
    "1062": "the key is there already",
    "1064": "syntax",
    "1142": "no right to the table",
    "1146": "no such table",
    "1205": "waited too long for a lock",
    "1213": "deadlock",
    "1264": "a number out of range",
    "1290": "the server runs with --read-only",
    "1366": "a value of the wrong kind",
    "1406": "a value that is too long",
    "1792": "a change in a transaction that only reads",
    "1836": "the server is read-only",
    "3572": "a lock was not to be had at once (NOWAIT)",
}
_DEFINITE_OF_TIDB: Final = {
    "8005": "write conflict",
    "8002": "SELECT FOR UPDATE met a write: to be tried again",
    "8022": "the commit failed and was rolled back: to be tried again",
    "8028": "the table's schema changed meanwhile",
    "9007": "write conflict: to be tried again",
}
"""What TiDB's list of error codes says of them. 8501 (undetermined), 9001 to 9006 leave doubt."""


def is_definite(code: str) -> bool:
    """Whether an error's number says that nothing happened."""
    return code in _DEFINITE


LEVELS: Final = {
    "read-uncommitted": "READ UNCOMMITTED",
    "read-committed": "READ COMMITTED",
    "repeatable-read": "REPEATABLE READ",
    "serializable": "SERIALIZABLE",
}

MARIADB: Final = Dialect(
    name="mariadb",
    mark=lambda number: "%s",
    key_type="varchar(200) CHARACTER SET ascii COLLATE ascii_bin",
    text_type="longtext CHARACTER SET ascii COLLATE ascii_bin",
    id_type="bigint AUTO_INCREMENT PRIMARY KEY",
    on_conflict="ON DUPLICATE KEY UPDATE",
    new="VALUES({column})",
    insert_or_ignore="INSERT IGNORE INTO {table} VALUES {values}",
    returning=False,
    levels=LEVELS,
    begin="START TRANSACTION",
    begin_read_only="START TRANSACTION READ ONLY",
    is_definite=is_definite,
    committed="COMMIT",
    concat=lambda parts: f"CONCAT({', '.join(parts)})",
)
"""The level is set for the connection: START TRANSACTION names none."""

MYSQL: Final = replace(MARIADB, name="mysql")

TIDB: Final = replace(
    MARIADB,
    name="tidb",
    begin_read_only="START TRANSACTION",  # READ ONLY is refused, unless a setting allows it
    is_definite=lambda code: code in _DEFINITE or code in _DEFINITE_OF_TIDB,
)
"""By its documentation alone: no such server was tried."""

DIALECTS: Final = {each.name: each for each in (MARIADB, MYSQL, TIDB)}
