"""The checker ``rw-register``: transactions that read registers and write them.

What is inferred of the order of versions (:mod:`checkers.elle.registers`) mostly leaves it open,
so an order of all turns is looked for, or shown not to be there
(:mod:`checkers.isolation.rw_register.question`); where that says nothing of the models asked for,
inference, weak models and, of a small history, all orders are tried.

What is promised of reads: every one of a committed transaction counts, not only the first of a
key; a transaction that reads what it writes only later, or does not find what it wrote, is wrong
at every level; what an info reads proves nothing until a committed transaction has read from it
(:mod:`checkers.elle.registers.reads`). The initial state is nil or what is declared; lists are
values like others (:mod:`checkers.elle.registers.values`). No assumption on the order of versions
hides any of that. Transactions without an invocation are judged as without a begin in real time,
and where no invocation was recorded, models of real time can be broken (by sessions) and not
proved. A history in which no ok transaction read anything is not tested.

If strict serializability is asked for, the order of versions that it demands by itself (that of
real time) is tried before the answer is unknown: a cycle then rules out that model, and no weaker
one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final

from checkers.elle.explain import Explainer
from checkers.elle.options import Options
from checkers.elle.registers import consistent_view
from checkers.elle.registers.by_inference import by_inference
from checkers.elle.registers.dependencies import (
    WRITES,
    duplicate_writes,
    infer,
    sources,
    unexpected,
)
from checkers.elle.registers.duplicates import doubt
from checkers.elle.registers.exhaustive import MOST_TRANSACTIONS, settle
from checkers.elle.registers.versions import (
    Versions,
    agreed_order,
    versions,
)
from checkers.elle.registers.weak_models import is_weak, with_weak_models
from checkers.elle.transactions import ANSWER_ALL, OK, transactions
from checkers.isolation.rw_register.open_reads import explained
from checkers.isolation.rw_register.question import answer_open, question
from checkers.isolation.rw_register.weak_levels import contradiction
from checkers.proof.models import canonical
from harness.history.columns import columns
from harness.verdict.record import Record
from harness.verdict.steps import UNIQUE_VALUES, Step
from harness.verdict.verdict import UNKNOWN, Budget, Checker, Verdict, untested

OTHER_CHECKER: Final = Step(
    "polygraph check RUN -m list-append, where lists are appended to; rw-register judges w and r"
    " alone (polygraph list)",
    "-m list-append, where lists are appended to; rw-register judges w and r alone"
    " (polygraph list)",
)
STRICT: Final = "strict-serializable"
ELLE: Final = "elle"
ASSUMPTIONS: Final = ("wfr_keys", "sequential_keys", "linearizable_keys", "commit_order")
MOST_NAMED: Final = 20_000
"""Transactions up to which a broken model's weaker ones are looked at by what each sees."""
NOTHING_DEPENDS: Final = "empty-transaction-graph"
LINEARIZABLE_KEYS: Final = "linearizable_keys"


