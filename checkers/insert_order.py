"""The checker ``insert-order``: who sees a later insert of a client sees its earlier ones.

From the sequential test of CockroachDB (elle-cli's model ``sequential``). ``write k`` inserts
the parts of ``k`` one after the other, each in a transaction of its own; ``read k`` looks for
them one by one **in the reverse order** and answers what it found, ``nil`` for a part that was
not there: ``[k, [part_n, …, part_1]]``, or the list alone.

A ``nil`` after something that is not (``trailing-nil``): the reader saw a later insert, and
after that did not see an earlier one. Both are in the order of one client, so in no order that
keeps to the order of each client can that be. Nothing is ever deleted. Cost: one pass.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from checkers.calls import Call, calls, of, short
from checkers.telling import LISTED, Findings
from harness.history.record import Record
from harness.history.verdict import UNKNOWN, Budget, Verdict


class InsertOrder:
    """Judges reads of parts, the last inserted first."""

    name = "insert-order"
    reads = frozenset({"history"})

    def __init__(self, options: Mapping[str, Any]) -> None:
        self.options = options

    def check(self, record: Record, budget: Budget) -> Verdict:
        """The verdict on all answered reads."""
        reads = [call for call in of(("read",), calls(record.history)) if call.ok]
        odd = next((call for call in reads if _parts(call) is None), None)
        if odd is not None:
            return Verdict(valid=UNKNOWN, why=f"{odd} answered {short(odd.answer)}, no parts")
        findings = Findings(record)
        counts = {"all-count": 0, "some-count": 0, "none-count": 0, "bad-count": 0}
        bad = []
        for call in reads:
            parts = _parts(call) or []
            counts[_fullness(parts)] += 1
            first = next((n for n, part in enumerate(parts) if part is not None), len(parts))
            late = next((n for n in range(first, len(parts)) if parts[n] is None), None)
            if late is not None:
                counts["bad-count"] += 1
                bad.append(call.answer)
                _tell(findings, call, parts, first, late)
        stronger = ("linearizable", "strict-serializable")
        return findings.verdict(
            stats={"read-count": len(reads), **counts, "bad": bad[:LISTED]},
            empty="" if reads else "there is no answered read",
            not_=("sequential", "strong-session-serializable"),
            also_not=stronger,
        )


def _parts(call: Call) -> Sequence[Any] | None:
    """What ``call`` found, the part inserted last first; ``None`` if it does not say."""
    answer = call.answer
    if not isinstance(answer, list | tuple):
        return None
    if len(answer) == 2 and isinstance(answer[1], list | tuple):
        return list(answer[1])
    return list(answer)


def _fullness(parts: Sequence[Any]) -> str:
    found = sum(part is not None for part in parts)
    if found == len(parts) and parts:
        return "all-count"
    return "some-count" if found else "none-count"


def _tell(findings: Findings, call: Call, parts: Sequence[Any], first: int, late: int) -> None:
    count = len(parts)
    reasons = [
        f"T1 looked for {count} parts, the one inserted last first: {short(list(parts))}.",
        f"It found part {count - first} ({short(parts[first])}), inserted after part"
        f" {count - late}, and then looked for part {count - late} and found nothing.",
        "One client inserted the parts in order and nothing is deleted, so whoever has seen the"
        " later one must see the earlier one: a contradiction.",
    ]
    findings.add("trailing-nil", [call], reasons, found=list(parts))


CHECKERS = {"insert-order": InsertOrder}
