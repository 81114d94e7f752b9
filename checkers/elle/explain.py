"""Proofs in words, in Elle's form.

    Let:
      T1 = {…}
      T2 = {…}

    Then:
      - T1 < T2, because T1 did not observe T2's append of 8 to key 255.
      - However, T2 < T1, because T1 observed T2's append of 3 to key 253: a contradiction!

followed by the faults that were active from the first invocation to the last completion.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

from checkers.elle.cycles import Cycle
from checkers.elle.graph import LABELS, PROCESS, REALTIME
from checkers.elle.inference import Reason, Reasons
from checkers.elle.search import Exists, TimedOut
from checkers.elle.transactions import Transactions
from checkers.proof.faults_active import while_it_ran
from checkers.proof.models import EXISTS, friendly
from checkers.proof.words import shortened, then
from harness.history.calls import is_measured
from harness.history.values import told
from harness.verdict.record import Record
from harness.verdict.verdict import Anomaly

LONGEST_LIST: Final = 40
_STATUS: Final = {1: "ok", 2: "fail", 3: "info"}


class Explainer:
    """Tells of transactions of one record."""

    def __init__(self, transactions: Transactions, record: Record) -> None:
        self.transactions = transactions
        self.record = record

    def transaction(self, number: int) -> str:
        """One transaction: its place in the history and its micro-operations."""
        found = self.transactions
        columns = found.columns
        invoke, complete = int(found.invoke[number]), int(found.complete[number])
        status = _STATUS[int(found.status[number])]
        parts = [f"index {found.index(number)}", f"process {int(found.process[number])}", status]
        times = [
            _seconds(columns.time[place])
            for place in (invoke, complete)
            if found.are_timed and 0 <= place < found.never and _is_measured(found, place)
        ]
        if len(times) == 2:
            parts.append(f"from {times[0]} to {times[1]}")
        elif times:
            parts.append(f"{'invoked' if invoke >= 0 else 'completed'} at {times[0]}")
        return f"{{{', '.join(parts)}: {show_micro_operations(found.micro_operations(number))}}}"

    def let(self, numbers: Sequence[int]) -> str:
        """``Let:`` with a line for each transaction, named T1, T2, …"""
        lines = [f"  T{n} = {self.transaction(t)}" for n, t in enumerate(numbers, 1)]
        return "\n".join(["Let:", *lines])

    def faults(self, numbers: Sequence[int]) -> str:
        """The faults active while the transactions ran, as a sentence; empty without a ledger."""
        found, time = self.transactions, self.transactions.columns.time
        if not numbers or not found.never or not found.are_timed:
            return ""
        starts = [max(int(found.invoke[n]), 0) for n in numbers]
        ends = [min(int(found.complete[n]), found.never - 1) for n in numbers]
        return while_it_ran(self.record.faults, int(time[min(starts)]), int(time[max(ends)]))

    def anomaly(
        self, numbers: Sequence[int], text: str, *, key: Any = None, **data: Any
    ) -> Anomaly:
        """A case that ``text`` proves of transactions T1, T2, … = ``numbers``."""
        parts = [self.let(numbers), text, self.faults(numbers)]
        return Anomaly(
            message="\n\n".join(part for part in parts if part),
            witness=tuple(self.transactions.index(number) for number in numbers),
            key=key,
            data=data,
        )


def show(value: Any) -> str:
    """A value as JSON, long lists with their middle left out."""
    if isinstance(value, list | tuple) and len(value) > LONGEST_LIST:
        half = LONGEST_LIST // 2
        head, tail = show(list(value[:half]))[:-1], show(list(value[-half:]))[1:]
        return f"{head}, … {len(value) - 2 * half} more …, {tail}"
    return told(value, ensure_ascii=False)


def show_micro_operations(micro: Iterable[tuple[str, Any, Any]]) -> str:
    """``[["append", 255, 8], ["r", 253, [1, 3, 4]]]``."""
    parts = [f"[{json.dumps(name)}, {show(key)}, {show(value)}]" for name, key, value in micro]
    return f"[{', '.join(parts)}]"


def _is_measured(found: Transactions, place: int) -> bool:
    return is_measured(int(found.columns.time[place]), int(found.columns.index[place]))


def _seconds(time_ns: Any) -> str:
    return f"{int(time_ns) / 1e9:.3f} s"


def cycle_anomaly(cycle: Cycle, reasons: Reasons, explainer: Explainer) -> Anomaly:
    """The proof of a cycle: each edge with its reason, the last one a contradiction."""
    count = len(cycle.transactions)
    clauses, steps = [], []
    for place, (before, label) in enumerate(zip(cycle.transactions, cycle.labels, strict=True)):
        after = cycle.transactions[(place + 1) % count]
        reason = _reason(label, before, after, reasons, explainer.transactions)
        a, b = f"T{place + 1}", f"T{(place + 1) % count + 1}"
        clauses.append(f"{a} < {b}, because {reason.text.replace('{a}', a).replace('{b}', b)}")
        steps.append({"type": LABELS[label], **reason.data})
    text = "\n".join(["Then:", *then(clauses)])
    return explainer.anomaly(cycle.transactions, text, steps=steps)


def _reason(
    label: int, before: int, after: int, reasons: Reasons, transactions: Transactions
) -> Reason:
    own_reasons: dict[int, Callable[[Transactions, int, int], Reason]] = {
        PROCESS: _process_reason,
        REALTIME: _realtime_reason,
    }
    if label in own_reasons:
        return own_reasons[label](transactions, before, after)
    return reasons.reason(label, before, after)


def _process_reason(transactions: Transactions, before: int, after: int) -> Reason:
    process = int(transactions.process[before])
    return Reason(text=f"process {process} executed {{a}} before {{b}}", data={"process": process})


def _realtime_reason(transactions: Transactions, before: int, after: int) -> Reason:
    columns = transactions.columns
    done, begun = int(transactions.complete[before]), int(transactions.invoke[after])
    gap_ns = int(columns.time[begun]) - int(columns.time[done])
    is_known = gap_ns > 0 and _is_measured(transactions, begun)
    ago = f", {gap_ns / 1e9:.3f} s before" if is_known else ", before"
    return Reason(
        text=f"{{a}} completed at index {int(columns.index[done])}{ago} the invocation "
        f"of {{b}}, at index {int(columns.index[begun])}",
        data={"completed": int(columns.index[done]), "invoked": int(columns.index[begun])},
    )


def existence_anomaly(found: Exists, explainer: Explainer) -> tuple[str, Anomaly]:
    """``(type, case)`` for a cycle that is only known to exist."""
    count = len(found.transactions)
    indices = [explainer.transactions.index(number) for number in found.transactions]
    message = (
        f"Among {count} transactions there is a cycle of {found.part}, so {friendly(found.model)} "
        f"cannot hold; no concrete cycle was found that says so. Their indices: "
        f"{shortened(indices, LONGEST_LIST)}."
    )
    data = {"not": friendly(found.model), "part": found.part, "scc_size": count}
    return found.model + EXISTS, Anomaly(
        message=message, witness=tuple(indices[:LONGEST_LIST]), data=data
    )


def timeout_anomaly(found: TimedOut, timeout_s: float) -> Anomaly:
    """What was left undone in a component."""
    absent = f" It holds no {', '.join(found.absent)}." if found.absent else ""
    return Anomaly(
        message=f"The search for cycles in a component of {found.size} transactions was stopped "
        f"after {timeout_s:g} s, at the type {found.at}.{absent}",
        data={
            "anomaly_spec_type": found.at,
            "scc_size": found.size,
            "does_not_contain": list(found.absent),
        },
    )
