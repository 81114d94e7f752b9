"""The checker ``predicates``: did conditions find every row that they had to find?

Rows of a closed universe: all that a row can be is known from the history, so what a condition
did *not* find says something, too (after Elle's closed predicates). If a row has one value that
would have matched, and it was not found, then the reader saw the row before it was inserted, and
so came before the transaction that inserted it. Looked for:

- ``predicate-read-miss``: every version that a row ever had matches, and it was not found (only
  where an ``init`` operation says what there was at first; else not being there yet explains it)
- ``predicate-mismatch``: a row was found that does not match the condition
- ``thin-air`` / ``G1a``: a row was found with a value that nobody wrote, or only a failed
  transaction
- cycles of dependencies: ``G1c``, ``G-single``, ``G-nonadjacent``, ``G2``, with the order of time
  (``-realtime``) where the model asks for it. An edge over a condition makes it the plain name.

Micro-operations: ``["rp", condition, rows]``, ``["r", row, value]``, ``["insert" | "w", row,
value]``, ``["delete", row]``. A row that is changed more than once tells nothing of its order,
except that what was there at first comes first. Sound, not complete.

Cost: transactions times rows of a group (or of the whole history, without independent keys), and
the square of a group's transactions for the order of time.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from checkers.claim import Cases, Meaning, claims, judged
from checkers.elle.models import REALTIME_CYCLES, prohibited
from checkers.proof import proof, shown
from harness.history.operation import FAIL, INVOKE, OK, is_transaction
from harness.history.record import Record
from harness.history.verdict import Anomaly, Budget, Checker, Verdict

MISS: Final = "predicate-read-miss"
MISMATCH: Final = "predicate-mismatch"
THIN_AIR: Final = "thin-air"
ABORTED_READ: Final = "G1a"
CYCLES: Final = ("G1c", "G-single", "G-single-item", "G-nonadjacent", "G-nonadjacent-item", "G2")
MEANINGS: Final = {
    MISS: Meaning(anomalies=(MISS,)),
    MISMATCH: Meaning(anomalies=(THIN_AIR,)),
    THIN_AIR: Meaning(anomalies=(THIN_AIR,)),
    ABORTED_READ: Meaning(anomalies=(ABORTED_READ,)),
    **{
        name: Meaning(anomalies=(name,))
        for base in (*CYCLES, "G2-item")
        for name in (base, f"{base}-realtime")
    },
}
CHANGES: Final = ("insert", "w", "delete")
ABSENT: Final = None
LONGEST_GROUP: Final = 2_000
"""Transactions of a group up to which the order of time is taken in."""


def matches(condition: Any, value: Any) -> bool:
    """Whether a row with ``value`` (``None``: not there) fulfils ``condition``."""
    if value is ABSENT:
        return False
    if condition == "true":
        return True
    if condition[0] == "=":
        return bool(value == condition[1])
    if condition[0] == "mod":
        return bool(value % condition[1] == condition[2])
    raise ValueError(f"there is no condition {condition!r}")


@dataclass(eq=False)
class Txn:
    """One transaction: positions of both ends (``end`` of a last record), steps and outcome."""

    begun: int
    end: int
    status: str
    steps: list[list[Any]]

    def changes(self) -> dict[str, Any]:
        """What it leaves each row at."""
        return {
            str(step[1]): ABSENT if step[0] == "delete" else step[2]
            for step in self.steps
            if step[0] in CHANGES
        }


@dataclass(frozen=True)
class Edge:
    """``before`` comes before the other end because of ``why``; ``rw`` and ``over`` a condition."""

    before: int
    after: int
    why: str
    kind: str
    is_predicate: bool = False


@dataclass
class Group:
    """One closed universe: its first state, if told, and its transactions."""

    initial: dict[str, Any] = field(default_factory=dict)
    is_told: bool = False
    txns: list[Txn] = field(default_factory=list)

    def versions(self) -> dict[str, list[tuple[Any, int]]]:
        """Each row's values with who wrote them (-1: at first), the first one first."""
        found: dict[str, list[tuple[Any, int]]] = {
            row: [(value, -1)] for row, value in self.initial.items()
        }
        for number, txn in enumerate(self.txns):
            if txn.status != FAIL:
                for row, value in txn.changes().items():
                    found.setdefault(row, [(ABSENT, -1)]).append((value, number))
        return found


