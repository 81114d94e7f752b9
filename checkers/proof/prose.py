"""A proof in prose, in the form of Elle's explanations, for the checkers of transactions.

    Let:
      T1 = txn [["r", 1, null], ["w", 2, 7]] by process 3 on n1, index 12 (invoked) to 15 (ok) …
      T2 = …
    Then:
      - T1 < T2, because …
      - However, T2 < T1, because …: a contradiction!
    While it ran: partition of n1 | n2 n3 (fault 3, from 6.0 s to 7.5 s).

Every transaction is told with the indices and times of both its records and with the faults
active from the first invocation to the last completion, so that the text can go into a bug report
as it stands.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from checkers.proof.faults_active import while_it_ran
from harness.history.operation import INVOKE, OK, Operation
from harness.history.values import form, is_rich
from harness.verdict.record import Record
from harness.verdict.verdict import Anomaly

SHOWN_CASES: Final = 8
"""Cases of one anomaly type that are told; all are counted."""
_LONGEST_VALUE: Final = 400


def proof(
    record: Record,
    named: Mapping[str, int],
    steps: Sequence[str],
    *,
    key: Any = None,
    **data: Any,
) -> Anomaly:
    """The anomaly that ``steps`` prove of the operations ``named``, by position of either record.

    ``steps`` are whole clauses without a full stop; the last one is the contradiction.
    """
    lines = ["Let:", *(f"  {name} = {told(record, at)}" for name, at in named.items()), "Then:"]
    lines += [f"  - {step}." for step in steps[:-1]]
    lines.append(f"  - However, {steps[-1]}: a contradiction!")
    faults = faults_beside(record, list(named.values()))
    if faults:
        lines.append(faults)
    witness = sorted(
        {record.history.operations[_completion(record, at)].index for at in named.values()}
    )
    return Anomaly(message="\n".join(lines), witness=tuple(witness), key=key, data=data)


def told(record: Record, position: int) -> str:
    """One operation with both its records, in a line."""
    first, last = _ends(record, position)
    value = shown(last.value if last.type == OK else first.value)
    node = first.node or last.node
    where = f" on {node}" if node else ""
    return f"{first.f} {value} by process {first.process}{where}, {_span(first, last)}"


def shown(value: Any) -> str:
    """A value as JSON, cut where it is very long."""
    text = form(value) if is_rich(value) else json.dumps(value, default=str)
    return text if len(text) <= _LONGEST_VALUE else f"{text[:_LONGEST_VALUE]} …"


def faults_beside(record: Record, positions: Sequence[int]) -> str:
    """The sentence on the faults active while the operations at ``positions`` ran."""
    spans = [_ends(record, at) for at in positions]
    starts = [first.time for first, _ in spans if first.time >= 0]
    ends = [last.time for _, last in spans]
    return while_it_ran(record.faults, min(starts), max(ends)) if starts else ""


def _completion(record: Record, position: int) -> int:
    """Where the completion is recorded, or the invocation if there is none."""
    if record.history.operations[position].type == INVOKE:
        other = record.history.pairs[position]
        return other if other >= 0 else position
    return position


def _ends(record: Record, position: int) -> tuple[Operation, Operation]:
    """Invocation and completion; the one there is stands for one that is missing."""
    operations, pairs = record.history.operations, record.history.pairs
    last = _completion(record, position)
    first = last if operations[last].type == INVOKE else pairs[last]
    return operations[first if first >= 0 else last], operations[last]


def _span(first: Operation, last: Operation) -> str:
    if first is last:
        end = "never answered" if last.type == INVOKE else last.type
        return f"index {last.index}{_at(last)}, {end}"
    return (
        f"invoked at index {first.index}{_at(first)}, {last.type} at index {last.index}{_at(last)}"
    )


def _at(operation: Operation) -> str:
    return f" ({operation.time / 1e9:.3f} s)" if operation.time >= 0 else ""
