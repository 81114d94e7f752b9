"""The checker ``rw-register``: transactions that read registers and write them.

A write replaces a value blindly and a read tells one value, so the order of a key's versions has
to be put together (:mod:`checkers.elle.registers.versions`). From a partial order follow the
dependencies:

- wr: who wrote a version, to who read it;
- ww: who wrote a version, to who wrote one that comes after it;
- rw: who read a version, to who wrote one that comes after it.

What is promised of reads: every one of a committed transaction counts, not only the first of a
key; a transaction that reads what it writes only later, or does not find what it wrote, is wrong
at every level; what an info reads proves nothing until a committed transaction has read from it
(:mod:`checkers.elle.registers.reads`). The initial state is nil or what is declared; lists are
values like others (:mod:`checkers.elle.registers.values`). No assumption on the order of versions
hides any of that. Transactions without an invocation are judged as without a begin in real time,
and where no invocation was recorded, models of real time can be broken (by sessions) and not
proved. A history in which no ok transaction read anything is not tested.

An order of versions that is only partly known leaves dependencies unknown, and a history that
breaks its model may then show no cycle (Elle calls it valid). Here it is valid only if that is
proved: the model asked for needs no more than is known (up to read-committed, any order of the
versions will do that goes with the cycle-free graph), or the order of every key is known, or an
order of all transactions is found that explains every read
(:mod:`checkers.elle.registers.serial_order`). Otherwise the answer is unknown. Before that, if
strict serializability is asked for, the order of versions that it demands by itself (that of real
time) is tried: a cycle then rules out that model, and no weaker one.

Cost: sorting micro-operations, and edges from the readers of a version to the next ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

import numpy as np

from checkers.elle.analysis import Inference, analyse
from checkers.elle.commit_numbers import commit_numbers
from checkers.elle.explain import Teller, show
from checkers.elle.graph import RW, WR, WW, Graph
from checkers.elle.options import Options
from checkers.elle.registers import consistent_view
from checkers.elle.registers.anomalies import direct_anomalies
from checkers.elle.registers.exhaustive import MOST_TRANSACTIONS, settle
from checkers.elle.registers.reasons import RegisterReasons
from checkers.elle.registers.serial_order import is_explained
from checkers.elle.registers.versions import (
    Edges,
    Order,
    Versions,
    agreed_order,
    commit_order,
    linearizable_keys,
    sequential_keys,
    versions,
    writes_follow_reads,
)
from checkers.elle.registers.weak_models import with_weak_models
from checkers.elle.transactions import OK, Int64s, Transactions, transactions
from checkers.isolation.rw_register.question import question
from checkers.proof.models import canonical, implied_models
from harness.history.columns import columns
from harness.verdict.record import Record
from harness.verdict.verdict import UNKNOWN, Budget, Verdict, untested

WRITES: Final = frozenset(("w", "write"))
MOST_PAIRS: Final = 20_000_000
"""Edges from readers of versions to the writers of the next; more are not drawn."""
ANSWER_ALL: Final = (
    "complete each transaction with the micro-operations that it was invoked with, reads filled in"
)
OTHER_CHECKER: Final = (
    "-m list-append, where lists are appended to; rw-register judges w and r alone (polygraph list)"
)
UNIQUE_VALUES: Final = (
    "a history in which no value is written twice to a key, nor the one that was there first"
)
STRICT: Final = "strict-serializable"
ELLE: Final = "elle"
ASSUMPTIONS: Final = ("wfr_keys", "sequential_keys", "linearizable_keys", "commit_order")
MOST_NAMED: Final = 20_000
"""Transactions up to which a broken model's weaker ones are looked at by what each sees."""
NOTHING_DEPENDS: Final = "empty-transaction-graph"
NOT_SOUGHT: Final = "no proof was sought"
LINEARIZABLE_KEYS: Final = "linearizable_keys"
REALTIME: Final = frozenset(("realtime",))
WITHOUT_VERSIONS: Final = implied_models(["strong-read-committed"])
"""Models of which the absence of cycles of known dependencies is proof enough."""


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
        if found.unanswered or found.untold:
            return Verdict(valid=UNKNOWN, why=found.unanswered or found.untold, settle=ANSWER_ALL)
        initial = record.header.initial
        known = versions(found, initial, infos=sees_what_committed(options))
        if len(known.written_twice):
            return Verdict(valid=UNKNOWN, why=duplicate_writes(known), settle=UNIQUE_VALUES)
        verdict = self._decided(record, options, known, budget)
        if verdict.valid is True and not (found.status[found.txn[known.reads.rows]] == OK).any():
            return untested(
                "no ok transaction read anything, so no answer could have been wrong",
                settle="record transactions that read what others write",
                stats=verdict.stats,
            )
        return verdict

    def _decided(
        self, record: Record, options: Options, known: Versions, budget: Budget
    ) -> Verdict:
        assumed = {**record.header.options, **self.options}
        if assumed.get("inference") == ELLE:
            return options.as_asked(self._judged(record, options, known, assumed, budget))
        asked = question(known, options)
        if asked is None:
            return options.as_asked(self._otherwise(record, options, known, assumed, budget))
        assumes = any(assumed.get(name) for name in ASSUMPTIONS)
        found = None if assumes else asked.guessed()
        if found is not None:
            return options.as_asked(found)
        verdict = self._judged(record, options, known, assumed, budget, seek=False)
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
            verdict = with_weak_models(inferred, known, options, record)
            if verdict.valid is False:
                return verdict
        if found.not_ == (STRICT,) and is_strict(options):
            in_time = {**assumed, LINEARIZABLE_KEYS: True}
            strict = self._judged(record, options, known, in_time, budget, seek=False)
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
        verdict = self._judged(record, options, known, assumed, budget)
        verdict = with_weak_models(verdict, known, options, record)
        if verdict.valid == UNKNOWN and is_strict(options) and not assumed.get(LINEARIZABLE_KEYS):
            strict = self._judged(
                record, options, known, {**assumed, LINEARIZABLE_KEYS: True}, budget
            )
            if strict.valid is False:
                return _only_strict(strict)
        if verdict.valid == UNKNOWN and len(found) <= MOST_TRANSACTIONS:
            order = agreed_order(known, sources(known, assumed, record))
            graph = infer(known, order, record).graph
            verdict = settle(verdict, known, graph, options, record)
            verdict = consistent_view.decided(verdict, known, options, Teller(found, record))
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

    def _judged(
        self,
        record: Record,
        options: Options,
        known: Versions,
        assumed: Mapping[str, Any],
        budget: Budget,
        *,
        seek: bool = True,
    ) -> Verdict:
        """What is inferred; ``seek`` a proof where that shows nothing wrong."""
        order = agreed_order(known, sources(known, assumed, record))
        inference = infer(known, order, record)
        kinds = {kind for kind, cases in inference.anomalies.items() if cases}
        if not seek:
            inference.incomplete = NOT_SOUGHT
        elif not kinds & options.prohibited:
            inference.incomplete = why_incomplete(inference, order, options, budget)
        return analyse(inference, options, record, budget)


