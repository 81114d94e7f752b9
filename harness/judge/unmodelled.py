"""Operations that a checker's model does not know: never passed over in silence.

Nobody knows what a ``remove`` did to a set whose model has ``add`` and ``read``: an accusation
and a pass would both be built on it. So where a checker says which operations its model has
(:class:`harness.verdict.verdict.Checker`), client operations of other names that may have
happened make its answer unknown, which names them. Failed ones certainly did not happen.

A history without a single operation of the model is no history for it, which is a mistake of
whoever asked and not a matter of doubt: refused, with the kinds that were found.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.errors import UsageError
from harness.history.history import History
from harness.history.operation import FAIL
from harness.plugins import BUILT_IN, Found, Registry
from harness.verdict.record import Record
from harness.verdict.steps import OTHER_MODEL
from harness.verdict.verdict import UNKNOWN, Checker, Verdict, untested

Counts = Mapping[str, Mapping[str, int]]
"""Client operations by f: how many ended ``ok``, ``fail`` and ``info``."""
SHOWN = 8


def unmodelled(checker: Checker, name: str, counts: Counts) -> Verdict | None:
    """Unknown where ``counts`` holds what the checker called ``name`` does not know."""
    known: frozenset[str] = getattr(checker, "operations", frozenset())
    if not known or not counts or getattr(checker, "names_foreign", False):
        return None
    others = {f: sum(ends.values()) - ends.get(FAIL, 0) for f, ends in counts.items()}
    foreign = {f: count for f, count in others.items() if f not in known and count}
    if not foreign:
        if any(f in known for f in counts):
            return None
        why = f"the history has no operation of {name}, only {_kinds(counts)}"
        return untested(why, settle=OTHER_MODEL)
    told = ", ".join(f"{count} {f}" for f, count in sorted(foreign.items()))
    return Verdict(
        valid=UNKNOWN,
        why=f"{name} does not know what these operations do: {told}"
        f" (it knows {', '.join(sorted(known))})",
        settle=f"polygraph check FILE|RUN --ignore-f {','.join(sorted(foreign))} judges without"
        " them, if they do not touch what the checker judges; else a checker that models them",
        stats={"foreign": foreign},
    )


def refuse_other_models(
    record: Record, names: Sequence[str], options: Mapping[str, Any], registry: Registry
) -> None:
    """``UsageError`` if no operation of the history is one of a checker called one of ``names``.

    Checkers that do not say what they know take whatever there is.
    """
    counts = record.history.outcomes
    found = registry.found("checkers")
    asked = [_declared(found[name], options) for name in names if name in found]
    if not counts or not asked:
        return
    if any(each.fits_some(record.history, counts) for each in asked):
        return
    fitting = _fitting(record.history, counts, options, registry)
    models = f"fitting: -m {' or '.join(fitting[:SHOWN])}" if fitting else "polygraph list"
    known = sorted({f for each in asked for f in (*each.operations, *each.steps)})
    raise UsageError(
        f"the history has no operation of {', '.join(names)} ({', '.join(known)});"
        f" what it has: {_kinds(counts)}",
        models,
    )


def _kinds(counts: Counts) -> str:
    return ", ".join(f"{sum(ends.values())} {f}" for f, ends in sorted(counts.items()))


@dataclass(frozen=True)
class _Declared:
    """The names of operations and of steps of transactions that a checker says it knows."""

    operations: frozenset[str]
    steps: frozenset[str]

    def fits_some(self, history: History, counts: Counts) -> bool:
        """Whether some operation is one of the model; also where the checker does not say."""
        if not self.operations and not self.steps:
            return True
        if any(f in self.operations for f in counts):
            return True
        return bool(self.steps) and _has_transactions(history)

    def fit(self, history: History, counts: Counts) -> tuple[int, int]:
        """How many kinds of operations are the model's, and how few others it has; more is better.

        By what the checker says, so nothing fits one that does not say.
        """
        if self.steps and _has_transactions(history):
            return len(counts), -len(self.steps)
        return len(self.operations & set(counts)), -len(self.operations)


def _fitting(
    history: History, counts: Counts, options: Mapping[str, Any], registry: Registry
) -> list[str]:
    """Our checkers that know most kinds of the operations, those with the fewest others first."""
    fits = {
        name: _declared(found, options).fit(history, counts)
        for name, found in registry.usable("checkers", BUILT_IN).items()
    }
    most = max((known for known, _ in fits.values()), default=0)
    best = [name for name, (known, _) in fits.items() if known == most > 0]
    return sorted(best, key=lambda name: -fits[name][1])


def _declared(found: Found, options: Mapping[str, Any]) -> _Declared:
    """What a checker declares: of ours the object says it, of a plug-in's only the class.

    Making an object of somebody else's is left to where it is judged, apart and watched over.
    """
    said = found.factory(options) if found.origin == BUILT_IN else found.factory
    return _Declared(
        operations=getattr(said, "operations", None) or frozenset(),
        steps=getattr(said, "micro_operations", None) or frozenset(),
    )


def _has_transactions(history: History) -> bool:
    """Whether some client's value is a list of micro-operations, an empty one included.

    Such lists may stand behind an independent key.
    """
    if history.prepared is not None and len(history.prepared.micro.txn):
        return True
    return any(
        _is_steps(operation.value) or (_is_pair(operation.value) and _is_steps(operation.value[1]))
        for operation in history
        if operation.is_client
    )


def _is_pair(value: Any) -> bool:
    return isinstance(value, list | tuple) and len(value) == 2


def _is_steps(value: Any) -> bool:
    return isinstance(value, list | tuple) and all(
        isinstance(step, list | tuple) and bool(step) and isinstance(step[0], str) for step in value
    )
