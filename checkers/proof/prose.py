"""A proof in prose, in the form of Elle's explanations, for the checkers of transactions.

    Let:
      T1 = txn [["r", 1, null], ["w", 2, 7]] by process 3 on n1, invoked at index 12, 1.2 s, ok at …
      T2 = …
    Then:
      - T1 < T2, because …
      - However, T2 < T1, because …: a contradiction!
    While it ran: partition of n1 | n2 n3 (fault 3, from 6.0 s to 7.5 s).

Every transaction stands there with the indices and times of both its records and with the faults
active from the first invocation to the last completion, so that the text can go into a bug report
as it stands.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from checkers.proof.faults_active import while_they_ran
from checkers.proof.words import operation_line, shown, then
from harness.history.operation import INVOKE, OK, Operation
from harness.verdict.record import Record
from harness.verdict.verdict import Anomaly


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
    ends = [_ends(record, at) for at in named.values()]
    lines = ["Let:"]
    for name, (first, last) in zip(named, ends, strict=True):
        lines.append(f"  {name} = {_line(first, last)}")
    lines += ["Then:", *then(steps)]
    faults = while_they_ran(record.faults, [record_ for both in ends for record_ in both])
    witness = sorted({last.index for _, last in ends})
    return Anomaly(
        message="\n".join([*lines, *([faults] if faults else [])]),
        witness=tuple(witness),
        key=key,
        data=data,
    )


def _line(first: Operation, last: Operation) -> str:
    """One operation with both its records."""
    value = shown(last.value if last.type == OK else first.value)
    return operation_line(f"{first.f} {value}", first, last)


def _ends(record: Record, position: int) -> tuple[Operation, Operation]:
    """Invocation and completion; the one there is stands for one that is missing."""
    operations, pairs = record.history.operations, record.history.pairs
    other = pairs[position]
    if operations[position].type != INVOKE:
        first, last = other, position
    else:
        first, last = position, other if other >= 0 else position
    return operations[first if first >= 0 else last], operations[last]
