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
- ``G1a``: a read saw a value of a transaction that failed.
- ``G1b``: a read saw a value that its transaction itself overwrote.
- ``thin-air``: a read saw a value that nobody wrote.

A transaction of unknown outcome (``info``) may have happened, and if it was seen at one key then
it has. Transactions are lists of ``w`` and ``r`` steps. Read atomicity is Bailis et al., "Scalable
Atomic Visibility with RAMP Transactions" (2014).

Cost: for a read of n keys, n squared pairs at most.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from checkers.claim import Cases, Meaning, judged, listed
from checkers.proof import proof, shown
from checkers.register_transactions import Registers, Writers, register_transactions, writers
from harness.history.operation import INFO
from harness.history.record import Record
from harness.history.verdict import Anomaly, Budget, Checker, Verdict

TORN: Final = "torn-transaction"
TORN_STORE: Final = "torn-write"
ABORTED_READ: Final = "G1a"
INTERMEDIATE_READ: Final = "G1b"
THIN_AIR: Final = "thin-air"
_FRACTURED: Final = Meaning(anomalies=("G-single-item",), models=("read-atomic",))
MEANINGS: Final = {
    TORN: _FRACTURED,
    TORN_STORE: _FRACTURED,
    ABORTED_READ: Meaning(anomalies=(ABORTED_READ,)),
    INTERMEDIATE_READ: Meaning(anomalies=(INTERMEDIATE_READ,)),
    THIN_AIR: Meaning(anomalies=(THIN_AIR,)),
}


class Torn:
    """Judges transactions over registers with unique values."""

    name = "torn"
    reads = frozenset({"history"})
    micro_operations = frozenset(("w", "write", "r", "read"))

    def __init__(self, options: Mapping[str, Any]) -> None:
        self.options = options

    def check(self, record: Record, budget: Budget) -> Verdict:
        """The verdict on what every ok transaction of ``record`` read."""
        found = register_transactions(record)
        known = writers(found)
        last_end = _last_ends(record, found)
        cases = Cases()
        several = 0
        for transaction in found:
            budget.spend_check(self.name)
            if transaction.reads:
                several += len(transaction.reads) > 1
                _look_for_odd_values(record, cases, known, transaction)
                _look_for_tears(record, cases, known, last_end, transaction)
        unknown = "" if several else "no transaction read several keys, so nothing is known"
        if known.twice:
            values = listed([f"{shown(v)} to key {shown(k)}" for k, v in known.twice])
            unknown = f"written by more than one transaction: {values}"
        return judged(
            record,
            self.options,
            cases,
            MEANINGS,
            stats={"transaction-count": len(found), "reads-of-several-keys": several},
            unknown=unknown,
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


def _look_for_odd_values(record: Record, cases: Cases, known: Writers, reader: Registers) -> None:
    for key, value in reader.reads.items():
        version = (key, value)
        if value is None or version in known.possible or version in known.twice:
            continue
        named = {"T2": reader.position}
        read = f"T2 read key {shown(key)} = {shown(value)}"
        if version in known.failed:
            kind, step = ABORTED_READ, f"{read}, which T1 wrote, and T1 failed"
            named = {"T1": known.failed[version].position, **named}
        elif version in known.intermediate:
            writer = known.intermediate[version]
            kind, step = INTERMEDIATE_READ, f"{read}, which T1 wrote and itself overwrote"
            named = {"T1": writer.position, **named}
        else:
            kind, step = THIN_AIR, f"{read}, which nobody ever wrote"
        if cases.wants(kind):
            cases.keep(kind, proof(record, named, [step], key=key))


def _look_for_tears(
    record: Record,
    cases: Cases,
    known: Writers,
    last_end: Mapping[Any, int],
    reader: Registers,
) -> None:
    """The first tear of one reader; one is enough to prove it."""
    for x, writer, y, other in _tears(known, reader):
        is_at_rest = max(last_end.get(x, -1), last_end.get(y, -1)) < reader.begun
        kind = TORN_STORE if is_at_rest else TORN
        if cases.wants(kind):
            cases.keep(kind, _tear(record, reader, (x, writer), (y, other)))
        return


def _tears(
    known: Writers, reader: Registers
) -> Iterator[tuple[Any, Registers, Any, Registers | None]]:
    """(x, its writer A, y, its writer B or ``None`` for the initial state) that contradict."""
    seen = [
        (key, None if value is None else known.possible.get((key, value)), value)
        for key, value in reader.reads.items()
        if (key, value) not in known.twice
    ]
    for x, writer, _ in seen:
        if writer is None or writer is reader or len(writer.writes) < 2:
            continue
        for y, other, value in seen:
            if y == x or other is writer or y not in writer.writes:
                continue
            if value is None or (other is not None and other is not reader and x in other.writes):
                yield x, writer, y, other


def _tear(
    record: Record, reader: Registers, a: tuple[Any, Registers], b: tuple[Any, Registers | None]
) -> Anomaly:
    (x, writer), (y, other) = a, b
    key_x, key_y = shown(x), shown(y)
    named = {"T1": writer.position, "T3": reader.position}
    saw = f"T1 < T3, because T3 read key {key_x} = {shown(writer.writes[x])}, which T1 wrote"
    if other is None:
        steps = [
            saw,
            f"T3 < T1, because T3 read the initial (nil) state of key {key_y}, to which T1 wrote"
            f" {shown(writer.writes[y])}",
        ]
        return proof(record, named, steps, key=[x, y])
    named = {"T1": writer.position, "T2": other.position, "T3": reader.position}
    steps = [
        saw,
        f"T2 < T3, because T3 read key {key_y} = {shown(other.writes[y])}, which T2 wrote",
        f"T2 < T1, because else T2's {shown(other.writes[x])} had replaced T1's"
        f" {shown(writer.writes[x])} at key {key_x} before T3 read it",
        f"T1 < T2, because else T1's {shown(writer.writes[y])} had replaced T2's"
        f" {shown(other.writes[y])} at key {key_y} before T3 read it",
    ]
    return proof(record, named, steps, key=[x, y])


CHECKERS: Final[Mapping[str, Callable[[Mapping[str, Any]], Checker]]] = {Torn.name: Torn}
