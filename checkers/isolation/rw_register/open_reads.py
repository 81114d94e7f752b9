"""Is there a choice of writers, for reads of values that are not unique, that an order explains?

Each choice makes the history one of unique values, which is decided
(:mod:`checkers.isolation.rw_register.decision`). An order for one of them is an order for the
history. Where there is none the proof tells more than that: it uses some of the open reads
(:mod:`checkers.elle.registers.duplicates`), so no choice that agrees with it in those can do. Also
those open reads count that make a transaction of unknown outcome take part. Choices are gone
through until one does or each has a proof against it.

How many that takes nobody knows; a number of tries and the budget end it. The choice tried first is
of the writers that completed last before the reader.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from checkers.elle.explain import show
from checkers.elle.registers.duplicates import NOBODY, Doubt
from checkers.elle.registers.versions import Versions
from checkers.elle.transactions import OK
from checkers.isolation.rw_register.decision import Decision, decide
from checkers.isolation.rw_register.problem import Level, Problem, problem
from checkers.isolation.rw_register.refutation import Refutation
from harness.verdict.steps import UNIQUE_VALUES
from harness.verdict.verdict import Budget

MOST_TRIES: Final = 300
MOST_STEPS: Final = 200_000
"""Of the search for a choice that is not ruled out."""

Ruling = Mapping[int, int]
"""Groups with the places of their writers that cannot be chosen together."""


@dataclass(frozen=True)
class Ruled:
    """What rules out a choice: its proof (``None`` if a read there has no place in any order)."""

    ruling: Ruling
    problem: Problem | None
    refutation: Refutation | None


@dataclass(frozen=True)
class Chosen:
    """``holds``, with the ``decision`` of the choice that does, or what rules out all of them."""

    holds: bool | None
    decision: Decision
    ruled: tuple[Ruled, ...] = ()


def decide_open(doubt: Doubt, level: Level, budget: Budget) -> Chosen:
    """Whether some choice has an order that explains it."""
    ruled: list[Ruled] = []
    while True:
        try:
            choice = choice_beside(doubt, [one.ruling for one in ruled])
        except _TooManyStepsError:
            return Chosen(None, _open(doubt, len(ruled)))
        if choice is None:
            made = Decision(False, "choices", stats={"writers_tried": len(ruled)})
            return Chosen(False, made, tuple(ruled))
        if len(ruled) == MOST_TRIES:
            return Chosen(None, _open(doubt, len(ruled)))
        budget.spend_check("whom reads of values that are not unique read")
        known = doubt.chosen(choice)
        stated = problem(known)
        if stated is None:
            ruled.append(Ruled(_of_infos(doubt, choice), None, None))
            continue
        made = decide(stated, level, budget)
        if made.refutation is None:
            stats = {**made.stats, "writers_tried": len(ruled) + 1}
            done = Decision(made.holds, made.how, None, made.why, made.settle, stats)
            return Chosen(made.holds, done)
        ruling = _of_infos(doubt, choice) | _used(doubt, choice, stated, made.refutation)
        ruled.append(Ruled(ruling, stated, made.refutation))


def _open(doubt: Doubt, tries: int) -> Decision:
    why = (
        f"values were written more than once to key {doubt.keys()}, so reads do not tell whom they"
        f" read; {tries} choices of writers explain nothing, and there are more"
    )
    return Decision(None, why=why, settle=UNIQUE_VALUES, stats={"writers_tried": tries})


def _of_infos(doubt: Doubt, choice: list[int]) -> dict[int, int]:
    """The groups whose choice makes a transaction of unknown outcome take part."""
    status = doubt.known.found.status
    found = {}
    for at, (group, place) in enumerate(zip(doubt.groups, choice, strict=True)):
        writer = group.writers[place]
        if writer != NOBODY and status[writer] != OK:
            found[at] = place
    return found


def _used(
    doubt: Doubt, choice: list[int], stated: Problem, refutation: Refutation
) -> dict[int, int]:
    """The groups of which a proof uses a read."""
    group_of = {row: at for at, group in enumerate(doubt.groups) for row in group.rows}
    external = stated.known.external
    rows = {int(external[read]) for read in _reads(refutation)}
    return {group_of[row]: choice[group_of[row]] for row in rows if row in group_of}


def _reads(refutation: Refutation) -> Iterator[int]:
    for finding in refutation.findings:
        if finding.read >= 0:
            yield finding.read
        yield from (step.read for step in finding.path if step.read >= 0)
    for circle in refutation.circles:
        yield from (step.read for step in circle.steps if step.read >= 0)


class _TooManyStepsError(Exception):
    """The search for a choice came to no end."""


def choice_beside(doubt: Doubt, rulings: list[Ruling]) -> list[int] | None:
    """The likeliest choice with which no ruling agrees, ``None`` if there is none."""
    choice = [0] * len(doubt.groups)
    groups = list(dict.fromkeys(group for ruling in rulings for group in ruling))
    order = {group: place for place, group in enumerate(groups)}
    ends: dict[int, list[Ruling]] = {}
    for ruling in rulings:
        if not ruling:
            return None
        ends.setdefault(max(order[group] for group in ruling), []).append(ruling)
    steps, at = 0, 0
    tried = [-1] * len(groups)
    while 0 <= at < len(groups):
        steps += 1
        if steps > MOST_STEPS:
            raise _TooManyStepsError
        tried[at] += 1
        group = groups[at]
        if tried[at] == len(doubt.groups[group].codes):
            tried[at] = -1
            choice[group] = 0
            at -= 1
            continue
        choice[group] = tried[at]
        if not any(_agrees(choice, ruling) for ruling in ends.get(at, ())):
            at += 1
    return None if at < 0 else choice


def _agrees(choice: list[int], ruling: Ruling) -> bool:
    return all(choice[group] == place for group, place in ruling.items())


def explained(doubt: Doubt) -> Versions:
    """The likeliest choice."""
    return doubt.chosen([0] * len(doubt.groups))


def supposition(doubt: Doubt, ruling: Ruling) -> str:
    """The choice that a ruling speaks of, as a sentence; empty if it speaks of none."""
    found = doubt.known.found
    parts = []
    for at, place in ruling.items():
        group = doubt.groups[at]
        writer = group.writers[place]
        value = show(doubt.known.name(int(doubt.known.of[group.rows[0]])))
        whose = "was there first" if writer == NOBODY else f"index {found.index(writer)} wrote"
        key = show(found.keys[group.key])
        parts.append(f"the {value} that index {found.index(group.txn)} read of key {key} {whose}")
    return f"Suppose {', and '.join(parts)}.\n\n" if parts else ""
