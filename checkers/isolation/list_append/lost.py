"""Acknowledged appends that are gone after recovery: what no order of transactions shows.

A database that loses the end of its log (``synchronous_commit=off``, and a crash) forgets a suffix
of its transactions. Whoever read of them was forgotten with them, so all that was forgotten can
stand *behind* every other transaction: the history is serializable, and no cycle of Elle's will
ever say otherwise. But what was acknowledged has to last, at every level of isolation
(:mod:`checkers.proof.promises`). Lists only grow, so an append is *lost* if

* it was acknowledged before the last reads of its key began, those after recovery, and
* none of these shows it. They are made on every node, and again while the nodes differ.

Judged are runs alone (a file does not tell when recovery was), and not where durability is
disclaimed. Cost: one pass over the history.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from checkers.proof.findings import Findings
from checkers.proof.promises import promises
from harness.history.calls import Call, calls, name, short
from harness.history.operation import is_transaction
from harness.verdict.record import Record
from harness.verdict.verdict import Verdict

LOST: Final = "lost"


def with_lost(verdict: Verdict, options: Mapping[str, Any], record: Record) -> Verdict:
    """``verdict`` on the order of all transactions, and what of them is lost."""
    promised = promises(record, options)
    if not promised.is_run or promised.recovered_ns is None or promised.not_durable:
        return verdict
    findings = Findings(record)
    _find(findings, calls(record.history), promised.recovered_ns)
    if not findings.counts:
        return verdict
    told = verdict.why if verdict.valid is False else ""
    return replace(
        verdict,
        valid=False,
        why=f"{told}; {findings.cases}" if told else str(findings.cases),
        anomalies={**verdict.anomalies, LOST: findings.cases.shown[LOST]},
        stats={**verdict.stats, "lost-count": findings.counts[LOST]},
    )


def _find(findings: Findings, found: Sequence[Call], recovered_ns: int) -> None:
    transactions = [call for call in found if call.ok and is_transaction(call.answer)]
    last: dict[Any, list[Call]] = {}
    shown: dict[Any, set[Any]] = {}
    for call in transactions:
        if call.invocation.time < recovered_ns or any(f != "r" for f, _, _ in call.answer):
            continue
        for _, key, value in call.answer:
            last.setdefault(name(key), []).append(call)
            shown.setdefault(name(key), set()).update(map(name, value or ()))
    for call in transactions:
        for key, element in _appended(call):
            reads = last.get(name(key), ())
            begin = min((read.start for read in reads), default=-1)
            if call.end < begin and name(element) not in shown[name(key)]:
                _report(findings, call, reads, key, element)


def _appended(call: Call) -> Iterator[tuple[Any, Any]]:
    return ((key, element) for f, key, element in call.answer if f == "append")


def _report(
    findings: Findings, append: Call, reads: Sequence[Call], key: Any, element: Any
) -> None:
    read = min(reads, key=lambda call: call.start)
    value = next(value for _, at, value in read.answer if name(at) == name(key))
    end = short(list(value or ())[-8:])
    rest = f", and so are {len(reads) - 1} further reads after recovery" if len(reads) > 1 else ""
    reasons = [
        f"T1 appended {short(element)} to {short(key)}, and was acknowledged before T2 began.",
        f"T2 was made after recovery, and {short(key)} is without it{rest}; it ends with {end}.",
        "Nothing takes an element out of a list, so what was acknowledged is lost. (In the order"
        " of transactions that may show nowhere: who saw it may be lost with it.)",
    ]
    findings.add(LOST, [append, read], reasons, element=element, list=key)
