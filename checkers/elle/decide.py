"""From what was found to the answer, as Elle decides (txn.clj, ``result-map``).

*Prohibited* is what the models asked for forbid, with all that implies it. A prohibited anomaly
makes ``False``; an unknown-making one ``"unknown"``. ``not`` are the weakest models that all
that was found rules out, ``also not`` the stronger ones.

Where nothing prohibited was found, Elle answers ``true`` whatever the model. Here that stands
only for models whose breach would have shown: others are ``"unknown"``, with the reason.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from checkers.elle.inference import Inference
from checkers.elle.options import Options
from checkers.elle.search import Findings
from checkers.elle.transactions import ANSWER_ALL
from checkers.proof.models import (
    EXISTENCE,
    EXISTS,
    UNKNOWN_MAKING,
    boundary,
    friendly,
    impossible,
)
from checkers.proof.words import all_of
from harness.verdict.steps import (
    MEND_ANSWERS,
    MORE_MEMORY,
    ORDER_MORE,
    SEARCH_CYCLES_LONGER,
    STRONGER_CLAIM,
    Settle,
)
from harness.verdict.verdict import UNKNOWN, Anomaly, Valid, Verdict

SETTLED_BY: Final[Mapping[str, Settle]] = {
    "cycle-search-timeout": SEARCH_CYCLES_LONGER,
    "no-answer": ANSWER_ALL,
    "no-list": MEND_ANSWERS,
    "too-many-edges": MORE_MEMORY,
    "own-write-overwritten": STRONGER_CLAIM,
}


def decide(
    inference: Inference,
    cycles: Mapping[str, list[Anomaly]],
    options: Options,
    findings: Findings,
) -> Verdict:
    """The verdict on all anomalies, of cycles and others."""
    found = {**inference.anomalies, **cycles}
    found = {kind: cases for kind, cases in found.items() if cases}
    prohibited = options.prohibited
    bad = sorted(found.keys() & prohibited)
    doubts = doubts_of(inference, found)
    reportable = {k: found[k] for k in sorted(found) if k in prohibited or k in UNKNOWN_MAKING}
    shown = without_redundant(reportable)
    figures = {**inference.stats, **findings.stats, "models": list(options.consistency_models)}
    beside = sorted(found.keys() - reportable.keys() - {m + EXISTS for m in EXISTENCE})
    if beside:
        figures["found_beside"] = beside
    valid: Valid = False if bad else UNKNOWN if doubts else True
    why = why_not(valid, shown, doubts, options)
    if valid is True:
        undecided = options.undecided(impossible(found), findings.unproved, findings.searched)
        if not undecided and not inference.incomplete:
            return Verdict(valid=True, stats=figures)
        valid, why = UNKNOWN, why_undecided(undecided, inference.incomplete)
    settle = settled_by(doubts) if valid == UNKNOWN else ""
    least, stronger = boundary(found.keys() - set(UNKNOWN_MAKING))
    least = (*least, *options.fallen(found))
    return Verdict(
        valid=valid,
        why=why,
        settle=settle,
        anomalies=shown,
        not_=least,
        also_not=stronger,
        stats=figures,
    )


def settled_by(doubts: Iterable[str]) -> Settle:
    """What would settle the first of ``doubts`` that has a step of its own; else more order."""
    return next((SETTLED_BY[kind] for kind in doubts if kind in SETTLED_BY), ORDER_MORE)


def doubts_of(inference: Inference, found: Mapping[str, Sequence[Anomaly]]) -> dict[str, str]:
    """What makes the answer unknown, by name, with a sentence each."""
    doubts = dict(inference.doubts)
    for kind in UNKNOWN_MAKING:
        if kind in found:
            doubts.setdefault(kind, found[kind][0].message)
    return doubts


def without_redundant(found: Mapping[str, list[Anomaly]]) -> dict[str, list[Anomaly]]:
    """``found`` without cycles that only exist where other anomalies rule out the same model."""
    others = [kind for kind in found if not kind.endswith(EXISTS)]
    out = impossible(others)
    redundant = {model + EXISTS for model in EXISTENCE if model in out}
    return {kind: cases for kind, cases in found.items() if kind not in redundant}


def why_not(
    valid: Valid,
    shown: Mapping[str, Sequence[Anomaly]],
    doubts: Mapping[str, str],
    options: Options,
) -> str:
    """One sentence, empty for a valid history."""
    if valid is False:
        told = [kind for kind in shown if kind not in UNKNOWN_MAKING]
        models = ", ".join(friendly(model) for model in options.consistency_models)
        return f"{all_of(_counted(shown, told))}, which {models} forbids"
    return " ".join(f"{kind}: {text}" for kind, text in doubts.items())


def _counted(found: Mapping[str, Sequence[Anomaly]], kinds: Iterable[str]) -> list[str]:
    return [f"{kind} ({len(found[kind])})" if len(found[kind]) > 1 else kind for kind in kinds]


def why_undecided(models: Sequence[str], incomplete: str) -> str:
    """Why no anomaly is no proof here."""
    if not models:
        return incomplete
    return (
        f"no anomaly was found that {', '.join(models)} forbids, but what was observed does not "
        f"prove that it holds: no stronger model holds either, and this one asks for more than "
        f"can be inferred"
    )
