"""The checker ``list-append``: transactions that read lists and append to them.

Lists tell their own history, so what :mod:`checkers.elle.lists` infers is all there is to know, and
the verdict follows from it (:mod:`checkers.elle.analysis`). Appends that the workload made of a get
and a put may be no system's doing (:mod:`checkers.isolation.list_append.put_lists`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from checkers.elle.analysis import analyse
from checkers.elle.commit_numbers import commit_numbers
from checkers.elle.lists.dependencies import APPENDS, duplicate_appends, infer, unexpected
from checkers.elle.lists.initial import (
    NoLists,
    appended_again,
    declared,
    misshapen,
    not_begun_with,
    without_initial,
)
from checkers.elle.lists.lookout import ListLookout
from checkers.elle.lists.versions import Versions, version_orders
from checkers.elle.options import Options
from checkers.elle.slices import slices
from checkers.elle.transactions import (
    ANSWER_ALL,
    Transactions,
    transactions,
)
from checkers.isolation.list_append.lost import with_lost
from checkers.isolation.list_append.put_lists import (
    APPENDS as APPENDS_MADE,
)
from checkers.isolation.list_append.put_lists import (
    GET_AND_PUT,
    are_registers,
    forbids_lost_updates,
    judged_as_registers,
)
from harness.history.columns import columns
from harness.history.operation import Header
from harness.verdict.lookout import Lookout
from harness.verdict.record import Record
from harness.verdict.steps import OTHER_MODEL, UNIQUE_VALUES
from harness.verdict.verdict import UNKNOWN, Budget, Checker, Verdict, untested


class ListAppend:
    """Judges transactions of ``["append", key, value]`` and ``["r", key, list]``.

    Options: those of :class:`checkers.elle.options.Options`; ``commit_order``, see
    :mod:`checkers.elle.commit_numbers`; the header's ``initial``
    (:mod:`checkers.elle.lists.initial`). What it promises:

    - values must be unique by key, answers must be those to what was asked, and there must be no
      other micro-operations: else nothing is said;
    - a read that shows what is no list (text, a number, a map) is never taken for a list; with
      one, or an ``ok`` that does not say what it read, nothing is called valid;
    - only reads of what was committed count, and all of them (:mod:`checkers.elle.lists.versions`);
    - what was acknowledged and is gone after recovery is lost, whatever the order of transactions
      (:mod:`checkers.isolation.list_append.lost`);
    - valid is only what a read could have told: some committed transaction read a list to which
      something was appended;
    - appends that the workload made of a get and a put (the header says so) are judged as puts
      (:mod:`checkers.isolation.list_append.put_lists`);
    - in a history of completions alone nothing is known of real time, so nothing that needs it
      is called valid.
    """

    name = "list-append"
    reads = frozenset({"history"})
    needs_no_times = True
    micro_operations = frozenset(("append", "r"))

    def __init__(self, options: Mapping[str, Any]) -> None:
        self.options = options

    def lookout(self, header: Header) -> Lookout | None:
        """Over the lists, where appends are the system's own."""
        return None if header.options.get(APPENDS_MADE) == GET_AND_PUT else ListLookout()

    def check(self, record: Record, budget: Budget) -> Verdict:
        """The verdict on all transactions of ``record``."""
        options = Options.of(self.options, record.header)
        found = transactions(columns(record.history), APPENDS)
        options = options if found.have_invocations else options.without_realtime()
        found = found if options.timed else found.without_times()
        if found.unexpected:
            return Verdict(valid=UNKNOWN, why=unexpected(found), settle=OTHER_MODEL)
        if found.unanswered:
            return Verdict(valid=UNKNOWN, why=found.unanswered, settle=ANSWER_ALL)
        doubts = {"no-answer": found.unread, "no-list": misshapen(found)}
        try:
            lists = declared(found, record.header.initial)
        except NoLists as error:
            return Verdict(valid=UNKNOWN, why=str(error), settle="declare lists, or nothing")
        whole, (found, odd) = found, without_initial(found, lists) if lists else (found, [])
        again = appended_again(found, lists)
        versions = version_orders(found, reading_proves=options.reading_proves)
        if versions.writers.duplicates or again >= 0:
            row = versions.writers.duplicates[0] if again < 0 else again
            why = duplicate_appends(found, row)
            return Verdict(valid=UNKNOWN, why=why, settle=UNIQUE_VALUES)
        numbered = self.options.get("commit_order") or record.header.options.get("commit_order")
        numbers = commit_numbers(found, numbered, record) if numbered else None
        inference = infer(found, versions, record, numbers)
        inference.doubts.update({kind: text for kind, text in doubts.items() if text})
        inference.anomalies["incompatible-order"] += not_begun_with(whole, odd, lists, record)
        verdict = options.as_asked(analyse(inference, options, record, budget))
        verdict = verdict if verdict.valid is not True else _tested(verdict, found, versions)
        if are_registers(record):
            verdict = judged_as_registers(verdict, options, self.options, record, budget)
            if not forbids_lost_updates(options):
                return verdict
        return with_lost(verdict, self.options, record)


def _tested(verdict: Verdict, found: Transactions, versions: Versions) -> Verdict:
    """``verdict``, which is valid, if some read could have told of an append."""
    appended = versions.writers.highest >= 0
    for some in slices(len(found.f)):
        if (versions.known[some] & appended[found.key[some]]).any():
            return verdict
    why = "no committed transaction read a list to which anything was appended"
    return untested(why, settle="transactions that read what others append", stats=verdict.stats)


CHECKERS: Final[Mapping[str, Callable[[Mapping[str, Any]], Checker]]] = {
    ListAppend.name: ListAppend
}