class PredicateReads:
    """Judges reads by condition in closed universes."""

    name = "predicates"
    reads = frozenset({"history"})
    micro_operations = frozenset(("rp", "r", "insert", "w", "delete"))

    def __init__(self, options: Mapping[str, Any]) -> None:
        self.options = options

    def check(self, record: Record, budget: Budget) -> Verdict:
        """The verdict on all ok transactions of ``record``."""
        asked = claims(record, self.options) or ("strict-serializable",)
        realtime = bool(prohibited(asked) & REALTIME_CYCLES)
        cases = Cases()
        groups = _groups(record)
        reads = 0
        for group in groups.values():
            budget.spend_check(self.name)
            versions = group.versions()
            edges: list[Edge] = []
            for number, txn in enumerate(group.txns):
                if txn.status == OK:
                    reads += sum(step[0] == "rp" for step in txn.steps)
                    edges += _read_edges(record, cases, group, versions, number)
            timed = _in_time(group.txns) if realtime and len(group.txns) <= LONGEST_GROUP else []
            _look_for_cycles(record, cases, group, edges, timed)
        return judged(
            record,
            self.options,
            cases,
            MEANINGS,
            stats={"group-count": len(groups), "predicate-reads": reads},
            unknown="" if reads else "no condition was answered, so nothing is known",
        )


def _groups(record: Record) -> dict[Any, Group]:
    groups: dict[Any, Group] = {}
    history = record.history
    for position, operation in enumerate(history.operations):
        if not operation.is_client or operation.type != INVOKE:
            continue
        end = history.pairs[position] if history.pairs[position] >= 0 else position
        last = history.operations[end]
        value = last.value if last.type == OK else operation.value
        key: Any = None
        if record.header.independent and isinstance(value, list | tuple) and len(value) == 2:
            key, value = value
        group = groups.setdefault(key, Group())
        if operation.f == "init" and isinstance(value, Mapping):
            group.initial = {str(row): given for row, given in value.items()}
            group.is_told = True
        elif is_transaction(value):
            status = last.type if end != position else "info"
            group.txns.append(Txn(position, end, status, [list(step) for step in value]))
    return groups


def _read_edges(
    record: Record,
    cases: Cases,
    group: Group,
    versions: Mapping[str, list[tuple[Any, int]]],
    number: int,
) -> list[Edge]:
    """What the reads of one transaction tell: its edges, and rows that it could not have seen."""
    txn = group.txns[number]
    edges: list[Edge] = []
    own: set[str] = set()
    for step in txn.steps:
        if step[0] in CHANGES:
            own.add(str(step[1]))
        elif step[0] == "r" and str(step[1]) not in own:
            edges += _saw(versions, number, str(step[1]), step[2], None)
        elif step[0] == "rp":
            found = {str(row): value for row, value in (step[2] or {}).items()}
            for row, value in found.items():
                if row not in own:
                    _look_for_odd_row(record, cases, group, txn, step[1], row, value)
                    edges += _saw(versions, number, row, value, step[1])
            for row in versions.keys() - found.keys() - own:
                edges += _missed(record, cases, group, versions[row], number, row, step[1])
    return edges


def _look_for_odd_row(
    record: Record, cases: Cases, group: Group, txn: Txn, condition: Any, row: str, value: Any
) -> None:
    found = f"found row {row} = {shown(value)}"
    if not matches(condition, value) and cases.wants(MISMATCH):
        step = f"T1 {found} by the condition {shown(condition)}, which it does not fulfil"
        cases.keep(MISMATCH, proof(record, {"T1": txn.end}, [step], key=row))
    writers = [t for t in group.txns if row in t.changes() and t.changes()[row] == value]
    if any(t.status != FAIL for t in writers) or group.initial.get(row, ABSENT) == value:
        return
    kind = ABORTED_READ if writers else THIN_AIR
    if cases.wants(kind):
        named = {"T1": writers[0].end, "T2": txn.end} if writers else {"T2": txn.end}
        why = "which T1 wrote, and T1 failed" if writers else "which nobody ever wrote"
        cases.keep(kind, proof(record, named, [f"T2 {found}, {why}"], key=row))


def _saw(
    versions: Mapping[str, list[tuple[Any, int]]],
    number: int,
    row: str,
    value: Any,
    condition: Any,
) -> Iterator[Edge]:
    """Edges of having seen one version of a row."""
    of_row = versions.get(row, [])
    holders = [writer for held, writer in of_row if held == value]
    if len(holders) != 1:
        return
    over = condition is not None
    if holders[0] >= 0 and holders[0] != number:
        why = f"{{b}} found row {row} = {shown(value)}, which {{a}} wrote"
        yield Edge(holders[0], number, why, "wr", over)
    if holders[0] < 0:  # what was there at first comes before all else
        for after, writer in of_row[1:]:
            if writer != number:
                seen = "not there" if value is ABSENT else shown(value)
                why = f"{{a}} found row {row} {seen}, and {{b}} made it {shown(after)}"
                yield Edge(number, writer, why, "rw", over)


