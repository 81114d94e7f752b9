"""PostgreSQL's words, and those of databases that speak its protocol.

Which errors are the server's own word that nothing happened, by the class of their SQLSTATE: an
ERROR of PostgreSQL rolls back the statement, and within BEGIN the transaction. That is believed
where the class says why it was refused; not where the server was ending (57), in trouble (53, 58,
XX), lost (08), or says itself that it does not know (40003).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from systems.drivers.sql.dialect import Dialect

_DEFINITE_CLASSES: Final = {
    "0A": "not supported (SERIALIZABLE on a standby)",
    "22": "data exception",
    "23": "integrity constraint",
    "25": "invalid transaction state (read-only)",
    "40": "rolled back: serialization failure, deadlock",
    "42": "syntax or access rule",
    "55": "object not in prerequisite state (lock not available)",
}
_UNKNOWN_COMPLETION: Final = "40003"


def is_definite(code: str) -> bool:
    """Whether an SQLSTATE says that nothing happened."""
    return code[:2] in _DEFINITE_CLASSES and code != _UNKNOWN_COMPLETION


LEVELS: Final = {
    "read-committed": "READ COMMITTED",
    "repeatable-read": "REPEATABLE READ",
    "serializable": "SERIALIZABLE",
}

POSTGRESQL: Final = Dialect(
    name="postgresql",
    mark=lambda number: f"${number}",
    key_type='text COLLATE "C"',
    text_type="text",
    id_type="bigserial PRIMARY KEY",
    on_conflict="ON CONFLICT (k) DO UPDATE SET",
    new="excluded.{column}",
    insert_or_ignore="INSERT INTO {table} VALUES {values} ON CONFLICT DO NOTHING",
    returning=True,
    levels=LEVELS,
    begin="BEGIN ISOLATION LEVEL {level}",
    begin_read_only="BEGIN ISOLATION LEVEL {level} READ ONLY",
    is_definite=is_definite,
    committed="COMMIT",
    rolled_back="ROLLBACK",
)

COCKROACHDB: Final = replace(POSTGRESQL, name="cockroachdb", key_type="text")
"""Its documentation: every error that asks for another try is 40001, of a transaction that is
rolled back; a commit whose result is ambiguous is 40003. Text is compared byte by byte. No such
server was tried."""

YUGABYTEDB: Final = replace(POSTGRESQL, name="yugabytedb")
"""Its documentation: conflicts are 40001, deadlocks 40P01, as PostgreSQL's. No such
server was tried."""

DIALECTS: Final = {each.name: each for each in (POSTGRESQL, COCKROACHDB, YUGABYTEDB)}