def sees_what_committed(options: Options) -> bool:
    """Whether a model asked for says that only what committed may be seen."""
    return "G1a" in options.prohibited


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


def unexpected(found: Transactions) -> str:
    """Why other micro-operations leave the history undecided."""
    return (
        "unexpected-txn-micro-op-types: a register history has w and r alone, and this one has "
        + ", ".join(found.unexpected)
    )


def duplicate_writes(known: Versions) -> str:
    """Why a value that was written twice (or a nil) leaves the history undecided."""
    version = int(known.written_twice[0])
    key = show(known.found.keys[int(known.key[version])])
    rows = np.flatnonzero(known.of == version)[:5]
    indices = ", ".join(str(known.found.index(int(txn))) for txn in known.found.txn[rows])
    if known.value[version] < 0:
        what = "null" if known.name(version) is None else show(known.name(version))
        means = "absent" if known.name(version) is None else "the declared initial state"
        return (
            f"nil-writes: {what} was written to key {key} (indices {indices}), which means {means}"
        )
    return (
        f"duplicate-writes: {show(known.name(version))} was written to key {key} more than once"
        f" (touched at indices {indices}), so no read tells which write it saw; values must be"
        " unique by key"
    )


def sources(known: Versions, options: Mapping[str, Any], record: Record) -> list[Edges]:
    """What the options say of the order of versions.

    A key that is sequential or linearizable is so inside a transaction, too: there, too, what was
    written last follows what was read first.
    """
    found: list[Edges] = []
    if options.get("commit_order"):
        numbers = commit_numbers(known.found, options["commit_order"], record)
        found.append(commit_order(known, numbers))
    if any(options.get(name) for name in ("wfr_keys", "sequential_keys", "linearizable_keys")):
        found.append(writes_follow_reads(known))
    if options.get("sequential_keys"):
        found.append(sequential_keys(known))
    if options.get("linearizable_keys"):
        found.append(linearizable_keys(known))
    return found