def _missed(
    record: Record,
    cases: Cases,
    group: Group,
    of_row: list[tuple[Any, int]],
    number: int,
    row: str,
    condition: Any,
) -> Iterator[Edge]:
    """Edges of not having found a row: the reader saw the one version that does not match."""
    silent = [writer for value, writer in of_row if not matches(condition, value)]
    if not silent:
        if group.is_told and cases.wants(MISS):
            values = shown([value for value, _ in of_row])
            step = (
                f"T1 did not find row {row} by the condition {shown(condition)}, which each of"
                f" the values that the row ever had fulfils: {values}"
            )
            named = {"T1": group.txns[number].end}
            cases.keep(MISS, proof(record, named, [step], key=row))
        return
    if len(silent) > 1:
        return
    if silent[0] >= 0:
        if silent[0] != number:
            why = f"{{b}} did not find row {row}, and only as {{a}} left it could it not be found"
            yield Edge(silent[0], number, why, "wr", True)
        return
    for value, writer in of_row[1:]:
        if writer != number:
            why = (
                f"{{a}} did not find row {row} by the condition {shown(condition)}, and {{b}}"
                f" made it {shown(value)}, which fulfils it"
            )
            yield Edge(number, writer, why, "rw", True)


def _in_time(txns: list[Txn]) -> list[Edge]:
    why = "{a} had completed before {b} was invoked"
    return [
        Edge(a, b, why, "realtime")
        for a, first in enumerate(txns)
        if first.status == OK
        for b, second in enumerate(txns)
        if second.status != FAIL and first.end < second.begun
    ]


def _look_for_cycles(
    record: Record, cases: Cases, group: Group, edges: list[Edge], timed: list[Edge]
) -> None:
    """A shortest cycle of the worst kind there is, first without the order of time."""
    for more in ([], timed):
        cycle = _worst_cycle(edges, more)
        if cycle:
            kind = _named(cycle)
            if cases.wants(kind):
                cases.keep(kind, _told(record, group, cycle))
            return


def _worst_cycle(edges: list[Edge], timed: list[Edge]) -> list[Edge]:
    plain = [edge for edge in edges if edge.kind != "rw"] + timed
    against = [edge for edge in edges if edge.kind == "rw"]
    searches = ((plain, plain), (against, plain), (against, [*plain, *against]))
    for starts, allowed in searches:
        after: dict[int, list[Edge]] = {}
        for edge in allowed:
            after.setdefault(edge.before, []).append(edge)
        cycles = [[edge, *path] for edge in starts if (path := _path(after, edge)) is not None]
        if cycles:
            return min(cycles, key=len)
    return []


def _path(after: Mapping[int, list[Edge]], edge: Edge) -> list[Edge] | None:
    """The shortest way from the end of ``edge`` back to its beginning."""
    came: dict[int, Edge | None] = {edge.after: None}
    queue = deque([edge.after])
    while queue:
        at = queue.popleft()
        if at == edge.before:
            path: list[Edge] = []
            step = came[at]
            while step is not None:
                path.append(step)
                step = came[step.before]
            return path[::-1]
        for step in after.get(at, ()):
            if step.after not in came:
                came[step.after] = step
                queue.append(step.after)
    return None


def _named(cycle: list[Edge]) -> str:
    """The anomaly that a cycle is, by its edges."""
    against = [edge.kind == "rw" for edge in cycle]
    count = sum(against)
    adjacent = any(
        one and other for one, other in zip(against, [*against[1:], against[0]], strict=True)
    )
    item = "" if any(edge.is_predicate and edge.kind == "rw" for edge in cycle) else "-item"
    late = "-realtime" if any(edge.kind == "realtime" for edge in cycle) else ""
    if not count:
        return f"G1c{late}"
    if count == 1:
        return f"G-single{item}{late}"
    return f"{'G2' if adjacent else 'G-nonadjacent'}{item}{late}"


def _told(record: Record, group: Group, cycle: list[Edge]) -> Anomaly:
    numbers = [edge.before for edge in cycle]
    names = {number: f"T{place}" for place, number in enumerate(numbers, 1)}
    named = {names[number]: group.txns[number].end for number in numbers}
    steps = []
    for edge in cycle:
        a, b = names[edge.before], names[edge.after]
        steps.append(f"{a} < {b}, because {edge.why.format(a=a, b=b)}")
    return proof(record, named, steps)


CHECKERS: Final[Mapping[str, Callable[[Mapping[str, Any]], Checker]]] = {
    PredicateReads.name: PredicateReads
}
