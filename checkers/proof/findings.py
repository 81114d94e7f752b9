"""How single-object checkers tell what they found, and how they judge key by key.

A proof is a list of sentences. It names the calls that it needs T1, T2, …, each with its times
and indices, says which order they force and what contradicts it, and ends with the faults that
were in force meanwhile. Only the first few cases of a kind are told, those before others during
which no fault was in force; all are counted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from msgspec import structs

from checkers.proof.faults_active import faults_active, while_it_ran
from checkers.proof.independence import agreed, independence, is_pair, undeclared
from harness.history.calls import Call, name, short
from harness.history.history import History
from harness.history.operation import INVOKE, Header, Operation
from harness.verdict.record import Record
from harness.verdict.steps import MEND_ANSWERS, MEND_KEYS, READ_MORE, Settle
from harness.verdict.verdict import UNKNOWN, Anomaly, Budget, Valid, Verdict, untested, worst

SHOWN: Final = 8
"""Cases of one kind that are told; the count in ``stats`` is of all."""
NOTHING_JUDGED: Final = "nothing-judged"
LISTED: Final = 48
"""Values listed in ``stats``."""


@dataclass
class Findings:
    """Collects the anomalies of one history: counts all, tells the first :data:`SHOWN`.

    One with no fault in force takes the place of the last told that had one.
    """

    record: Record
    counts: dict[str, int] = field(default_factory=dict)
    anomalies: dict[str, list[Anomaly]] = field(default_factory=dict)
    _disturbed: dict[str, list[bool]] = field(default_factory=dict)

    def add(self, kind: str, involved: Sequence[Call], reasons: Iterable[str], **data: Any) -> None:
        """One case of ``kind``: ``involved`` are T1, T2, … of ``reasons``; ``data`` are figures."""
        self.counts[kind] = self.counts.get(kind, 0) + 1
        told = self.anomalies.setdefault(kind, [])
        disturbed = self._disturbed.setdefault(kind, [])
        is_disturbed = self._is_disturbed(involved)
        if len(told) >= SHOWN:
            if is_disturbed or not any(disturbed):
                return
            place = len(told) - 1 - disturbed[::-1].index(True)
            del told[place], disturbed[place]
        disturbed.append(is_disturbed)
        lines = [f"T{number} = {call}" for number, call in enumerate(involved, 1)]
        lines += list(reasons)
        faults = self._faults(involved)
        witness = {call.last.index for call in involved} | {
            call.invocation.index for call in involved
        }
        told.append(
            Anomaly(
                message="\n".join([*lines, *([faults] if faults else [])]),
                witness=tuple(sorted(witness)),
                data=data,
            )
        )

    def _is_disturbed(self, involved: Sequence[Call]) -> bool:
        """Whether a fault was in force meanwhile, or nobody knows when that was."""
        if not self.record.faults:
            return False
        times = [record.time for call in involved for record in (call.invocation, call.last)]
        return not times or bool(faults_active(self.record.faults, min(times), max(times)))

    def _faults(self, involved: Sequence[Call]) -> str:
        times = [record.time for call in involved for record in (call.invocation, call.last)]
        return while_it_ran(self.record.faults, min(times), max(times)) if times else ""

    def why(self) -> str:
        """``2 lost, 1 duplicated`` in a few words."""
        return ", ".join(f"{count} {kind}" for kind, count in sorted(self.counts.items()))

    def verdict(
        self,
        *,
        stats: dict[str, Any],
        why: str = "",
        unknown: str = "",
        empty: str = "",
        settle: Settle = READ_MORE,
        mend: Settle = MEND_ANSWERS,
        not_: Sequence[str] = (),
        also_not: Sequence[str] = (),
        permitted: Mapping[str, int] | None = None,
        permitted_by: str = "",
    ) -> Verdict:
        """Invalid if anything was found, else unknown if ``unknown`` says why, else valid.

        ``mend`` settles what is ``unknown`` (as a rule an answer in a form of its own).
        ``empty`` says what was missing for anything to be tested, which is unknown for a whole
        history, and ``settle`` where to get it; a key of many that came to nothing is left out.
        ``permitted`` counts what was found and breaks no promise, as ``permitted_by`` says.
        """
        excused = {kind: count for kind, count in (permitted or {}).items() if count}
        if excused:
            stats = {**stats, "permitted": excused, "permitted-by": permitted_by}
        if self.anomalies:
            return Verdict(
                valid=False,
                why=f"{self.why()}{why and f': {why}'}",
                anomalies=self.anomalies,
                not_=tuple(not_),
                also_not=tuple(also_not),
                stats=stats,
            )
        if empty and not unknown:
            return untested(empty, settle=settle, stats={**stats, NOTHING_JUDGED: True})
        if unknown:
            return Verdict(valid=UNKNOWN, why=unknown, settle=mend, stats=stats)
        listed_ = ", ".join(f"{count} {kind}" for kind, count in sorted(excused.items()))
        told = f"{listed_}, which breaks no promise: {permitted_by}" if excused else ""
        return Verdict(valid=True, why=told, stats=stats)


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


def listed(values: Iterable[Any]) -> list[Any]:
    """The first :data:`LISTED` of ``values``, in order where they have one."""
    found = list(values)
    try:
        found.sort()
    except TypeError:
        found.sort(key=short)
    return found[:LISTED]


def intervals(values: Iterable[Any]) -> str:
    """Integers as Jepsen prints them, ``#{1..3 5}``; other values listed as JSON."""
    found = list(values)
    if not all(type(value) is int for value in found):
        return "#{" + " ".join(map(short, listed(found))) + "}"
    parts: list[list[int]] = []
    for value in sorted(found):
        if parts and value <= parts[-1][1] + 1:
            parts[-1][1] = max(value, parts[-1][1])
        else:
            parts.append([value, value])
    return "#{" + " ".join(f"{a}..{b}" if b > a else str(a) for a, b in parts) + "}"
