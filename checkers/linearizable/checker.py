"""The checker ``linearizable``: every key a register that might as well sit in one place.

Keys are judged apart, which loses nothing (Herlihy & Wing, *Linearizability*, 1990: a history
is linearizable exactly if its part on each object is). A key whose values were each made once
is decided by :mod:`checkers.linearizable.zones`, any other by the exact search of
:mod:`checkers.linearizable.frontier`, in rounds: first all keys with little, then the hard ones
with more, so that no hard key starves the rest. What is not decided when time or memory is
spent is ``unknown`` and names the key; a key proven wrong wins over it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from checkers.faults_active import while_it_ran
from checkers.linearizable.entries import (
    Entry,
    KeyHistory,
    Unjudgeable,
    by_key,
    looks_independent,
    until,
)
from checkers.linearizable.explain import Proof, overwritten, told, untold, without_order
from checkers.linearizable.minimal import Part, minimal
from checkers.linearizable.models import CAS_REGISTER, MODELS, Model
from checkers.linearizable.problem import Allowance, Exhausted
from checkers.linearizable.prose import show
from checkers.linearizable.search import Impossible, first_impossible
from checkers.linearizable.zones import Contradiction, earliest_contradiction, has_unique_values
from harness.history.history import History
from harness.history.record import Record
from harness.history.verdict import UNKNOWN, Anomaly, Budget, Verdict

FIRST_ROUND: Final = 50_000
"""Configurations that each key may visit in the first round; eight times more in each next."""
ROUND_FACTOR: Final = 8
TOLD: Final = 50
"""Keys that are explained; all are counted."""
EXPLAINING: Final = 10_000_000
"""Configurations for the search over a part that was found to have no order."""


@dataclass(frozen=True)
class Broken:
    """A key without an order: the first impossible completion, and why."""

    home: KeyHistory
    late: Entry
    why: Contradiction | Impossible


@dataclass
class Outcome:
    """What became of all keys."""

    broken: list[Broken] = field(default_factory=list)
    undecided: dict[str, str] = field(default_factory=dict)
    by_zones: int = 0
    visited: int = 0


class Linearizable:
    """Judges registers. Options (else the header's word): ``model``, ``initial``, ``independent``,
    ``nil_read_is_unknown``.

    ``model`` is ``register`` or ``cas-register`` (which takes plain registers too and is meant
    if none is named); ``initial`` is the value before the first operation, or a mapping from key
    to it; ``independent`` says that values are ``[key, value]``; with ``nil_read_is_unknown`` a
    read of nil says nothing, as in Knossos' models. That is the default for the histories of
    others (whose header names no model) where the initial value is not nil.
    """

    name = "linearizable"
    reads = frozenset({"history"})

    def __init__(self, options: Mapping[str, Any], model: Model | None = None) -> None:
        self.options = options
        self.model = model

    def check(self, record: Record, budget: Budget) -> Verdict:
        """The verdict on all keys of ``record``."""
        try:
            homes = self._homes(record)
        except Unjudgeable as error:
            return Verdict(valid=UNKNOWN, why=f"cannot be judged: {error}")
        outcome = judge(homes, budget)
        proofs = _proofs(record.history, outcome, budget)
        return _verdict(record, homes, outcome, proofs)

    def _homes(self, record: Record) -> list[KeyHistory]:
        header = record.header
        independent = self.options.get("independent", header.independent)
        if not independent and header.model is None and "independent" not in self.options:
            independent = looks_independent(record.history)
        initial = self.options.get("initial", header.initial)
        is_foreign = header.model is None and initial is not None
        return by_key(
            record.history,
            self._model(record),
            independent=bool(independent),
            initial=initial,
            nil_read_is_unknown=bool(self.options.get("nil_read_is_unknown", is_foreign)),
        )

    def _model(self, record: Record) -> Model:
        if self.model is not None:
            return self.model
        name = self.options.get("model") or record.header.model or CAS_REGISTER.name
        if name == self.name:
            return CAS_REGISTER
        if name not in MODELS:
            raise Unjudgeable(f"there is no model {name!r} (known: {', '.join(sorted(MODELS))})")
        return MODELS[name]


def judge(homes: Sequence[KeyHistory], budget: Budget) -> Outcome:
    """Decide every key, as far as ``budget`` goes."""
    outcome = Outcome()
    waiting: list[KeyHistory] = []
    for home in homes:
        if not has_unique_values(home.entries):
            waiting.append(home)
            continue
        outcome.by_zones += 1
        found = earliest_contradiction(home.entries)
        if found is not None:
            outcome.broken.append(Broken(home, *found))
    configurations = FIRST_ROUND
    while waiting:
        waiting = _round(waiting, configurations, budget, outcome)
        configurations *= ROUND_FACTOR
    outcome.broken.sort(key=lambda broken: broken.late.complete)
    return outcome


def _round(
    homes: Sequence[KeyHistory], configurations: int, budget: Budget, outcome: Outcome
) -> list[KeyHistory]:
    """Search each key with an allowance of ``configurations``; the keys that want more."""
    left = []
    for home in homes:
        allowance = Allowance(configurations, budget)
        try:
            allowance.spend(0, 0)
            impossible = first_impossible(home.entries, allowance)
            if impossible is not None:
                outcome.broken.append(Broken(home, impossible.entry, impossible))
        except Exhausted as error:
            if error.more_would_help:
                left.append(home)
            else:
                outcome.undecided[show(home.key)] = str(error)
        outcome.visited += allowance.visited
    return left


def _proofs(history: History, outcome: Outcome, budget: Budget) -> list[tuple[Broken, Proof]]:
    """A proof for each; one that cannot be told must not hide that the key is wrong."""
    proofs = []
    for broken in outcome.broken[:TOLD]:
        try:
            proof = prove(history, broken, budget)
        except Exception as error:
            proof = untold(history, broken.home, broken.late, error)
        proofs.append((broken, proof))
    return proofs


def prove(history: History, broken: Broken, budget: Budget) -> Proof:
    """The plainest proof at hand that ``broken`` has no order."""
    if not isinstance(broken.why, Impossible):
        return told(history, broken.home, broken.late, broken.why)
    plain = overwritten(history, broken.home, broken.late)
    if plain is not None:
        return plain
    past = until(broken.home.entries, broken.late.complete)
    part = minimal(past, budget)
    if part.since is None and has_unique_values(part.entries):
        found = earliest_contradiction(part.entries)
        if found is not None:
            return told(history, replace(broken.home, entries=list(part.entries)), *found)
    try:
        impossible = first_impossible(part.entries, Allowance(EXPLAINING, budget), part.start)
    except Exhausted:
        impossible = None
    if impossible is None:
        return without_order(history, broken.home, Part(past), broken.why)
    return without_order(history, broken.home, part, impossible)


def _verdict(
    record: Record,
    homes: Sequence[KeyHistory],
    outcome: Outcome,
    proofs: Sequence[tuple[Broken, Proof]],
) -> Verdict:
    stats = {
        "keys": len(homes),
        "keys-invalid": [broken.home.key for broken in outcome.broken],
        "keys-unknown": sorted(outcome.undecided),
        "operations": sum(len(home.entries) for home in homes),
        "keys-by-zones": outcome.by_zones,
        "configurations": outcome.visited,
    }
    if outcome.broken:
        return Verdict(
            valid=False,
            why=_why_invalid(homes, outcome, proofs[0][1]),
            anomalies=_anomalies(record, proofs),
            not_=("linearizable",),
            also_not=("strict-serializable",),
            stats=stats,
        )
    if outcome.undecided:
        return Verdict(valid=UNKNOWN, why=_why_unknown(outcome), stats=stats)
    return Verdict(valid=True, stats=stats)


def _anomalies(record: Record, proofs: Sequence[tuple[Broken, Proof]]) -> dict[str, list[Anomaly]]:
    anomalies: dict[str, list[Anomaly]] = {}
    for broken, proof in proofs:
        faults = while_it_ran(record.faults, *proof.span_ns())
        anomalies.setdefault(proof.kind, []).append(
            Anomaly(
                message="\n".join([proof.text(), *([faults] if faults else [])]),
                witness=proof.narrator.witness(),
                key=broken.home.key,
                data={"impossible": proof.narrator.index(proof.late)},
            )
        )
    return anomalies


def _why_invalid(homes: Sequence[KeyHistory], outcome: Outcome, first: Proof) -> str:
    count = len(outcome.broken)
    of_keys = f"{count} of {len(homes)} keys are not linearizable; " if len(homes) > 1 else ""
    return f"{of_keys}{first.headline}"


def _why_unknown(outcome: Outcome) -> str:
    key, reason = next(iter(outcome.undecided.items()))
    name = "the register" if key == "nil" else f"key {key}"
    more = len(outcome.undecided) - 1
    others = f" (and {more} more keys)" if more else ""
    return f"{name} was not decided: {reason} were not enough{others}"
