"""The checker ``torn``: was a transaction over several keys seen in part, or after it failed?

A transaction over several keys (partitions, tables, shards) is committed by several machines. If
one of them misses the commit, its part is missing; if one of them keeps what was rolled back,
a part of nothing is there. This checker needs to know nothing of versions or their order, only
that values are unique in their key:

- ``torn-transaction``: a read saw transaction A at key x and another, B, at key y, although both
  wrote both keys. If A came first, x must show B; if B came first, y must show A. The same where
  y shows the initial state (before any write) and A wrote y, too.
- ``torn-write``: the same, seen by a read that was invoked after every writer of both keys had
  completed, so that not only the read but the store itself is in two parts.
- reads of what nobody wrote, or only later, or only a failed or passing write, and transactions
  that disagree with themselves (:mod:`checkers.isolation.impossible_reads`).

Every read of a transaction counts, also the second one of a key.

A transaction of unknown outcome (``info``) may have happened, and if it was seen at one key then
it has. Transactions are lists of ``w`` and ``r`` steps. Read atomicity is Bailis et al., "Scalable
Atomic Visibility with RAMP Transactions" (2014).

Cost: for a read of n keys, n squared pairs at most.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from checkers.isolation import impossible_reads
from checkers.isolation.impossible_reads import displayed_key, look_for_impossible_reads
from checkers.isolation.register_transactions import (
    READS,
    WRITES,
    Registers,
    Writers,
    displayed,
    register_transactions,
    writers,
    written_twice_over,
)
from checkers.proof.cases import Cases
from checkers.proof.claim import Meaning, judged
from checkers.proof.prose import proof
from harness.history.operation import INFO
from harness.verdict.record import Record
from harness.verdict.steps import MEND_ANSWERS, UNIQUE_VALUES
from harness.verdict.verdict import Anomaly, Budget, Checker, Verdict

TORN: Final = "torn-transaction"
TORN_STORE: Final = "torn-write"
_FRACTURED: Final = Meaning(anomalies=("G-single-item",), models=("read-atomic",))
MEANINGS: Final = {**impossible_reads.MEANINGS, TORN: _FRACTURED, TORN_STORE: _FRACTURED}


class Torn:
    """Judges transactions over registers with unique values."""

    name = "torn"
    reads = frozenset({"history"})
    needs_no_times = True
    needs_no_times = True
    micro_operations = READS | WRITES

    def __init__(self, options: Mapping[str, Any]) -> None:
        self.options = options

    def check(self, record: Record, budget: Budget) -> Verdict:
        """The verdict on what every ok transaction of ``record`` read."""
        transactions = register_transactions(record)
        refusal = transactions.refusal(self.name)
        if refusal is not None:
            return refusal
        found, known = transactions.found, writers(transactions)
        last_end = _last_ends(record, found)
        cases = Cases()
        odd = look_for_impossible_reads(record, cases, transactions, known)
        several = 0
        for transaction in found:
            budget.spend_check(self.name)
            several += len({key for key, _ in transaction.seen}) > 1
            _look_for_tears(record, cases, known, last_end, transaction)
        return judged(
            record,
            self.options,
            cases,
            MEANINGS,
            stats={"transaction-count": len(found), "reads-of-several-keys": several},
            unknown=transactions.odd or odd or written_twice_over(known),
            settle=MEND_ANSWERS if transactions.odd or odd else UNIQUE_VALUES,
            tested=(TORN, impossible_reads.ABORTED_READ, impossible_reads.THIN_AIR)
            if several
            else (),
            untested="no transaction read several keys",
        )


def _last_ends(record: Record, found: list[Registers]) -> dict[Any, int]:
    """For each key the position after which no write to it is under way any more."""
    ends: dict[Any, int] = {}
    for transaction in found:
        end = transaction.position
        if transaction.status == INFO:
            end = len(record.history.operations)
        for key in transaction.writes:
            ends[key] = max(end, ends.get(key, -1))
    return ends


def _look_for_tears(
    record: Record,
    cases: Cases,
    known: Writers,
    last_end: Mapping[Any, int],
    reader: Registers,
) -> None:
    """The first tear of one reader; one is enough to prove it."""
    for x, writer, y, other in _tears(known, reader):
        is_at_rest = max(last_end.get(x, 0), last_end.get(y, 0)) < reader.begun
        kind = TORN_STORE if is_at_rest else TORN
        if cases.wants(kind):
            cases.keep(kind, _tear(record, reader, (x, writer), (y, other)))
        return


def _tears(
    known: Writers, reader: Registers
) -> Iterator[tuple[Any, Registers, Any, Registers | None]]:
    """(x, its writer A, y, its writer B or ``None`` for the initial state) that contradict."""
    seen = [(version, known.source(version)) for version in reader.seen if known.installed(version)]
    for (x, _), writer in seen:
        if writer is None or writer is reader or len(writer.writes) < 2:
            continue
        for (y, value), other in seen:
            if y == x or other is writer or y not in writer.writes:
                continue
            if value is None or (other is not None and other is not reader and x in other.writes):
                yield x, writer, y, other


def _tear(
    record: Record, reader: Registers, a: tuple[Any, Registers], b: tuple[Any, Registers | None]
) -> Anomaly:
    (x, writer), (y, other) = a, b
    key_x, key_y = displayed(x), displayed(y)
    named = {"T1": writer.position, "T3": reader.position}
    saw = f"T1 < T3, because T3 read key {key_x} = {displayed(writer.writes[x])}, which T1 wrote"
    if other is None:
        steps = [
            saw,
            f"T3 < T1, because T3 read the initial (nil) state of key {key_y}, to which T1 wrote"
            f" {displayed(writer.writes[y])}",
        ]
        return proof(record, named, steps, key=[displayed_key(x), displayed_key(y)])
    named = {"T1": writer.position, "T2": other.position, "T3": reader.position}
    steps = [
        saw,
        f"T2 < T3, because T3 read key {key_y} = {displayed(other.writes[y])}, which T2 wrote",
        f"T2 < T1, because else T2's {displayed(other.writes[x])} had replaced T1's"
        f" {displayed(writer.writes[x])} at key {key_x} before T3 read it",
        f"T1 < T2, because else T1's {displayed(writer.writes[y])} had replaced T2's"
        f" {displayed(other.writes[y])} at key {key_y} before T3 read it",
    ]
    return proof(record, named, steps, key=[displayed_key(x), displayed_key(y)])


CHECKERS: Final[Mapping[str, Callable[[Mapping[str, Any]], Checker]]] = {Torn.name: Torn}
