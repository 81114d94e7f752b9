"""The verdict on a register history, from what was decided of the models asked for.

If every model asked for is one that is decided here, the answer is complete. Else the weakest one
from which all that is asked for follows can prove it, and one that follows from it can break it.
Where a model is broken, the weaker ones are looked at, too: the proof told is of the weakest.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from checkers.elle.models import canonical, friendly, implied_models, stronger_models, weakest
from checkers.elle.options import Options
from checkers.elle.rw_versions import Versions
from checkers.isolation.decide import Decision, decide
from checkers.isolation.problem import (
    LEVELS,
    OF_SESSIONS,
    PROCESS,
    REALTIME,
    Level,
    Problem,
    problem,
)
from checkers.isolation.telling import ANOMALIES, told
from harness.history.record import Record
from harness.history.verdict import UNKNOWN, Anomaly, Budget, Verdict

MOST_WEAKER: Final = 50_000
"""Transactions up to which weaker models are looked at, too, where one is broken."""
HOW: Final = {
    "guess": "an order of all turns, guessed from what is recorded and replayed",
    "rules": "an order of all turns that keeps what the reads tell of it, replayed",
    "choices": "an order of all turns, chosen by a solver and replayed",
}
SAME: Final = ("PL-2.99", "view-serializable", "PL-3")
"""Models that fall with plain serializability, whichever of them was asked for."""


def answer(known: Versions, options: Options, record: Record, budget: Budget) -> Verdict | None:
    """The verdict; ``None`` if nothing that is asked for is decided here."""
    if options.anomalies:
        return None
    levels = _levels(options)
    asked = [canonical(model) for model in options.consistency_models]
    exact = all(model in levels for model in asked)
    proving, breaking = _targets(asked, levels)
    if not exact and not proving and not breaking:
        return None
    stated = problem(known)
    if stated is None:
        return None
    made: dict[str, Decision] = {}

    def of(model: str) -> Decision:
        if model not in made:
            made[model] = decide(stated, levels[model], budget)
        return made[model]

    if exact:
        held = [model for model in breaking if of(model).holds is True]
        if len(held) == len(breaking):
            return _valid(made[held[0]])
    elif proving and of(proving).holds is True:
        return _valid(made[proving])
    broken = [model for model in breaking if of(model).holds is False]
    if broken:
        return _broken(stated, levels, made, broken, record, budget)
    open_ = next((one for one in made.values() if one.holds is None), None)
    if open_ is None:
        return None
    return Verdict(valid=UNKNOWN, why=open_.why, settle=open_.settle, stats=open_.stats)


def _levels(options: Options) -> Mapping[str, Level]:
    """The levels that can be told of a history."""
    if not options.timed:
        kept = {m: level for m, level in LEVELS.items() if level.keeps == PROCESS}
        return {**kept, "prefix": OF_SESSIONS}
    return {m: level for m, level in LEVELS.items() if options.realtime or level.keeps != REALTIME}


def _targets(asked: list[str], levels: Mapping[str, Level]) -> tuple[str, list[str]]:
    """The weakest level that proves all that is asked for, and the strongest that break it."""
    wanted = frozenset(asked)
    proving = next((model for model in levels if wanted <= implied_models([model])), "")
    implied = [model for model in levels if model in implied_models(asked)]
    strongest = [
        model
        for model in implied
        if not any(model != other and model in implied_models([other]) for other in implied)
    ]
    return proving, strongest


def _valid(one: Decision) -> Verdict:
    return Verdict(valid=True, stats={"proved_by": HOW[one.how], **one.stats})


def _broken(
    stated: Problem,
    levels: Mapping[str, Level],
    made: dict[str, Decision],
    broken: list[str],
    record: Record,
    budget: Budget,
) -> Verdict:
    """The verdict with the proof of the weakest model that is broken."""
    model = broken[0]
    out = {*_alike(model)}
    if len(stated) <= MOST_WEAKER:
        weaker = [
            other
            for other in levels
            if other in implied_models([broken[0]]) and other not in SAME[:2]
        ]
        for other in weaker:
            if other in made or out & implied_models([other]):
                continue
            made[other] = decide(stated, levels[other], budget)
            if made[other].holds is False:
                out = {*out, *_alike(other)}
    least = weakest(out)
    proved = [model, *(other for other in levels if other in least and other in made)]
    anomalies: dict[str, list[Anomaly]] = {}
    for other in proved:
        refutation, level = made[other].refutation, levels[other]
        if refutation is not None and ANOMALIES[level.kind] not in anomalies:
            anomalies[ANOMALIES[level.kind]] = [told(refutation, stated, level, record)]
    return Verdict(
        valid=False,
        why=f"{' and '.join(anomalies)}, which {friendly(model)} forbids",
        anomalies=anomalies,
        not_=tuple(sorted(map(friendly, least))),
        also_not=tuple(sorted(map(friendly, stronger_models(out) - least))),
        stats=made[model].stats,
    )


def _alike(model: str) -> tuple[str, ...]:
    return SAME if model in SAME else (model,)