def infer(known: Versions, order: Order, record: Record) -> Inference:
    """Dependencies and anomalies of a history with unique writes."""
    found = known.found
    graph = Graph(found)
    reader, read = found.txn[known.external], known.of[known.external]
    graph.add(WR, known.writer[read], reader)
    before, after = order.joined()
    graph.add(WW, known.writer[before], known.writer[after])
    before, after = _with_initial(known, before, after)
    pairs = _readers_and_next(known, before, after)
    if pairs is not None:
        graph.add(RW, *pairs)
    doubts = {}
    if pairs is None:
        doubts["too-many-edges"] = "more readers and next writers than can be drawn as edges"
    if len(known.reads.overwritten):
        doubts["own-write-overwritten"] = (
            "a transaction read another one's value over what it had written itself: if both wrote"
            " it at once, below read committed that may be"
        )
    return Inference(
        graph=graph,
        reasons=RegisterReasons(known, order),
        anomalies=direct_anomalies(known, order, record),
        doubts=doubts,
        stats={
            "transactions": len(found),
            "micro_operations": len(found.f),
            "keys": len(found.keys),
            "version_order_sources": [part.source for part in order.agreed],
        },
    )


def _with_initial(known: Versions, before: Int64s, after: Int64s) -> tuple[Int64s, Int64s]:
    """The edges, and those from nil to the versions of which no other is known to come before.

    The others follow from these by ww, except where the version between has no writer.
    """
    is_least = np.asarray(known.writer >= 0)
    is_least[after[known.writer[before] >= 0]] = False
    least = np.flatnonzero(is_least)
    return (
        np.concatenate((before, known.nil[known.key[least]])),
        np.concatenate((after, least)),
    )


def _readers_and_next(
    known: Versions, before: Int64s, after: Int64s
) -> tuple[Int64s, Int64s] | None:
    """Each reader of a version with each writer of a next one; ``None`` if they are too many."""
    written = known.writer[after] >= 0
    before, after = before[written], after[written]
    order = np.argsort(before, kind="stable")
    before, after = before[order], after[order]
    read = known.of[known.external]
    low = np.searchsorted(before, read, side="left")
    count = np.searchsorted(before, read, side="right") - low
    total = int(count.sum())
    if total > MOST_PAIRS:
        return None
    within = np.arange(total) - np.repeat(np.cumsum(count) - count, count)
    reader = np.repeat(known.found.txn[known.external], count)
    writer = known.writer[after[np.repeat(low, count) + within]]
    return reader.astype(np.int64), writer.astype(np.int64)


def why_incomplete(inference: Inference, order: Order, options: Options, budget: Budget) -> str:
    """Why the absence of cycles would prove nothing; empty if it proves the models asked for."""
    if all(canonical(model) in WITHOUT_VERSIONS for model in options.consistency_models):
        return ""
    known = order.known
    loose = _loose_key(order)
    if loose is None:
        inference.stats["proved_by"] = "the order of every key's versions is known"
        return ""
    needed = options.orders()
    tries = [REALTIME] if "realtime" in needed else [REALTIME, needed]  # the first one is quicker
    tries = tries if options.timed else [needed]
    if any(is_explained(known, inference.graph, orders, budget) for orders in tries):
        inference.stats["proved_by"] = "an order of all transactions that explains every read"
        return ""
    return (
        f"the order of the versions of key {show(known.found.keys[loose])} is not wholly known, so"
        " a cycle may not show; and no order of all transactions was found that explains every"
        " read (it would help to assume more of the order, or to append to lists)"
    )


def _loose_key(order: Order) -> int | None:
    """A key with two versions that may have been installed in either order, or ``None``."""
    known = order.known
    installed = np.asarray(known.writer >= 0)
    count = np.bincount(known.key[installed], minlength=len(known.found.keys))
    before, after = order.joined()
    inside = installed[before] & installed[after]
    before, after = before[inside], after[inside]
    pairs = np.bincount(known.key[before], minlength=len(count))
    too_few = np.flatnonzero(pairs < count - 1)
    if len(too_few):
        return int(too_few[0])
    next_one: dict[int, list[int]] = {}
    for first, second in zip(before.tolist(), after.tolist(), strict=True):
        next_one.setdefault(first, []).append(second)
    for key in np.flatnonzero(count > 1).tolist():
        here = np.flatnonzero(installed & (known.key == key)).tolist()
        if _longest_chain(here, next_one) < len(here):
            return key
    return None


def _longest_chain(versions_of_key: list[int], next_one: Mapping[int, list[int]]) -> int:
    """How many versions the longest chain of a key has; the order has no cycle."""
    waits = dict.fromkeys(versions_of_key, 0)
    for version in versions_of_key:
        for after in next_one.get(version, ()):
            waits[after] += 1
    length = dict.fromkeys(versions_of_key, 1)
    ready = [version for version, count in waits.items() if not count]
    while ready:
        version = ready.pop()
        for after in next_one.get(version, ()):
            length[after] = max(length[after], length[version] + 1)
            waits[after] -= 1
            if not waits[after]:
                ready.append(after)
    return max(length.values(), default=0)
