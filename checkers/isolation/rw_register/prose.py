"""A refutation in words, in Elle's form, with the orders that were inferred spelled out.

Let:
  T1 = {…}
  …

Of the orders of versions that no record tells, these are certain:
  (1) key "x": 1 before 9, because T3 read 9, which T2 wrote, and comes after T1, …

Then:
  - T1 < T2, because T2 read key "x" = 1, which T1 wrote.
  - However, T2 < T1, because T2 read key "x" = 1, and T1 set it to 9, which came later (1): …
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from checkers.elle.explain import Explainer
from checkers.elle.graph import LABELS, PROCESS, REALTIME, RW, WR, WW
from checkers.isolation.rw_register.begin_commit_graph import INSIDE
from checkers.isolation.rw_register.problem import INITIAL, PREFIX, SERIAL, SNAPSHOT, Level, Problem
from checkers.isolation.rw_register.refutation import Circle, Finding, Pair, Refutation, Step
from checkers.proof.words import then
from harness.verdict.record import Record
from harness.verdict.verdict import Anomaly

NAMES: Final = {
    SERIAL: "no-serial-order",
    SNAPSHOT: "no-snapshot-order",
    PREFIX: "no-prefix-order",
}
MOST_FINDINGS: Final = 40
MOST_CIRCLES: Final = 6
_WHAT: Final = {
    SERIAL: "in which each transaction reads what the ones before it left",
    SNAPSHOT: "of snapshots and commits in which each transaction reads what its snapshot holds,"
    " and of two that write one key one commits before the other takes its snapshot",
    PREFIX: "of snapshots and commits in which each transaction reads what its snapshot holds",
}


class _Describer:
    """Names transactions and findings in the order in which they are told of."""

    def __init__(self, problem: Problem, level: Level, refutation: Refutation) -> None:
        self.problem = problem
        self.level = level
        self.names: dict[int, str] = {}
        self.numbers = {
            finding.order: place for place, finding in enumerate(refutation.findings, 1)
        }

    def name(self, txn: int) -> str:
        return self.names.setdefault(txn, f"T{len(self.names) + 1}")

    def order(self, order: Pair) -> str:
        """``key "x": 1 before 9``."""
        first, later = order
        key = int(self.problem.write_key[later])
        one, other = self.problem.value(first, key), self.problem.value(later, key)
        return f"key {self.problem.key(key)}: {one} before {other}"

    def step(self, step: Step) -> str:
        """``T1 < T2, because …``."""
        a, b = self.name(step.before), self.name(step.after)
        return f"{a} < {b}, because {self._why(step, a, b)}"

    def _why(self, step: Step, a: str, b: str) -> str:
        problem = self.problem
        if step.label == PROCESS:
            return f"process {int(problem.process[step.before])} executed {a} before {b}"
        if step.label == REALTIME:
            columns = problem.found.columns
            done = int(columns.index[problem.complete[step.before]])
            begun = int(columns.index[problem.invoke[step.after]])
            return f"{a} completed at index {done}, before {b} was invoked, at index {begun}"
        if step.label == WR:
            key, source = int(problem.read_key[step.read]), int(problem.read_from[step.read])
            return (
                f"{b} read key {problem.key(key)} = {problem.value(source, key)}, which {a} wrote"
            )
        assert step.order is not None
        first, later = step.order
        key = int(problem.write_key[later])
        name, old, new = problem.key(key), problem.value(first, key), problem.value(later, key)
        if first == INITIAL:
            return f"{a} read the initial ({old}) state of key {name}, which {b} set to {new}"
        verb = "wrote" if step.label == WW else "read"
        number = self.numbers.get(step.order)
        which = f" ({number})" if number else ""
        return f"{a} {verb} key {name} = {old}, and {b} set it to {new}, which came later{which}"

    def finding(self, finding: Finding) -> str:
        """``key "x": 1 before 9, because …``."""
        problem = self.problem
        first, later = finding.order
        one, other = (self.name(int(problem.write_txn[write])) for write in finding.order)
        key = int(problem.write_key[later])
        path = "; ".join(self.step(step) for step in finding.path if step.label != INSIDE)
        if finding.read >= 0:
            reader = self.name(int(problem.read_txn[finding.read]))
            found, old = problem.value(later, key), problem.value(first, key)
            why = (
                f"{reader} read {found}, which {other} wrote, and comes after {one}, which wrote"
                f" {old}: had {old} come later, {reader} had found that, or what replaced it"
            )
        elif self.level.kind == SNAPSHOT:
            why = (
                f"{one} and {other} both write it, so one committed before the other began, and"
                f" {one} began before {other} committed"
            )
        else:
            why = f"{one} comes before {other}"
        return f"{self.order(finding.order)}, because {why}{f' ({path})' if path else ''}"

    def circle(self, circle: Circle) -> Iterator[str]:
        """The lines of a circle."""
        if circle.supposed:
            supposed = ", and ".join(self.order(order) for order in circle.supposed)
            yield f"Suppose {supposed}. Then:"
        else:
            yield "Then:"
        steps = [self.step(step) for step in circle.steps if step.label != INSIDE]
        if not steps:
            yield "  - These orders make a circle by themselves: a contradiction!"
        yield from then(steps)


def refutation_anomaly(
    refutation: Refutation, problem: Problem, level: Level, record: Record
) -> Anomaly:
    """The proof for people, with its steps for machines."""
    describer = _Describer(problem, level, refutation)
    circles = refutation.circles[:MOST_CIRCLES]
    proved = [line for circle in circles for line in (*describer.circle(circle), "")]
    if len(refutation.circles) > len(circles):
        more = len(refutation.circles) - len(circles)
        proved.append(f"So it goes with each other choice ({more} more circles).")
    findings = [
        f"  ({place}) {describer.finding(finding)}."
        for place, finding in enumerate(refutation.findings[:MOST_FINDINGS], 1)
    ]
    if len(refutation.findings) > len(findings):
        findings.append(f"  … and {len(refutation.findings) - len(findings)} more.")
    parts = [f"There is no order {_WHAT[level.kind]}."]
    if findings:
        parts += ["Of the orders of versions that no record tells, these are certain:", *findings]
        parts.append("")
    if any(circle.supposed for circle in refutation.circles):
        parts.append("Nothing tells which of some versions came first; each choice contradicts.")
    text = "\n".join([*parts, *proved]).strip()
    txns = [int(problem.txns[number]) for number in describer.names]
    return Explainer(problem.found, record).anomaly(txns, text, steps=_steps(circles, problem))


def _steps(circles: Sequence[Circle], problem: Problem) -> list[dict[str, Any]]:
    """The steps of the first circle, for machines."""
    found: list[dict[str, Any]] = []
    for step in circles[0].steps:
        if step.label == INSIDE:
            continue
        data: dict[str, Any] = {"type": LABELS[step.label]}
        if step.label == WR:
            key = int(problem.read_key[step.read])
            data["key"] = problem.plain_key(key)
            data["value"] = problem.plain_value(int(problem.read_from[step.read]), key)
        elif step.label in (WW, RW):
            assert step.order is not None
            first, later = step.order
            key = int(problem.write_key[later])
            data["key"] = problem.plain_key(key)
            data["value"] = problem.plain_value(first, key)
            data["value'"] = problem.plain_value(later, key)
        found.append(data)
    return found
