"""From anomalies to a verdict against the claim, for the checkers that look for one thing.

An anomaly has a *meaning*: the anomalies of Elle's catalogue that it is, or the models that it
contradicts. Together with the lattice of :mod:`checkers.proof.models` that says which models are
ruled out. As Elle does, an anomaly that no claimed model forbids leaves the answer valid (write
skew is what snapshot isolation allows); it is then counted under ``permitted``. Where nothing is
claimed, every anomaly makes the answer invalid.

*Valid* needs more than that nothing was found: some answer that, had it been another, would have
been an anomaly, and a claim that forbids what the checker is there for (write skew at read
committed can never fail; that it also tells thin air by the way makes no test of write skew).
Without that nothing was tested, and the answer is unknown. Nor is it valid where what was found may
break a claimed model that it does not decide (``undecided``).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from checkers.proof.cases import Cases
from checkers.proof.models import (
    IN_NO_HISTORY,
    MODELS,
    canonical,
    friendly,
    impossible,
    stronger_models,
    weakest,
)
from harness.verdict import verdict
from harness.verdict.record import Record
from harness.verdict.steps import DECIDES_THE_CLAIM, MEND_ANSWERS, Settle, Step
from harness.verdict.verdict import UNKNOWN, Verdict

MORE: Final = "a history with more answered operations of this checker, on the same keys"
STRONGER: Final = Step(
    "judge against a stronger model, if the system promises one (polygraph check RUN -c"
    " serializable)",
    "judge against a stronger model, if the system promises one (-c serializable)",
)


@dataclass(frozen=True, kw_only=True)
class Meaning:
    """What an anomaly is, in Elle's names, and models that it contradicts by itself.

    ``undecided`` are weaker models that it may contradict, which this anomaly does not tell.
    """

    anomalies: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    undecided: tuple[str, ...] = ()

    def rules_out(self) -> frozenset[str]:
        """The models that cannot hold where the anomaly is."""
        if IN_NO_HISTORY & set(self.anomalies):
            return MODELS
        return impossible(self.anomalies) | stronger_models(self.models)


def claims(record: Record, options: Mapping[str, Any]) -> tuple[str, ...]:
    """The models to judge against: by option, else by the history's header."""
    for found in (options.get("consistency_models"), options.get("claims"), record.header.claims):
        if found:
            names = found.split(",") if isinstance(found, str) else found
            return tuple(name.strip() for name in names if name.strip())
    return ()


def judged(
    record: Record,
    options: Mapping[str, Any],
    cases: Cases,
    meanings: Mapping[str, Meaning],
    *,
    stats: Mapping[str, Any],
    tested: Iterable[str],
    untested: str,
    unknown: str = "",
    settle: Settle = MEND_ANSWERS,
) -> Verdict:
    """The verdict on ``cases``.

    ``tested``: the anomalies that the checker is there for, if some answer could have been wrong;
    ``untested`` says what was missing where there is none. ``unknown`` says why the absence of all
    would prove nothing, ``settle`` what would.
    """
    out = frozenset[str]().union(*(meanings[kind].rules_out() for kind in cases.counts))
    claimed = claims(record, options)
    broken = [model for model in claimed if canonical(model) in out]
    facts = dict(stats)
    if cases.counts and (broken or not claimed):
        least = weakest(out)
        return Verdict(
            valid=False,
            why=f"found {cases}",
            anomalies=cases.shown,
            not_=tuple(sorted(friendly(model) for model in least)),
            also_not=tuple(sorted(friendly(model) for model in out - least)),
            stats=facts,
        )
    if cases.counts:
        facts["permitted"] = dict(cases.counts)
    doubt = _doubted(cases, meanings, claimed)
    if unknown:
        return Verdict(valid=UNKNOWN, why=unknown, stats=facts, settle=settle)
    if doubt:
        return Verdict(valid=UNKNOWN, why=doubt, stats=facts, settle=DECIDES_THE_CLAIM)
    shown = list(tested)
    if not shown:
        return verdict.untested(untested, stats=facts, settle=MORE)
    if claimed and not any(touches(claimed, meanings[kind]) for kind in shown):
        names, models = " or ".join(sorted(set(shown))), " nor ".join(claimed)
        return verdict.untested(f"{models} does not forbid {names}", stats=facts, settle=STRONGER)
    return Verdict(valid=True, stats=facts)


def forbids(claimed: Iterable[str], meaning: Meaning) -> bool:
    """Whether some claimed model cannot hold where an anomaly of this meaning is."""
    out = meaning.rules_out()
    return any(canonical(model) in out for model in claimed)


def touches(claimed: Iterable[str], meaning: Meaning) -> bool:
    """Whether some claimed model cannot hold, or may not, where an anomaly of this meaning is."""
    out = meaning.rules_out() | stronger_models(meaning.undecided)
    return any(canonical(model) in out for model in claimed)


def _doubted(cases: Cases, meanings: Mapping[str, Meaning], claimed: Iterable[str]) -> str:
    """Why a claimed model is not decided by what was found; empty if it is."""
    names = [canonical(model) for model in claimed]
    for kind in cases.counts:
        unclear = stronger_models(meanings[kind].undecided)
        for name in names:
            if name in unclear:
                return f"found {kind}, which may break {friendly(name)} or not"
    return ""
