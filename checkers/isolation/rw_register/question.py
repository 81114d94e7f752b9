"""The verdict on a register history, from what was decided of the models asked for.

If every model asked for is one that is decided here, the answer is complete. Else the weakest one
from which all that is asked for follows can prove it, and one that follows from it can break it.
Where a model is broken, the weaker ones are looked at, too: the proof told is of the weakest.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from checkers.elle.options import Options
from checkers.elle.registers.duplicates import Doubt
from checkers.elle.registers.versions import Versions
from checkers.isolation.rw_register.decision import Decision, decide, guessed
from checkers.isolation.rw_register.open_reads import Chosen, decide_open, supposition
from checkers.isolation.rw_register.problem import (
    LEVELS,
    OF_SESSIONS,
    PROCESS,
    REALTIME,
    Level,
    Problem,
    problem,
)
from checkers.isolation.rw_register.prose import NAMES, refutation_anomaly
from checkers.proof.models import canonical, friendly, implied_models, stronger_models, weakest
from harness.verdict.record import Record
from harness.verdict.verdict import UNKNOWN, Anomaly, Budget, Verdict

MOST_WEAKER: Final = 50_000
"""Transactions up to which weaker models are looked at, too, where one is broken."""
MOST_PROOFS: Final = 10
HOW: Final = {
    "guess": "an order of all turns, guessed from what is recorded and replayed",
    "rules": "an order of all turns that keeps what the reads tell of it, replayed",
    "choices": "an order of all turns, chosen by a solver and replayed",
}
SAME: Final = ("PL-2.99", "view-serializable", "PL-3")
"""Models that fall with plain serializability, whichever of them was asked for."""


@dataclass
class Question:
    """A history and the levels that tell of what is asked, with what is known of each so far.

    ``strongest`` are the strongest that follow from what is asked for; ``exact``: they are all that
    is asked for. Else ``proving`` is the weakest from which all of it follows, if there is one.
    """

    stated: Problem
    levels: Mapping[str, Level]
    exact: bool
    proving: str
    strongest: list[str]
    made: dict[str, Decision] = field(default_factory=dict)

    def guessed(self) -> Verdict | None:
        """The verdict if first guesses are right, and some transaction depends on another one."""
        if not self.stated.depends:
            return None
        wanted = self.strongest if self.exact else [self.proving] if self.proving else []
        for model in wanted:
            made = guessed(self.stated, self.levels[model])
            if made is None:
                return None
            self.made[model] = made
        return _valid(self.made[wanted[0]]) if wanted else None

    def answer(self, record: Record, budget: Budget) -> Verdict | None:
        """The verdict; ``None`` if what was decided says nothing of what is asked for."""
        if self.exact:
            if all(self._of(model, budget).holds is True for model in self.strongest):
                return _valid(self.made[self.strongest[0]])
        elif self.proving and self._of(self.proving, budget).holds is True:
            return _valid(self.made[self.proving])
        for model in self.strongest:
            if self._of(model, budget).holds is False:
                return self._broken(model, record, budget)
        open_ = next((one for one in self.made.values() if one.holds is None), None)
        if open_ is None:
            return None
        return Verdict(valid=UNKNOWN, why=open_.why, settle=open_.settle, stats=open_.stats)

    def _of(self, model: str, budget: Budget) -> Decision:
        if model not in self.made:
            self.made[model] = decide(self.stated, self.levels[model], budget)
        return self.made[model]

    def _broken(self, model: str, record: Record, budget: Budget) -> Verdict:
        """The verdict with the proof at the level asked for, and of the weakest that is broken."""
        out = {*_alike(model)}
        for other in self.levels if len(self.stated) <= MOST_WEAKER else ():
            if other not in implied_models([model]) or other in SAME[:2]:
                continue
            if not out & implied_models([other]) and self._of(other, budget).holds is False:
                out |= {*_alike(other)}
        least = weakest(out)
        anomalies: dict[str, list[Anomaly]] = {}
        for other in (model, *(other for other in self.levels if other in least)):
            made, level = self.made.get(other), self.levels[other]
            if made and made.refutation and NAMES[level.kind] not in anomalies:
                case = refutation_anomaly(made.refutation, self.stated, level, record)
                anomalies[NAMES[level.kind]] = [case]
        return Verdict(
            valid=False,
            why=f"{' and '.join(anomalies)}, which {friendly(model)} forbids",
            anomalies=anomalies,
            not_=tuple(sorted(map(friendly, least))),
            also_not=tuple(sorted(map(friendly, stronger_models(out) - least))),
            stats=self.made[model].stats,
        )


def question(known: Versions, options: Options) -> Question | None:
    """What is to be decided; ``None`` if nothing that is asked for is decided here."""
    if options.anomalies:
        return None
    levels = _levels(options)
    asked = [canonical(model) for model in options.consistency_models]
    proving, strongest = _targets(asked, levels)
    exact = all(model in levels for model in asked)
    if not exact and not proving and not strongest:
        return None
    stated = problem(known)
    if stated is None:
        return None
    return Question(stated, levels, exact, proving, strongest)


def answer_open(doubt: Doubt, options: Options, record: Record, budget: Budget) -> Verdict | None:
    """The verdict where whom some reads read is open; ``None`` if nothing asked for is decided."""
    if options.anomalies:
        return None
    levels = _levels(options)
    asked = [canonical(model) for model in options.consistency_models]
    proving, strongest = _targets(asked, levels)
    exact = all(model in levels for model in asked)
    if not exact and proving:
        made = decide_open(doubt, levels[proving], budget)
        if made.holds is True:
            return _valid(made.decision)
    all_: list[Chosen] = []
    for model in strongest:
        made = decide_open(doubt, levels[model], budget)
        if made.holds is False:
            return _broken_open(doubt, model, levels[model], made, record)
        all_.append(made)
    if exact and all(made.holds is True for made in all_):
        return _valid(all_[0].decision)
    undecided = next((made.decision for made in all_ if made.holds is None), None)
    if undecided is None:
        return None
    return Verdict(valid=UNKNOWN, why=undecided.why, settle=undecided.settle, stats=undecided.stats)


def _broken_open(doubt: Doubt, model: str, level: Level, made: Chosen, record: Record) -> Verdict:
    """The verdict with some of the proofs, one for each way to choose whom was read."""
    out = {*_alike(model)}
    least = weakest(out)
    cases = []
    for ruled in made.ruled:
        if ruled.refutation is None or ruled.problem is None:
            continue
        case = refutation_anomaly(ruled.refutation, ruled.problem, level, record)
        before = supposition(doubt, ruled.ruling)
        cases.append(replace(case, message=f"{before}{case.message}"))
    return Verdict(
        valid=False,
        why=f"{NAMES[level.kind]}, which {friendly(model)} forbids, whichever of the writers of a"
        " value that was written more than once was read",
        anomalies={NAMES[level.kind]: cases[:MOST_PROOFS]},
        not_=tuple(sorted(map(friendly, least))),
        also_not=tuple(sorted(map(friendly, stronger_models(out) - least))),
        stats=made.decision.stats,
    )


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


def _alike(model: str) -> tuple[str, ...]:
    return SAME if model in SAME else (model,)
