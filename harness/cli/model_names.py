"""What may stand after ``-m``: our checkers and models, and elle-cli's names for the same.

A model that is known and not built into this version is refused by its name; nothing is ever
judged by another model than the one that was asked for.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from harness.errors import UsageError, unknown_name
from harness.history.history import History
from harness.history.operation import OK
from harness.plugins import Registry
from harness.verdict.consistency import MODELS
from harness.verdict.consistency import SYNONYMS as CONSISTENCY
from harness.wording import shown

KNOWN: Final[Mapping[str, str]] = {
    "list-append": "Elle's lists that transactions append to",
    "rw-register": "Elle's registers that transactions read and write",
    "long-fork": "parallel snapshots that do not agree",
    "bank": "transfers between accounts",
    "counter": "bounds of a counter's reads",
    "set": "elements of a set's last read",
    "set-full": "elements of all reads of a set",
    "comments": "later inserts seen without earlier ones",
    "sequential": "later inserts of a client seen without earlier ones",
    "mutex": "a linearizable lock",
    "register": "a linearizable register",
    "cas-register": "a linearizable register with compare-and-set",
    "multi-register": "linearizable registers read and written several at once",
    "kv": "a linearizable map with get, put and append",
}
"""Every model of elle-cli and of Porcupine's tests that people may ask for."""

SYNONYMS: Final[Mapping[str, str]] = {
    "append": "list-append",
    "wr": "rw-register",
    "kv-map": "kv",
    "unordered-queue": "queue",
    "ids": "unique-ids",
}
"""Other names, used where nothing has that name itself."""


_OF_MODELS: Final = frozenset(MODELS) | frozenset(CONSISTENCY)
"""Names that are explained too, and are models and no anomalies."""


def refuse_unknown(model: str, registry: Registry) -> None:
    """Raise ``UsageError`` if nothing judges ``model``; says so if it is only not built yet."""
    _candidates(model, registry)


def checker_for(model: str, history: History, registry: Registry) -> str:
    """The name of the checker that judges ``model`` on ``history``; ``UsageError`` if none does.

    elle-cli's ``sequential`` reads the parts of a key in reverse; where reads are single values
    it is the checker of that name, or of sessions, that is meant.
    """
    candidates = _candidates(model, registry)
    if model == "sequential" and len(candidates) > 1 and not _reads_are_lists(history):
        return candidates[1]
    return candidates[0]


def _candidates(model: str, registry: Registry) -> list[str]:
    built = registry.names("checkers")
    if model == "sequential":
        found = [name for name in ("insert-order", model, "session-monotonic") if name in built]
    elif model == "monotonic" and model not in built:
        found = [name for name in ("session-monotonic",) if name in built]
    else:
        found = [name for name in (model, SYNONYMS.get(model, "")) if name in built]
    if found:
        return found
    known = SYNONYMS.get(model, model)
    if known in KNOWN:
        raise UsageError(
            f"the model {shown(model)} ({KNOWN[known]}) is not built into this"
            " version; it is refused"
            " rather than judged by another",
            f"one of: {', '.join(built)}",
        )
    registry.get("checkers", model)  # raises, and names the nearest
    return [model]


def known_anomalies(names: Sequence[str]) -> Sequence[str]:
    """``names`` again; ``UsageError`` with the nearest if one is no anomaly that we know.

    One that nobody looks for would let every history pass.
    """
    known = [name for name in Registry().names("explanations") if name not in _OF_MODELS]
    for name in names:
        if name not in known:
            raise UsageError(unknown_name("anomaly", name, known))
    return names


def _reads_are_lists(history: History) -> bool:
    """Whether the first answered read is a list, or a key with a list."""
    for operation in history:
        if operation.is_client and operation.type == OK and operation.f == "read":
            return _ends_in_a_list(operation.value)
    return False


def _ends_in_a_list(value: Any) -> bool:
    if isinstance(value, list) and len(value) == 2 and not isinstance(value[0], list):
        return isinstance(value[1], list) or value[0] is None
    return isinstance(value, list)


def initial_state(text: str, parse: Any) -> Any:
    """``--initial``: JSON, or ``x=0,y=0`` for several registers (values JSON or plain words)."""
    try:
        return parse(text)
    except ValueError as error:
        pairs = [part.partition("=") for part in text.split(",")]
        if not all(middle and name.strip() for name, middle, _ in pairs):
            raise UsageError(
                f"--initial {shown(text)} is neither JSON nor NAME=VALUE,…: {error}"
            ) from error
    return {name.strip(): _scalar(value.strip(), parse) for name, _, value in pairs}


def _scalar(text: str, parse: Any) -> Any:
    try:
        return parse(text)
    except ValueError:
        return text


def joined(words: Iterable[str]) -> str:
    """Flags that may be given several times and hold commas, as one text."""
    return ",".join(words)
