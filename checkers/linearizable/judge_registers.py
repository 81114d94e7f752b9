"""Deciding every key of a history of registers, as far as time and memory go.

A key whose values were each made once is decided by the rules of
:mod:`checkers.linearizable.zones`, any other by the exact search of
:mod:`checkers.linearizable.search`, in rounds: first all keys with little, then the hard ones with
more, so that no hard key starves the rest. Short histories are decided on objects, long ones on
columns (:mod:`checkers.linearizable.register_columns`): the answers are the same.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, TypeVar

from checkers.linearizable.narrator import show
from checkers.linearizable.register_entries import (
    INITIAL,
    NOTHING,
    Entry,
    KeyHistory,
    json_name,
    until,
)
from checkers.linearizable.search import Impossible, first_impossible
from checkers.linearizable.search_problem import Allowance, Exhausted
from checkers.linearizable.zones import (
    Contradiction,
    contradiction,
    earliest_contradiction,
    has_unique_values,
)
from harness.verdict.verdict import Budget

if TYPE_CHECKING:
    from checkers.linearizable.key_problems import Lead
    from checkers.linearizable.register_columns import Rows

Found = TypeVar("Found")
Search = Callable[[Allowance], Found | None]

FIRST_ROUND: Final = 50_000
"""Configurations that each key may visit in the first round; eight times more in each next."""
ROUND_FACTOR: Final = 8


@dataclass(frozen=True)
class Broken:
    """A key without an order: the first impossible completion, and why."""

    home: KeyHistory
    late: Entry
    why: Contradiction | Impossible


@dataclass
class Outcome:
    """What became of all keys."""

    keys: int = 0
    operations: int = 0
    broken: list[Broken] = field(default_factory=list)
    undecided: dict[str, str] = field(default_factory=dict)
    by_zones: int = 0
    visited: int = 0
    tested: int = 0
    """Answers that could have been wrong."""


def judge(homes: Sequence[KeyHistory], budget: Budget) -> Outcome:
    """Decide every key, as far as ``budget`` goes."""
    outcome = Outcome(len(homes), sum(len(home.entries) for home in homes))
    outcome.tested = sum(_is_test(entry) for home in homes for entry in home.entries)
    waiting: dict[str, Search[Broken]] = {}
    for home in homes:
        if not has_unique_values(home.entries):
            waiting[show(home.key)] = _by_search(home)
            continue
        outcome.by_zones += 1
        found = earliest_contradiction(home.entries)
        if found is not None:
            outcome.broken.append(Broken(home, *found))
    outcome.broken += in_rounds(waiting, budget, outcome)
    outcome.broken.sort(key=lambda broken: broken.late.complete)
    return outcome


def _is_test(entry: Entry) -> bool:
    """Whether its answer could have been wrong: it says what it saw, as a compare-and-set does."""
    return entry.seen != NOTHING and not entry.is_open


def _by_search(home: KeyHistory) -> Search[Broken]:
    def search(allowance: Allowance) -> Broken | None:
        impossible = first_impossible(home.entries, allowance)
        return None if impossible is None else Broken(home, impossible.entry, impossible)

    return search


def in_rounds(waiting: dict[str, Search[Found]], budget: Budget, outcome: Outcome) -> list[Found]:
    """Search key after key with growing allowances; what was found wrong."""
    found = []
    configurations = FIRST_ROUND
    while waiting:
        left = {}
        for name, search in waiting.items():
            allowance = Allowance(configurations, budget)
            try:
                allowance.spend(0, 0)
                wrong = search(allowance)
                found += [wrong] if wrong is not None else []
            except Exhausted as error:
                if error.more_would_help:
                    left[name] = search
                else:
                    outcome.undecided[name] = str(error)
            outcome.visited += allowance.visited
        waiting = left
        configurations *= ROUND_FACTOR
    return found


def judge_rows(
    rows: Rows, homes: Callable[[Sequence[Any]], Sequence[KeyHistory]], budget: Budget
) -> Outcome:
    """As :func:`judge`, on columns. ``homes`` makes the objects of those keys that are wrong."""
    from checkers.linearizable import zone_columns
    from checkers.linearizable.key_problems import Lead, parts

    outcome = Outcome(len(rows.keys), len(rows))
    outcome.tested = rows.tests()
    is_unique = zone_columns.has_unique_values(rows)
    outcome.by_zones = int(is_unique.sum())
    unique = rows.where(is_unique[rows.key])
    late = zone_columns.first_impossible(unique, zone_columns.impossible(unique))
    wrong = (late >= 0).nonzero()[0].tolist()
    leads = [Lead(rows.keys[key], int(late[key]), None) for key in wrong]
    waiting: dict[str, Search[Lead]] = {
        show(part.key): part.search for part in parts(rows.where(~is_unique[rows.key]))
    }
    leads += in_rounds(waiting, budget, outcome)
    leads.sort(key=lambda lead: lead.end)
    if leads:
        found = {json_name(home.key): home for home in homes([lead.key for lead in leads])}
        outcome.broken = [_broken(found[json_name(lead.key)], lead) for lead in leads]
    return outcome


def _broken(home: KeyHistory, lead: Lead) -> Broken:
    """The object behind ``lead``."""
    late = next(entry for entry in home.entries if entry.complete == lead.end)
    if lead.makers is None:
        why = contradiction(until(home.entries, lead.end))
        assert why is not None, "columns and objects must agree"
        return Broken(home, late, why)
    makers = {entry.at: entry for entry in home.entries}
    values = (INITIAL if at < 0 else makers[at].made for at in lead.makers)
    return Broken(home, late, Impossible(late, frozenset(values)))