class RwRegister:
    """Judges transactions of ``["w", key, value]`` and ``["r", key, value]``.

    Options: those of :class:`checkers.elle.options.Options`; ``wfr_keys``, ``sequential_keys`` and
    ``linearizable_keys`` (true: assume it of the system), else as the header's options say;
    ``commit_order``, see :mod:`checkers.elle.commit_numbers`; ``inference``: ``complete``, or
    ``elle`` for what is inferred from known orders alone. Values must be unique by key.
    """

    name = "rw-register"
    reads = frozenset({"history"})
    needs_no_times = True
    micro_operations = frozenset(("w", "write", "r", "read"))

    def __init__(self, options: Mapping[str, Any]) -> None:
        self.options = options

    def check(self, record: Record, budget: Budget) -> Verdict:
        """The verdict on all transactions of ``record``."""
        options = Options.of(self.options, record.header)
        found = transactions(columns(record.history), WRITES, of_lists=False)
        options = options if found.have_invocations else options.without_realtime()
        found = found if options.timed else found.without_times()
        if found.unexpected:
            return Verdict(valid=UNKNOWN, why=unexpected(found), settle=OTHER_CHECKER)
        if found.unanswered or found.unread:
            return Verdict(valid=UNKNOWN, why=found.unanswered or found.unread, settle=ANSWER_ALL)
        initial = record.header.initial
        known = versions(found, initial, infos=sees_what_committed(options))
        if len(known.written_twice):
            return self._of_several(record, options, known, budget)
        return _tested(self._decided(record, options, known, budget), known)

    def _of_several(
        self, record: Record, options: Options, known: Versions, budget: Budget
    ) -> Verdict:
        """The verdict where values are not unique: what is so whichever writer a read read of."""
        in_doubt = Verdict(valid=UNKNOWN, why=duplicate_writes(known), settle=UNIQUE_VALUES)
        if not sees_what_committed(options) or not sees_whole_transactions(options):
            return in_doubt
        some = doubt(known, record.header.initial)
        relaxed = some.relaxed()
        verdict = self._decided(record, options, relaxed, budget)
        if verdict.valid is False or not some.groups:
            return _tested(verdict, relaxed)
        verdict = self._decided(record, options, explained(some), budget)
        if verdict.valid is True:
            return _tested(verdict, explained(some))
        assumed = {**record.header.options, **self.options}
        if assumed.get("inference") == ELLE or any(assumed.get(name) for name in ASSUMPTIONS):
            return in_doubt
        found = answer_open(some, options, record, budget)
        return in_doubt if found is None else options.as_asked(found)

    def _decided(
        self, record: Record, options: Options, known: Versions, budget: Budget
    ) -> Verdict:
        assumed = {**record.header.options, **self.options}
        if assumed.get("inference") == ELLE:
            return options.as_asked(by_inference(record, options, known, assumed, budget))
        assumes = any(assumed.get(name) for name in ASSUMPTIONS)
        if is_weak(options) and not assumes:
            verdict = by_inference(record, options, known, assumed, budget, seek=False)
            verdict = with_weak_models(verdict, known, options, record, contradiction)
            if verdict.valid != UNKNOWN or NOTHING_DEPENDS in verdict.anomalies:
                return options.as_asked(verdict)
        asked = question(known, options)
        if asked is None:
            return options.as_asked(self._otherwise(record, options, known, assumed, budget))
        found = None if assumes else asked.guessed()
        if found is not None:
            return options.as_asked(found)
        verdict = by_inference(record, options, known, assumed, budget, seek=False)
        if verdict.valid is False or NOTHING_DEPENDS in verdict.anomalies:
            return options.as_asked(verdict)
        found = asked.answer(record, budget)
        if found is not None and found.valid is True:
            return options.as_asked(found)
        if found is not None and found.valid is False:
            named = self._named(record, options, known, assumed, budget, found, verdict)
            return options.as_asked(named)
        verdict = self._otherwise(record, options, known, assumed, budget)
        if found is not None and verdict.valid == UNKNOWN and not verdict.anomalies:
            verdict = replace(verdict, why=found.why, settle=found.settle)
        return options.as_asked(verdict)

    def _named(
        self,
        record: Record,
        options: Options,
        known: Versions,
        assumed: Mapping[str, Any],
        budget: Budget,
        found: Verdict,
        inferred: Verdict,
    ) -> Verdict:
        """``found``, or what weak models and real time by itself call it if they see it, too."""
        if len(known.found) <= MOST_NAMED:
            verdict = with_weak_models(inferred, known, options, record, contradiction)
            if verdict.valid is False:
                return verdict
        if found.not_ == (STRICT,) and is_strict(options):
            in_time = {**assumed, LINEARIZABLE_KEYS: True}
            strict = by_inference(record, options, known, in_time, budget, seek=False)
            if strict.valid is False:
                return _only_strict(strict)
        return found

    def _otherwise(
        self,
        record: Record,
        options: Options,
        known: Versions,
        assumed: Mapping[str, Any],
        budget: Budget,
    ) -> Verdict:
        """The verdict where no order of all turns decides what was asked."""
        found = known.found
        verdict = by_inference(record, options, known, assumed, budget)
        verdict = with_weak_models(verdict, known, options, record, contradiction)
        if verdict.valid == UNKNOWN and is_strict(options) and not assumed.get(LINEARIZABLE_KEYS):
            strict = by_inference(
                record, options, known, {**assumed, LINEARIZABLE_KEYS: True}, budget
            )
            if strict.valid is False:
                return _only_strict(strict)
        if verdict.valid == UNKNOWN and len(found) <= MOST_TRANSACTIONS:
            order = agreed_order(known, sources(known, assumed, record))
            graph = infer(known, order, record).graph
            verdict = settle(verdict, known, graph, options, record)
            verdict = consistent_view.decided(verdict, known, options, Explainer(found, record))
        if verdict.valid == UNKNOWN and len(options.asked) > 1 and not verdict.anomalies:
            return self._one_by_one(verdict, options, record, budget)
        return verdict

    def _one_by_one(
        self, verdict: Verdict, options: Options, record: Record, budget: Budget
    ) -> Verdict:
        """Several models that are not decided together: by each alone, as far as that goes."""
        alone = [
            RwRegister({**self.options, "consistency_models": (model,)}).check(record, budget)
            for model in options.asked
        ]
        broken = [one for one in alone if one.valid is False]
        if broken:
            return broken[0]
        if all(one.valid is True for one in alone):
            return replace(alone[0], stats={**verdict.stats, **alone[0].stats})
        return options.as_asked(verdict)


def sees_what_committed(options: Options) -> bool:
    """Whether a model asked for says that only what committed may be seen."""
    return "G1a" in options.prohibited


def sees_whole_transactions(options: Options) -> bool:
    """Whether a model asked for says that no write is seen that its writer overwrote."""
    return "G1b" in options.prohibited


def _tested(verdict: Verdict, known: Versions) -> Verdict:
    """``verdict``, unless it is *valid* of a history in which no answer could have been wrong."""
    found = known.found
    if verdict.valid is not True or (found.status[found.txn[known.reads.rows]] == OK).any():
        return verdict
    return untested(
        "no ok transaction read anything, so no answer could have been wrong",
        settle="record transactions that read what others write",
        stats=verdict.stats,
    )


def is_strict(options: Options) -> bool:
    """Whether strict serializability is asked for.

    It demands by itself that every key is linearizable: whatever breaks that order of versions,
    or makes a cycle with it, breaks strict serializability, and need not break anything weaker.
    """
    return options.timed and any(
        canonical(model) == canonical(STRICT) for model in options.consistency_models
    )


def _only_strict(verdict: Verdict) -> Verdict:
    """A verdict found with an order of versions that only strict serializability demands."""
    why = f"{verdict.why} (the order of versions in real time is taken from what it demands)"
    return replace(verdict, why=why, not_=(STRICT,), also_not=())


CHECKERS: Final[Mapping[str, Callable[[Mapping[str, Any]], Checker]]] = {
    RwRegister.name: RwRegister
}
