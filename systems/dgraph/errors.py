"""What Dgraph's errors mean, by the request that they answer and their exact text.

Nothing of a transaction can have happened before its ``/commit`` was sent, so any error before
that is ``Failed``, whatever it says. Of ``/commit`` two texts are Dgraph's own word that nothing
was committed:

* *Transaction has been aborted. Please retry*: Zero found a conflict and decided against it.
* *Only leader can decide to commit or abort*: a Zero that does not lead, at the door.

Every other text leaves it open, among them these that look as if they did not (seen in real runs):

* *Not Zero leader. Aborting proposal*: it may have been proposed once before (1.0.11 and later).
* *No connection exists*: seen 28 s after the commit had been sent, not at the door.
* *raft proposal dropped*, *context deadline exceeded*, *transport is closing*, *connection reset*.

A text is matched at its end, for it comes wrapped (``rpc error: code = Unknown desc = …``); the
word *abort* alone is not looked for, since *Aborting proposal* has it, too.
"""

from __future__ import annotations

from typing import Final

REFUSED_COMMIT: Final = (
    "Transaction has been aborted. Please retry",
    "Only leader can decide to commit or abort",
)

OPEN_COMMIT: Final = (
    "Not Zero leader. Aborting proposal: txn:<start_ts:7 >",
    "No connection exists",
    "While proposing: raft proposal dropped",
    "context deadline exceeded",
    "rpc error: code = Unavailable desc = transport is closing",
    "rpc error: code = Unavailable desc = error reading from server: connection reset by peer",
)
"""Texts that a commit was answered with in real runs after which nobody knows."""

BEFORE_COMMIT: Final = (
    "Tablet isn't being served by this instance.",
    "StartTs: 7 is from before MoveTs: 9 for pred: polygraph_key_1",
    "readTs: 7 less than minTs: 9 for key: polygraph_key_1",
    "Attribute polygraph_key_1 is not indexed.",
    "Please retry again, server is not ready to accept requests",
    "dispatchTaskOverNetwork: while retrieving connection.: Unhealthy connection",
    "cannot retrieve predicate information: server unavailable",
)
"""Texts that queries and mutations were answered with, by tablets that moved and groups without a
leader."""


def is_refused(text: str) -> bool:
    """Whether this answer to ``/commit`` says for certain that nothing was committed."""
    said = text.strip().removesuffix(".")
    return any(said.endswith(refused) for refused in REFUSED_COMMIT)
