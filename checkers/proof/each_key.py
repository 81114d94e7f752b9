"""Judging a history key by key, where its values are ``[key, value]``; the worst key wins."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from msgspec import structs

from checkers.proof.findings import LISTED, NOTHING_JUDGED
from checkers.proof.independence import agreed, independence, undeclared
from checkers.proof.shapes import is_pair
from harness.history.calls import name, short
from harness.history.history import History
from harness.history.operation import INVOKE, Header, Operation
from harness.verdict.record import Record
from harness.verdict.steps import MEND_KEYS
from harness.verdict.verdict import UNKNOWN, Anomaly, Budget, Valid, Verdict, worst


class NotKeyed(Exception):
    """A value is not ``[key, value]`` although keys are independent; the message names it."""


Judge = Callable[[Record, Budget], Verdict]


def each_key(record: Record, judge: Judge, budget: Budget) -> Verdict:
    """``judge`` on the history, or on each of its independent keys; the worst key wins.

    Keys that nobody declared are taken for keys where the history shows it (see
    :mod:`checkers.proof.independence`), but nobody is accused on the strength of that.
    """
    keyed = independence(record.history)
    if keyed is False:
        return judge(record, budget)
    by_key = _by_key(record, judge, budget)
    if record.header.independent:
        return by_key
    return undeclared(by_key) if keyed else agreed(judge(record, budget), by_key)


def _by_key(record: Record, judge: Judge, budget: Budget) -> Verdict:
    try:
        parts = split(record)
    except NotKeyed as error:
        return Verdict(valid=UNKNOWN, why=str(error), settle=MEND_KEYS)
    verdicts: dict[str, tuple[Any, Verdict]] = {}
    for key, part in parts:
        budget.spend_check(f"key {short(key)}")
        verdicts[short(key)] = (key, judge(part, budget))
    full = {key: found for key, found in verdicts.items() if not _is_empty(found[1])}
    joined = _joined(full or verdicts)
    return replace(joined, stats={**joined.stats, "keys-empty": len(verdicts) - len(full)})


def _is_empty(verdict: Verdict) -> bool:
    return verdict.valid is UNKNOWN and NOTHING_JUDGED in verdict.stats


def split(record: Record) -> list[tuple[Any, Record]]:
    """A record for each key of ``[key, value]``, in order of first sight.

    An operation whose value names no key belongs to the key of its other half. Raises
    :class:`NotKeyed` if that names none either.
    """
    history = record.history
    homes: dict[Any, tuple[Any, list[Operation]]] = {}
    for position, operation in enumerate(history.operations):
        if not operation.is_client:
            continue
        pair = history.pairs[position]
        other = history.operations[pair] if pair >= 0 else operation
        asked, answered = operation.value, other.value
        if operation.type != INVOKE:
            asked, answered = answered, asked
        keyed = asked if is_pair(asked) else answered
        value = operation.value[1] if is_pair(operation.value) else operation.value
        if not is_pair(keyed) or (is_pair(answered) and name(answered[0]) != name(keyed[0])):
            raise NotKeyed(
                f"operation {operation.index} has the value {short(operation.value)}, not "
                f"[key, value]{' of the key asked' if is_pair(keyed) else ''}, although its keys"
                " are independent"
            )
        operations = homes.setdefault(name(keyed[0]), (keyed[0], []))[1]
        operations.append(_with_value(operation, value))
    header = record.header
    return [
        (key, replace(record, history=History(operations, _header_of(header, key))))
        for key, operations in homes.values()
    ]


def _header_of(header: Header, key: Any) -> Header:
    initial = header.initial
    if isinstance(initial, Mapping):
        initial = initial.get(key if isinstance(key, str) else short(key))
    return structs.replace(header, independent=False, initial=initial)


def _with_value(operation: Operation, value: Any) -> Operation:
    return structs.replace(operation, value=value)


def _joined(verdicts: Mapping[str, tuple[Any, Verdict]]) -> Verdict:
    anomalies: dict[str, list[Anomaly]] = {}
    for key, verdict in verdicts.values():
        for kind, cases in verdict.anomalies.items():
            anomalies.setdefault(kind, []).extend(replace(case, key=key) for case in cases)
    by_answer: dict[Valid, list[str]] = {}
    for told, (_, verdict) in verdicts.items():
        by_answer.setdefault(verdict.valid, []).append(told)
    valid = worst(verdict.valid for _, verdict in verdicts.values())
    bad = by_answer.get(valid, [])
    models = [verdict for _, verdict in verdicts.values() if verdict.valid is False]
    return Verdict(
        valid=valid,
        why="" if valid is True else _why(bad, len(verdicts), verdicts[bad[0]][1].why),
        settle=verdicts[bad[0]][1].settle if valid == UNKNOWN else "",
        anomalies=anomalies,
        not_=_common([verdict.not_ for verdict in models]),
        also_not=_common([verdict.also_not for verdict in models]),
        stats={
            "keys": len(verdicts),
            "keys-invalid": by_answer.get(False, []),
            "keys-unknown": by_answer.get(UNKNOWN, []),
            "by-key": {
                told: verdict.stats
                for told, (_, verdict) in verdicts.items()
                if verdict.valid is not True or len(verdicts) <= LISTED
            },
        },
    )


def _why(bad: Sequence[str], count: int, first: str) -> str:
    return f"{len(bad)} of {count} keys, the first being key {bad[0]}: {first}"


def _common(models: Sequence[tuple[str, ...]]) -> tuple[str, ...]:
    """The models ruled out; none (that is: all) where one key rules out whatever there is."""
    if not models or any(not each for each in models):
        return ()
    return tuple(dict.fromkeys(model for each in models for model in each))
