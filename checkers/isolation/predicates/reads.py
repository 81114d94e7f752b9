"""What the reads of one transaction tell, for :mod:`checkers.isolation.predicates.checker`.

Every read counts. Of rows that the transaction has changed itself it must find what it left there,
by name and by condition; of others some version that another transaction left there at its end, and
of one row the same version each time. What a read can only have found in one version makes edges:
after who wrote it, and, if it was the first one, before all who changed the row.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from checkers.isolation.impossible_reads import (
    ABORTED_READ,
    FUTURE_READ,
    INTERMEDIATE_READ,
    INTERNAL,
    OWN_REPLACED,
    OWN_UNREAD,
    THIN_AIR,
)
from checkers.isolation.predicates.groups import ABSENT, AT_FIRST, Group, Step, Txn, fulfils
from checkers.isolation.register_transactions import displayed
from checkers.proof.cases import Cases
from checkers.proof.prose import proof
from checkers.proof.words import shown
from harness.history.operation import FAIL
from harness.verdict.record import Record

MISS: Final = "predicate-read-miss"
MISMATCH: Final = "predicate-mismatch"
Versions = Mapping[str, list[tuple[Any, int]]]
Condition = Any


@dataclass(frozen=True)
class Edge:
    """``before`` comes before the other end because of ``why``; ``rw`` and ``over`` a condition."""

    before: int
    after: int
    why: str
    kind: str
    is_predicate: bool = False


@dataclass
class Reader:
    """Looks at the reads of the transaction ``number`` of a group."""

    record: Record
    cases: Cases
    group: Group
    versions: Versions
    number: int
    own: dict[str, Any] = field(default_factory=dict)
    left: dict[str, list[tuple[Any, int]]] = field(default_factory=dict)
    """Of each row the versions that all reads so far can have found."""
    odd: set[str] = field(default_factory=set)
    """Rows of which a read was told to be wrong by itself."""
    pinned: set[str] = field(default_factory=set)
    """Rows of which one read alone told the version."""

    @property
    def txn(self) -> Txn:
        """The transaction."""
        return self.group.txns[self.number]

    def edges(self) -> Iterator[Edge]:
        """All edges; odd reads go to the cases on the way."""
        for step in self.txn.steps:
            if step.is_change:
                self.own[step.about] = step.answer
            elif step.f == "r":
                yield from self._found(step.about, step.answer, None)
            else:
                yield from self._asked(step)
        for row, versions in self.left.items():
            if len(versions) == 1 and row not in self.odd | self.pinned:
                yield from self._of_version(row, versions[0], "the reads of {b} together tell that")

    def _asked(self, step: Step) -> Iterator[Edge]:
        for row, value in step.answer.items():
            yield from self._found(row, value, step.about)
        rows = {*self.versions, *self.own} - step.answer.keys()
        for row in sorted(rows):
            if row in self.own:
                if fulfils(step.about, self.own[row]):
                    self._report_own(row, "did not find", step.about)
            else:
                yield from self._missed(row, step.about)

    def _found(self, row: str, value: Any, condition: Condition) -> Iterator[Edge]:
        if condition is not None and fulfils(condition, value) is False:
            step = f"T1 found row {row} = {displayed(value)} by the condition {shown(condition)},"
            self._keep(MISMATCH, {}, f"{step} which it does not fulfil", row)
            self.odd.add(row)
        if row in self.own:
            if self.own[row] != value:
                self._report_own(row, f"found {displayed(value)} in", None, value)
        elif self._is_a_version(row, value):
            yield from self._of_read(row, value, condition)
            self._narrow(row, [held for held in self._all(row) if held[0] == value])
        else:
            self.odd.add(row)

    def _is_a_version(self, row: str, value: Any) -> bool:
        """Whether another transaction left ``value`` there, or it was there at first."""
        if any(held == value for held, writer in self._all(row) if writer != self.number):
            return True
        found = f"found row {row} = {displayed(value)}"
        if any(
            step.is_change and (step.about, step.answer) == (row, value) for step in self.txn.steps
        ):
            self._keep(FUTURE_READ, {}, f"T1 {found}, which only T1 itself wrote, and later", row)
            return False
        for kind, writer in self._odd_writers(row, value):
            why = "and T1 failed" if kind == ABORTED_READ else "and T1 itself overwrote it"
            step = f"T2 {found}, which T1 wrote, {why}"
            self._keep(kind, {"T1": writer.end}, step, row)
            return False
        self._keep(THIN_AIR, {}, f"T1 {found}, which nobody ever wrote", row)
        return False

    def _odd_writers(self, row: str, value: Any) -> Iterator[tuple[str, Txn]]:
        """Who wrote a value in vain or in passing, the lesser anomaly first."""
        for txn in self.group.txns:
            if txn.status != FAIL and (row, value) in txn.passing():
                yield INTERMEDIATE_READ, txn
        for txn in self.group.txns:
            wrote = any(
                (step.about, step.answer) == (row, value) for step in txn.steps if step.is_change
            )
            if txn.status == FAIL and wrote:
                yield ABORTED_READ, txn

    def _all(self, row: str) -> list[tuple[Any, int]]:
        """The versions of a row; one that nobody touched was never there."""
        return self.versions.get(row, [(ABSENT, AT_FIRST)])

    def _of_read(self, row: str, value: Any, condition: Condition) -> Iterator[Edge]:
        """Edges of having seen one version of a row."""
        holders = [version for version in self._all(row) if version[0] == value]
        if len(holders) == 1:
            self.pinned.add(row)
            yield from self._of_version(row, holders[0], "", condition)

    def _of_version(
        self, row: str, version: tuple[Any, int], intro: str, condition: Condition = None
    ) -> Iterator[Edge]:
        value, writer = version
        over = condition is not None or bool(intro)
        seen = "not there" if value is ABSENT else displayed(value)
        if writer not in (AT_FIRST, self.number):
            why = f"{{b}} found row {row} = {seen}, which {{a}} wrote"
            if intro:
                why = f"{intro} row {row} was as {{a}} left it"
            yield Edge(writer, self.number, _safe(why), "wr", over)
        if writer == AT_FIRST:  # what was there at first comes before all else
            for after, other in self._all(row)[1:]:
                if other != self.number:
                    why = f"{{a}} found row {row} {seen}, and {{b}} made it {displayed(after)}"
                    yield Edge(self.number, other, _safe(why), "rw", over)

    def _missed(self, row: str, condition: Condition) -> Iterator[Edge]:
        """Edges of not having found a row: the reader saw a version that does not match."""
        silent = [
            version for version in self._all(row) if fulfils(condition, version[0]) is not True
        ]
        others = [version for version in silent if version[1] != self.number]
        if not others:
            if self.group.is_known:
                values = ", ".join(displayed(value) for value, _ in self._all(row))
                step = (
                    f"T1 did not find row {row} by the condition {shown(condition)}, which each of"
                    f" the values that the row ever had fulfils: {values}"
                )
                self._keep(MISS, {}, step, row)
                self.odd.add(row)
            return
        self._narrow(row, silent)
        if len(others) > 1:
            return
        self.pinned.add(row)
        writer = others[0][1]
        if writer >= 0:
            why = f"{{b}} did not find row {row}, and only as {{a}} left it could it not be found"
            yield Edge(writer, self.number, _safe(why), "wr", True)
            return
        for value, other in self._all(row)[1:]:
            if other != self.number:
                why = (
                    f"{{a}} did not find row {row} by the condition {shown(condition)}, and {{b}}"
                    f" made it {displayed(value)}, which fulfils it"
                )
                yield Edge(self.number, other, _safe(why), "rw", True)

    def _narrow(self, row: str, versions: list[tuple[Any, int]]) -> None:
        """Keep of the versions that the row can have had for this reader those given."""
        before = self.left.get(row, versions)
        possible = [version for version in before if version in versions]
        possible = [version for version in possible if version[1] != self.number]
        self.left[row] = possible
        if not possible and row not in self.odd:
            self.odd.add(row)
            step = f"no one version of row {row} explains all that T1 was told of it"
            self._keep(INTERNAL, {}, step, row)

    def _report_own(self, row: str, did: str, condition: Condition, value: Any = ABSENT) -> None:
        """A read that lacks what the transaction itself had written."""
        by = "" if condition is None else f" by the condition {shown(condition)}"
        step = f"T1 {did} row {row}{by}, and had itself left it at {displayed(self.own[row])}"
        others = [
            held
            for number, txn in enumerate(self.group.txns)
            if number != self.number
            for held in [step.answer for step in txn.steps if step.is_change and step.about == row]
        ]
        if condition is None:
            is_others = value in others
        else:
            is_others = any(fulfils(condition, held) is not True for held in others)
        self._keep(OWN_REPLACED if is_others else OWN_UNREAD, {}, step, row)

    def _keep(self, kind: str, named: Mapping[str, int], step: str, row: str) -> None:
        if self.cases.wants(kind):
            reader = "T2" if named else "T1"
            everybody = {**named, reader: self.txn.end}
            self.cases.keep(kind, proof(self.record, everybody, [step], key=row))


def _safe(why: str) -> str:
    """A reason whose only places are those for names."""
    doubled = why.replace("{", "{{").replace("}", "}}")
    return doubled.replace("{{a}}", "{a}").replace("{{b}}", "{b}")
