"""Asks :mod:`~.weak_saturation` where cycles of dependencies leave a model open.

Elle's inference says nothing of read atomicity or causality beyond what stronger models forbid,
for sessions without times read committed means more than Adya's, and where the order of versions is
not known even snapshot isolation mostly stays open. If the weak model that a model implies is
broken, so is that model; if all models asked for are weak ones, what is not broken holds.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Protocol

from checkers.elle.explain import Explainer
from checkers.elle.options import OF_SESSIONS, Options
from checkers.elle.registers.versions import Versions
from checkers.elle.registers.weak_saturation import (
    CAUSAL,
    READ_ATOMIC,
    READ_COMMITTED,
    Step,
    contradiction,
)
from checkers.proof.models import (
    UNKNOWN_MAKING,
    canonical,
    friendly,
    implied_models,
    stronger_models,
)
from harness.verdict.record import Record
from harness.verdict.verdict import Anomaly, Verdict

NO_ORDER: Final = "no-commit-order"
_SESSION_SI: Final = "strong-session-snapshot-isolation"


@dataclass(frozen=True)
class _Weak:
    """What a transaction sees, whether sessions count, and the models that fall with it.

    Whether sessions count in read atomicity and in ``causal-cerone`` is told one way and another;
    so they are broken without them, and proved with them.
    """

    kind: str
    sessions: bool
    models: tuple[str, ...]


_OF_MODEL: Final[Mapping[str, _Weak]] = {
    "read-atomic": _Weak(READ_ATOMIC, False, ("read-atomic",)),
    "causal-cerone": _Weak(CAUSAL, False, ("causal-cerone",)),
    "causal": _Weak(CAUSAL, True, ("causal", _SESSION_SI)),
}
_SESSION_PL2: Final = OF_SESSIONS["PL-2"]
_UNTIMED: Final[Mapping[str, _Weak]] = {
    canonical(_SESSION_PL2): _Weak(READ_COMMITTED, True, (_SESSION_PL2,)),
    "read-atomic": _Weak(READ_ATOMIC, True, ("read-atomic",)),
    "causal-cerone": _Weak(CAUSAL, True, ("causal-cerone", "causal")),
    "causal": _Weak(CAUSAL, True, ("causal-cerone", "causal")),
}


class Contradiction(Protocol):
    """:func:`checkers.elle.registers.weak_saturation.contradiction`, or what answers alike."""

    def __call__(self, known: Versions, kind: str, *, sessions: bool) -> list[Step] | None:
        """A cycle of what the order of commits must be."""


def is_weak(options: Options) -> bool:
    """Whether all that is asked for is decided here."""
    table = _OF_MODEL if options.timed else _UNTIMED
    asked = map(canonical, options.consistency_models)
    return all(model in table for model in asked) and not options.anomalies


def with_weak_models(
    verdict: Verdict,
    known: Versions,
    options: Options,
    record: Record,
    contradiction: Contradiction = contradiction,
) -> Verdict:
    """``verdict``, decided if it is open and can be."""
    table = _OF_MODEL if options.timed else _UNTIMED
    asked = [canonical(model) for model in options.consistency_models]
    are_weak = is_weak(options)
    if verdict.valid is False or (verdict.valid is True and (options.timed or not are_weak)):
        return verdict
    if set(verdict.anomalies) & {*UNKNOWN_MAKING}:
        return verdict
    decided = are_weak
    for model in asked:
        for weak in _implied(model, table):
            steps = contradiction(known, weak.kind, sessions=weak.sessions)
            if steps:
                return _broken(verdict, model, weak, steps, Explainer(known.found, record))
            decided &= steps is not None
            if are_weak and not weak.sessions:
                decided &= contradiction(known, weak.kind, sessions=True) == []
    if not decided:
        return verdict
    figures = {**verdict.stats, "proved_by": "an order of commits that goes with every read"}
    return Verdict(valid=True, stats=figures)


def _implied(model: str, table: Mapping[str, _Weak]) -> Iterator[_Weak]:
    """What of ``table`` must hold where ``model`` does, beside what others of these imply."""
    implied = implied_models([model])
    if model in table:
        yield table[model]
    elif "causal-cerone" in implied:
        yield table["causal-cerone"]
        if _SESSION_SI in implied:
            yield table["causal"]
    elif "read-atomic" in implied:
        yield table["read-atomic"]


def _broken(
    verdict: Verdict, model: str, weak: _Weak, steps: list[Step], explainer: Explainer
) -> Verdict:
    """The proof that no order of commits goes with what was read."""
    least = {canonical(name) for name in weak.models}
    stronger = stronger_models(least) - least
    return Verdict(
        valid=False,
        why=f"{NO_ORDER}, which {friendly(model)} forbids",
        anomalies={**verdict.anomalies, NO_ORDER: [_proof(steps, explainer)]},
        not_=tuple(sorted(map(friendly, least))),
        also_not=tuple(sorted(map(friendly, stronger))),
        stats=verdict.stats,
    )


def _proof(steps: list[Step], explainer: Explainer) -> Anomaly:
    names: dict[int, str] = {}
    for txn in (*(step.before for step in steps), *(step.witness for step in steps)):
        if txn >= 0:
            names.setdefault(txn, f"T{len(names) + 1}")
    lines = []
    for place, step in enumerate(steps, 1):
        a, b, c = names[step.before], names[step.after], names.get(step.witness, "")
        text = step.text.replace("{a}", a).replace("{b}", b).replace("{c}", c)
        is_last = place == len(steps)
        however, end = ("However, ", ": a contradiction!") if is_last else ("", ".")
        lines.append(f"  - {however}{a} < {b}, because {text}{end}")
    return explainer.anomaly(list(names), "\n".join(["Then:", *lines]))
