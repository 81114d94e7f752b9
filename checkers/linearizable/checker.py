"""The checker ``linearizable``: every key a register that might as well sit in one place.

Keys are judged apart, which loses nothing (Herlihy & Wing, *Linearizability*, 1990: a history
is linearizable exactly if its part on each object is); :mod:`checkers.linearizable.judge_registers`
decides them. What is not decided when time or memory is spent is ``unknown`` and names the key; a
key proven wrong wins over it and is explained by :mod:`checkers.linearizable.explain`.
Contradictions that came about while a fault was in force are told first, for those are what a run
with faults looks for.

In a run a key may also have lost what was acknowledged (:mod:`checkers.linearizable.lost_writes`):
``lost-write``, which durability forbids whatever else is claimed, is told first.

What is promised beside: ``True`` needs an answer that could have been wrong (a read, a
compare-and-set that succeeded, what came out of a queue; of locks two answers), else nothing was
tested; keys without one are neutral beside others. Operations that the model does not have,
answers of another shape than the object's, and an initial state that it cannot begin with accuse
nobody: ``unknown`` names the place. Pairs are independent keys only as
:mod:`checkers.proof.independence` says. To a register any JSON is a value, and ``"1"`` is not 1.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from msgspec import structs

from checkers.linearizable.explain import (
    Proof,
    contradiction_proof,
    overwritten,
    unexplained,
    without_order,
)
from checkers.linearizable.judge_registers import Broken, Outcome, judge, judge_rows
from checkers.linearizable.lookout import RegisterLookout
from checkers.linearizable.lost_writes import Losses, losses, proofs_of
from checkers.linearizable.minimal import Part, minimal
from checkers.linearizable.object_models import OBJECTS, Sequential
from checkers.linearizable.register_entries import (
    INITIAL,
    NOTHING,
    KeyHistory,
    Unjudgeable,
    by_key,
    json_name,
    until,
)
from checkers.linearizable.register_models import CAS_REGISTER, MODELS, Model
from checkers.linearizable.search import Impossible, first_impossible
from checkers.linearizable.search_problem import Allowance, Exhausted
from checkers.linearizable.zones import NeverMade, earliest_contradiction, has_unique_values
from checkers.proof.faults_active import was_disturbed, while_it_ran
from checkers.proof.independence import agreed, independence
from harness.history.history import History
from harness.history.operation import Header
from harness.verdict.lookout import Lookout
from harness.verdict.record import Record
from harness.verdict.steps import SEARCH_LONGER
from harness.verdict.verdict import UNKNOWN, Anomaly, Budget, Verdict, untested
from harness.verdict.wording import shown

LONG: Final = 5_000
"""Records from which on a history is decided on columns."""
MOST_EXPLAINED: Final = 50
"""Keys that are explained; all are counted."""
READ: Final = "read what was written"
TWICE: Final = "a history in which the lock is taken or given back twice or more"
MEND: Final = "mend what is named there, or leave such operations out with --ignore-f"
EXPLAINING: Final = 10_000_000
"""Configurations for the search over a part that was found to have no order."""


class Linearizable:
    """Judges registers. Options (else the header's word): ``model``, ``initial``, ``independent``,
    ``nil_read_is_unknown``.

    ``model`` is ``register`` or ``cas-register`` (which takes plain registers too and is meant
    if none is named), or one of :mod:`checkers.linearizable.object_models`; ``initial`` is the
    state before the first operation, or a mapping from key to it; ``independent`` says that values
    are
    ``[key, value]``; with ``nil_read_is_unknown`` a read of nil says nothing, as in Knossos'
    models. That is the default for the histories of others (whose header names no model) where
    the initial value is not nil.
    """

    name = "linearizable"
    reads = frozenset({"history"})
    names_foreign = True

    def __init__(self, options: Mapping[str, Any], model: Model | Sequential | None = None) -> None:
        self.options = options
        self.model = model

    @property
    def operations(self) -> frozenset[str]:
        """The operations of the model, where its name says which it is."""
        named = self.model or self._known().get(self.options.get("model", ""))
        return frozenset() if named is None else named.functions

    def lookout(self, header: Header) -> Lookout | None:
        """Over plain registers that hold nil at first and keep what they acknowledge."""
        named = self.model.name if self.model is not None else header.model
        if named not in MODELS or header.initial is not None or header.not_durable:
            return None
        return RegisterLookout(independent=header.independent)

    def check(self, record: Record, budget: Budget) -> Verdict:
        """The verdict on all keys of ``record``."""
        independent = self._independent(record)
        if independent is not None:
            return self._judged(record, independent, budget)
        whole, by_key = (self._judged(record, keyed, budget) for keyed in (False, True))
        return agreed(whole, by_key)

    def _judged(self, record: Record, independent: bool, budget: Budget) -> Verdict:
        lost = Losses()
        try:
            model, reading = self._model(record), self._reading(record, independent)
            if isinstance(model, Sequential):
                outcome, proofs = _judged_objects(record.history, model, reading, budget)
            else:
                outcome = self._outcome(record.history, model, reading, budget)
                lost = losses(record, outcome.broken, self.options)
                proofs = [*proofs_of(record.history, lost), *_proofs(record, outcome, budget)]
        except Unjudgeable as error:
            return Verdict(
                valid=UNKNOWN, why=f"cannot be judged: {error}", settle=error.settle or MEND
            )
        return _verdict(record, outcome, proofs, model, lost)

    def _outcome(
        self, history: History, model: Model, reading: dict[str, Any], budget: Budget
    ) -> Outcome:
        """Decided on columns if the history is long, else on objects."""
        if len(history) >= LONG:
            from checkers.linearizable.register_columns import rows_of
            from harness.history.columns import columns

            split = structs.replace(history.header, independent=reading["independent"])
            rows = rows_of(columns(replace(history, header=split)), model, **reading)
            if rows is not None:
                return judge_rows(rows, _homes_of(history, model, reading), budget)
        return judge(by_key(history, model, **reading), budget)

    def _independent(self, record: Record) -> bool | None:
        """Whether values are ``[key, value]``; ``None`` where that cannot be told."""
        said = self.options.get("independent")
        return bool(said) if said is not None else independence(record.history)

    def _reading(self, record: Record, independent: bool) -> dict[str, Any]:
        """How values are to be read, by the options and the header."""
        header = record.header
        initial = self.options.get("initial", header.initial)
        is_foreign = header.model is None and initial is not None
        return {
            "independent": independent,
            "initial": initial,
            "nil_read_is_unknown": bool(self.options.get("nil_read_is_unknown", is_foreign)),
        }

    @staticmethod
    def _known() -> dict[str, Model | Sequential]:
        return {**OBJECTS, **MODELS}

    def _model(self, record: Record) -> Model | Sequential:
        if self.model is not None:
            return self.model
        name = self.options.get("model") or record.header.model or CAS_REGISTER.name
        if name == self.name:
            return CAS_REGISTER
        known = self._known()
        if name not in known:
            raise Unjudgeable(
                f"there is no model {shown(name)} (known: {', '.join(sorted(known))})"
            )
        return known[name]


def _judged_objects(
    history: History, model: Sequential, reading: dict[str, Any], budget: Budget
) -> tuple[Outcome, list[tuple[Broken, Proof]]]:
    """What became of the parts of another object, with the proofs of those that are wrong."""
    from checkers.linearizable import judge_objects  # a tenth of a second that registers need not

    outcome, wrongs = judge_objects.judge_objects(history, model, budget=budget, **reading)
    outcome.broken = [judge_objects.broken(wrong) for wrong in wrongs]
    proofs = []
    for broken, wrong in zip(outcome.broken[:MOST_EXPLAINED], wrongs, strict=False):
        try:
            proof = judge_objects.prove(history, wrong, budget)
        except Exception as error:
            proof = unexplained(history, broken.home, broken.late, error)
        proofs.append((broken, proof))
    return outcome, proofs


def _homes_of(
    history: History, model: Model, reading: dict[str, Any]
) -> Callable[[Sequence[Any]], list[KeyHistory]]:
    """What makes the objects of some keys of ``history``."""
    return lambda keys: by_key(history, model, **reading, only=set(map(json_name, keys)))


def _proofs(record: Record, outcome: Outcome, budget: Budget) -> list[tuple[Broken, Proof]]:
    """A proof for each, those with no fault in force first, then by time.

    One that cannot be told must not hide that the key is wrong.
    """
    history, proofs = record.history, []
    for broken in _to_explain(record, outcome):
        try:
            proof = prove(history, broken, budget)
        except Exception as error:
            proof = unexplained(history, broken.home, broken.late, error)
        proofs.append((broken, proof))

    def rank(told: tuple[Broken, Proof]) -> tuple[bool, int]:
        broken, proof = told
        return was_disturbed(record.faults, *proof.span_ns()), broken.late.complete

    return sorted(proofs, key=rank)


def _to_explain(record: Record, outcome: Outcome) -> list[Broken]:
    """Those that are explained, by time; if too many, those that broke without a fault first."""
    if len(outcome.broken) <= MOST_EXPLAINED:
        return outcome.broken
    operations = record.history.operations

    def is_disturbed(broken: Broken) -> bool:
        late = broken.late
        span_ns = (operations[late.at].time, operations[late.complete].time)
        return was_disturbed(record.faults, *span_ns)

    return sorted(outcome.broken, key=is_disturbed)[:MOST_EXPLAINED]


def prove(history: History, broken: Broken, budget: Budget) -> Proof:
    """The plainest proof at hand that ``broken`` has no order."""
    if not isinstance(broken.why, Impossible):
        return contradiction_proof(history, broken.home, broken.late, broken.why)
    plain = overwritten(history, broken.home, broken.late)
    if plain is not None:
        return plain
    past = until(broken.home.entries, broken.late.complete)
    if broken.late.seen not in {INITIAL, NOTHING, *(entry.made for entry in past)}:
        return contradiction_proof(history, broken.home, broken.late, NeverMade(broken.late))
    part = minimal(past, budget)
    if part.since is None and has_unique_values(part.entries):
        found = earliest_contradiction(part.entries)
        if found is not None:
            return contradiction_proof(
                history, replace(broken.home, entries=list(part.entries)), *found
            )
    try:
        impossible = first_impossible(part.entries, Allowance(EXPLAINING, budget), part.start)
    except Exhausted:
        impossible = None
    if impossible is None:
        return without_order(history, broken.home, Part(past), broken.why)
    return without_order(history, broken.home, part, impossible)


def _verdict(
    record: Record,
    outcome: Outcome,
    proofs: Sequence[tuple[Broken, Proof]],
    model: Model | Sequential,
    lost: Losses,
) -> Verdict:
    stats = {
        "keys": outcome.keys,
        "keys-invalid": [broken.home.key for broken in outcome.broken],
        "keys-unknown": sorted(outcome.undecided),
        "operations": outcome.operations,
        "keys-by-zones": outcome.by_zones,
        "configurations": outcome.visited,
        **lost.stats,
    }
    if outcome.broken:
        return Verdict(
            valid=False,
            why=_why_invalid(outcome, proofs[0][1], lost),
            anomalies=_anomalies(record, proofs),
            not_=("linearizable",),
            also_not=("strict-serializable",),
            stats=stats,
        )
    if outcome.undecided:
        why = _why_unknown(outcome)
        return Verdict(valid=UNKNOWN, why=why, settle=SEARCH_LONGER, stats=stats)
    if outcome.tested < model.least:
        return untested(model.lacking, settle=READ if model.least == 1 else TWICE, stats=stats)
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
                data={
                    "impossible": proof.narrator.index(proof.late),
                    "prefix": _last_before(record.history, broken.late.complete),
                    "tried": proof.tried(),
                },
            )
        )
    return anomalies


def _last_before(history: History, position: int) -> int:
    """The index of the last record up to which there is an order (-1 if there is none)."""
    if position == 0:
        return -1
    index = history.operations[position - 1].index
    return index if index >= 0 else position - 1


def _why_invalid(outcome: Outcome, first: Proof, lost: Losses) -> str:
    count = len(outcome.broken)
    of_keys = f"{count} of {outcome.keys} keys are not linearizable" if outcome.keys > 1 else ""
    told = ", ".join(part for part in (of_keys, lost.in_words(outcome.keys)) if part)
    return f"{told}; {first.headline}" if told else first.headline


def _why_unknown(outcome: Outcome) -> str:
    key, reason = next(iter(outcome.undecided.items()))
    name = "the object" if key == "nil" else f"key {key}"
    more = len(outcome.undecided) - 1
    others = f" (and {more} more keys)" if more else ""
    return f"{name} was not decided: {reason} were not enough{others}"
