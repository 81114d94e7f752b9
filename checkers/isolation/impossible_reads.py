"""Reads that no store can answer so, whatever the order: of registers with unique values.

Every read of a transaction counts, not only the first of a key.

- ``thin-air``: nobody ever wrote the value. ``G1a``: only a failed transaction did. ``G1b``: its
  transaction overwrote it itself.
- ``future-read``: only the transaction itself wrote the value, and it did so later.
- ``G1c-realtime``: the value was first sent to the store when the read had been answered.
- ``internal``: one transaction read one key twice and found two values.
- ``own-write-unread``: it wrote a key and then read there something older than its own write, which
  is wrong at every level; ``own-write-overwritten``: somebody else's value, which only read
  uncommitted might allow.

An answer of another kind than all values that were ever written to its key (text where numbers
were written) is no answer to accuse with: it is named, and the verdict is unknown.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any, Final

from checkers.isolation.register_transactions import (
    NOTHING,
    Registers,
    Transactions,
    Writers,
    displayed,
)
from checkers.proof.cases import Cases
from checkers.proof.claim import Meaning
from checkers.proof.prose import proof
from harness.verdict.record import Record

THIN_AIR: Final = "thin-air"
ABORTED_READ: Final = "G1a"
INTERMEDIATE_READ: Final = "G1b"
FUTURE_READ: Final = "future-read"
EARLY_READ: Final = "G1c-realtime"
INTERNAL: Final = "internal"
OWN_UNREAD: Final = "own-write-unread"
OWN_REPLACED: Final = "own-write-overwritten"
_SERIAL: Final = ("view-serializable", "1SR")
_UNORDERED: Final = (
    "monotonic-reads",
    "monotonic-writes",
    "read-your-writes",
    "writes-follow-reads",
    *_SERIAL,
)
"""Models of which the lattice has none weaker, and under which nobody reads what was undone."""
MEANINGS: Final[Mapping[str, Meaning]] = {
    THIN_AIR: Meaning(anomalies=(THIN_AIR,)),
    ABORTED_READ: Meaning(anomalies=(ABORTED_READ,), models=_UNORDERED),
    INTERMEDIATE_READ: Meaning(anomalies=(INTERMEDIATE_READ,), models=("causal", *_SERIAL)),
    FUTURE_READ: Meaning(anomalies=(FUTURE_READ,)),
    EARLY_READ: Meaning(anomalies=(EARLY_READ,), models=("linearizable",)),
    INTERNAL: Meaning(anomalies=(INTERNAL,), models=("causal", *_SERIAL)),
    OWN_UNREAD: Meaning(anomalies=(OWN_UNREAD,)),
    OWN_REPLACED: Meaning(
        anomalies=(OWN_REPLACED,), models=("causal", *_SERIAL), undecided=("PL-1",)
    ),
}


def look_for_impossible_reads(
    record: Record, cases: Cases, transactions: Transactions, known: Writers
) -> str:
    """Keep every odd read of ``transactions``; why some could not be judged, empty if all were."""
    kinds = _kinds_written(transactions)
    odd = ""
    for reader in transactions.found:
        for key, value in reader.seen:
            written = kinds.get(key)
            if value is None or not written or value is NOTHING or _kind(value) in written:
                _look_at_source(record, cases, known, reader, key, value)
            else:
                index = record.history.operations[reader.position].index
                odd = odd or (
                    f"operation {index} read key {displayed(key)} = {displayed(value)}, which is"
                    " of another kind than all that was written there"
                )
        _look_within(record, cases, known, reader)
    return odd


def _kinds_written(transactions: Transactions) -> Mapping[Any, set[str]]:
    kinds: dict[Any, set[str]] = defaultdict(set)
    for transaction in transactions.found:
        for key, value in (*transaction.writes.items(), *transaction.overwritten):
            kinds[key].add(_kind(value))
    for key, value in transactions.doubtful:
        kinds[key].add(_kind(value))
    for of_key in kinds.values():
        of_key -= {"NoneType", NOTHING[0]}
    return kinds


def _kind(value: Any) -> str:
    return str(value[0]) if isinstance(value, tuple) else type(value).__name__


def _look_at_source(
    record: Record, cases: Cases, known: Writers, reader: Registers, key: Any, value: Any
) -> None:
    version = (key, value)
    if value is None or version in known.twice:
        return
    writer = known.source(version)
    is_anothers = writer is not None and writer is not reader and version in known.possible
    if is_anothers and writer is not None and reader.ended >= writer.begun:
        return  # as it should be
    read = f"T2 read key {displayed(key)} = {displayed(value)}"
    if writer is None:
        _keep(record, cases, THIN_AIR, reader, None, f"{read}, which nobody ever wrote", key)
    elif writer is reader:
        if version in reader.before_own:
            step = f"{read}, which only T2 itself wrote, and only later"
            _keep(record, cases, FUTURE_READ, reader, None, step, key)
    elif version in known.failed:
        step = f"{read}, which T1 wrote, and T1 failed"
        _keep(record, cases, ABORTED_READ, reader, writer, step, key)
    else:
        if version in known.intermediate and version not in known.possible:
            step = f"{read}, which T1 wrote and itself overwrote"
            _keep(record, cases, INTERMEDIATE_READ, reader, writer, step, key)
        if reader.ended < writer.begun:
            operations = record.history.operations
            step = (
                f"{read}, which T1 wrote, so T1 < T2; but T2 had been answered at index"
                f" {operations[reader.ended].index} before T1 was sent at index"
                f" {operations[writer.begun].index}, so T2 < T1"
            )
            _keep(record, cases, EARLY_READ, reader, writer, step, key)


def _look_within(record: Record, cases: Cases, known: Writers, reader: Registers) -> None:
    """What a transaction read otherwise than it had itself read or left it."""
    for key, value, before in reader.disagreeing:
        step = f"T2 read key {displayed(key)} = {displayed(value)}, and before {displayed(before)}"
        _keep(record, cases, INTERNAL, reader, None, step, key)
    for key, value, own in reader.unread:
        step = (
            f"T2 read key {displayed(key)} = {displayed(value)}, and had itself left it at"
            f" {displayed(own)}"
        )
        source = known.source((key, value))
        is_others = (key, value) in known.twice or (source is not None and source is not reader)
        kind = OWN_REPLACED if is_others else OWN_UNREAD
        _keep(record, cases, kind, reader, None, step, key)


def _keep(
    record: Record,
    cases: Cases,
    kind: str,
    reader: Registers,
    writer: Registers | None,
    step: str,
    key: Any,
) -> None:
    if not cases.wants(kind):
        return
    if writer is None:
        named, step = {"T1": reader.position}, step.replace("T2 ", "T1 ")
    else:
        named, step = {"T1": writer.position, "T2": reader.position}, step
    cases.keep(kind, proof(record, named, [step], key=displayed_key(key)))


def displayed_key(key: Any) -> Any:
    """A key as it goes into an anomaly: itself, or its JSON where it is no text or number."""
    return displayed(key) if isinstance(key, tuple) else key
