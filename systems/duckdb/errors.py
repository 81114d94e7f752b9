"""What DuckDB's errors mean for a statement that commits, or commits itself.

DuckDB is optimistic: who changes a row that another has changed is told so at the statement
(``Conflict on update!``), a key that came twice at the commit. Both are a ``TransactionException``,
its own word that the transaction was rolled back, unless the commit itself broke off in the middle
(``Failed to commit`` for a reason that is no constraint). What broke off in a write to the disk,
for lack of memory or in DuckDB itself may have happened.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Final

from harness.contract.speaker import Misanswer

REFUSED: Final = frozenset(
    {
        "ConstraintException",  # a key that is there already: the statement is undone
        "ParserException",  # the rest was never begun
        "BinderException",
        "CatalogException",
        "ConversionException",
        "InvalidInputException",
        "NotImplementedException",
    }
)
_CONFLICTS: Final = ("Conflict on ", "constraint violation", "Catalog write-write conflict")


def is_definite(name: str, text: str) -> bool:
    """Whether an error says that a statement that commits itself changed nothing."""
    if name == "TransactionException":
        return any(conflict in text for conflict in _CONFLICTS)
    return name in REFUSED


def _error(name: str, text: str) -> bytes:
    return json.dumps({"error": name, "text": text, "undone": False}).encode() + b"\n"


MISANSWERS: Final[Mapping[str, Misanswer]] = {
    "a conflict": Misanswer(
        answer=_error("TransactionException", "TransactionContext Error: Conflict on update!"),
        definite=True,
    ),
    "a key twice": Misanswer(
        answer=_error(
            "TransactionException",
            "TransactionContext Error: Failed to commit: PRIMARY KEY or UNIQUE constraint"
            ' violation: duplicate key "n"',
        ),
        definite=True,
    ),
    "a key that is there": Misanswer(
        answer=_error("ConstraintException", "Constraint Error: Duplicate key"), definite=True
    ),
    "a commit that broke off": Misanswer(
        answer=_error(
            "TransactionException",
            "TransactionContext Error: Failed to commit: IO Error: could not write",
        )
    ),
    "a failed disk": Misanswer(answer=_error("IOException", "IO Error: could not write")),
    "no memory": Misanswer(answer=_error("OutOfMemoryException", "Out of Memory Error")),
    "a defect": Misanswer(answer=_error("InternalException", "INTERNAL Error: what")),
    "invalidated": Misanswer(answer=_error("FatalException", "FATAL Error: invalidated")),
    "an unknown error": Misanswer(answer=_error("WhatException", "what is this")),
    "neither rows nor an error": Misanswer(answer=b"{}\n"),
}
"""Answers that are no success, for the conformance kit."""
