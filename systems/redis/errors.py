"""What the errors of Redis and Valkey mean: which are the server's word that nothing happened.

An answer that is an error begins with a word (``READONLY``). Most of these are decided before the
command is executed (``processCommand`` in ``server.c``), and so are definite: :data:`REFUSED`, each
with its reason. ``ERR`` is said of nearly everything, also by a script that has done half of its
work; it is definite only with the words of :data:`REFUSED_IN_WORDS`. Everything else leaves what
became of a command open, and :data:`OPEN` says so of those that one might take for a refusal.

A read has no effect, so an error in its place is ``Failed`` whatever it is (:func:`refusal`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from systems.drivers.resp import Refusal

REFUSED: Final[Mapping[str, str]] = {
    "READONLY": "a replica takes no writes",
    "NOREPLICAS": "min-replicas-to-write is not met; asked before the command is executed",
    "LOADING": "the server still loads its data, and executes nothing",
    "MASTERDOWN": "a replica without its primary, and replica-serve-stale-data is no",
    "MISCONF": "the last save or append to disk failed, and writes are refused since",
    "OOM": "maxmemory is reached; asked before the command is executed",
    "BUSY": "a script of somebody else runs for too long",
    "NOAUTH": "nobody has logged in",
    "NOPERM": "the user may not do that",
    "WRONGPASS": "the password is wrong",
    "DENIED": "protected mode: the connection is closed before anything is read from it",
    "WRONGTYPE": "the key holds another type; a single command does nothing then",
    "EXECABORT": "a command could not be queued, or EXEC itself was refused: nothing is executed",
    "NOSCRIPT": "the script is not known",
    "NOPROTO": "this protocol is not spoken",
    "CLUSTERDOWN": "a cluster that serves nothing now",
    "MOVED": "a cluster in which another node serves the key",
    "ASK": "a cluster in which the key is on its way to another node",
    "TRYAGAIN": "a cluster in which some of the keys are on their way to another node",
    "CROSSSLOT": "a cluster in which the keys lie in different slots",
    "REDIRECT": "a replica that names its primary (Valkey, to clients that can be told)",
    "INVALIDOBJ": "Sentinel: no such command on this",
    "NOGOODSLAVE": "Sentinel: nobody can be promoted",
    "INPROG": "Sentinel: a failover is under way",
    "NOQUORUM": "Sentinel: too few can be reached",
    "BUSYKEY": "the key is there already, and RESTORE replaces nothing",
    "NOTBUSY": "there is no script to be killed",
    "UNKILLABLE": "the script has written, and is not ended",
    "NOTREADY": "the server is not ready to do that",
    "NOMASTERLINK": "a replica without its primary cannot be followed",
}
"""First word of an error to why nothing has happened."""

REFUSED_IN_WORDS: Final[Mapping[str, str]] = {
    "unknown command": "there is no such command",
    "unknown subcommand": "there is no such command",
    "wrong number of arguments": "a command that cannot be understood",
    "syntax error": "a command that cannot be understood",
    "max number of clients reached": "the connection is closed before anything is read from it",
    "increment or decrement would overflow": "the number would not fit, and is as before",
    "value is not an integer or out of range": "what is counted is no number, and is as before",
    "command not allowed when used memory": "maxmemory is reached (as older versions say it)",
    "operation not permitted": "nobody has logged in (as older versions say it)",
    "DB index is out of range": "SELECT of what is not there",
    "Protocol error": "what was sent is no command",
}
"""How an ``ERR`` goes on to why nothing has happened; only of a single command outside a script."""

OPEN: Final[Mapping[str, str]] = {
    "ERR": "said of nearly everything, also where a script or a transaction has done a part",
    "UNBLOCKED": "a command that waited was ended by a change of roles: who knows what it did",
    "IOERR": "a cluster's migration broke off half way",
}
"""First words that are no refusals, and why."""

NO_PRIMARY_HERE: Final = frozenset({"READONLY", "MASTERDOWN", "REDIRECT"})
"""After these the client asks anew who leads: its connection is to a replica."""
CONNECTION_ENDS: Final = ("DENIED", "ERR max number of clients", "ERR Protocol error")
"""After these the server closes."""


def is_definite(refusal: Refusal) -> bool:
    """Whether ``refusal`` of a single command says that certainly nothing has happened."""
    if refusal.code in REFUSED:
        return True
    if refusal.code != "ERR":
        return False
    words = refusal[len("ERR ") :]
    return any(words.startswith(each) for each in REFUSED_IN_WORDS)


def leads_elsewhere(refusal: Refusal) -> bool:
    """Whether whoever said so is not, or no longer, the one to ask."""
    return refusal.code in NO_PRIMARY_HERE


def ends_connection(refusal: Refusal) -> bool:
    """Whether the server closes the connection with it."""
    return refusal.startswith(CONNECTION_ENDS)
