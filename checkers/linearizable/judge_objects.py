"""Judging objects other than registers, and telling why there is no order.

Parts of an object that may be judged apart are (see :mod:`checkers.linearizable.object_entries`).
Queues and sets with distinct elements are decided by the rules of
:mod:`checkers.linearizable.containers`, all else by the exact search, in rounds.

A proof shows a part of what is known at the first impossible answer that has no order by itself
and gets stuck at the same answer. By chunks that halve (Zeller's delta debugging) are left out

- the operations on other values, those on one value together (of queues and stacks, where these
  can be left out of any order);
- single ones, if all that were left out would not help even where they might happen at any later
  time or never, with any answer. (Simply leaving out what the answer needs would prove nothing.)

That nothing else helps is known from the search over all.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from checkers.linearizable.attempts import attempts
from checkers.linearizable.containers import Clash, NotDecided, decided
from checkers.linearizable.explain import NONLINEARIZABLE, Proof, of_key, precedence
from checkers.linearizable.judge_registers import Broken, Outcome, in_rounds
from checkers.linearizable.narrator import Narrator, show
from checkers.linearizable.object_answers import Call
from checkers.linearizable.object_entries import (
    Part,
    StepMachine,
    Timed,
    forgotten,
    parts_of,
    problem_of,
    until,
)
from checkers.linearizable.object_models import Sequential
from checkers.linearizable.register_entries import NOTHING, Entry, KeyHistory, json_name
from checkers.linearizable.search import Impossible, first_stuck, first_stuck_of_any
from checkers.linearizable.search_problem import Allowance, Exhausted, Stuck
from checkers.linearizable.stacks import decided as decided_stack
from harness.history.history import History
from harness.verdict.verdict import Budget

TRIAL: Final = 500
"""Configurations for one trial of a smaller proof, beside thirty for each operation."""
TOTAL: Final = 200_000
"""Configurations for one proof."""
SHOWN: Final = 5
"""States that are told in words."""


@dataclass(frozen=True)
class Wrong:
    """A part without an order: its first impossible completion, and how that is known."""

    part: Part
    late: Timed
    clash: Clash | None
    past: Sequence[Timed] = ()
    """What leaves no order: all that is known at the answer of ``late``, at most."""


class CallNarrator(Narrator):
    """Tells calls in their own words: ``dequeue -> 5``."""

    calls: dict[int, Call]

    def _call(self, entry: Entry) -> str:
        return words(self.calls[entry.at])

    def deed(self, entry: Entry) -> str:
        """What the operation was."""
        return words(self.calls[entry.at])


def words(call: Call) -> str:
    """``enqueue 5``, ``dequeue -> 5``."""
    asked = "" if call.value is None or call.value == call.answer else f" {show(call.value)}"
    if not call.is_known:
        return f"{call.f}{asked}"
    says_more = call.answer is not None or call.value is None
    if call.value is not None and call.value == call.answer and not _is_asking(call):
        return f"{call.f} {show(call.value)}"
    return f"{call.f}{asked} -> {show(call.answer)}" if says_more else f"{call.f}{asked}"


def _is_asking(call: Call) -> bool:
    return call.f in ("read", "get", "dequeue", "pop", "contains")


def judge_objects(
    history: History, model: Sequential, *, budget: Budget, **reading: Any
) -> tuple[Outcome, list[Wrong]]:
    """Decide every part, as far as ``budget`` goes; the wrong ones in order of time.

    ``reading`` says how values are to be read, see
    :func:`~checkers.linearizable.object_entries.parts_of`. Raises
    :class:`~checkers.linearizable.register_entries.Unjudgeable`.
    """
    parts = parts_of(history, model, **reading)
    outcome = Outcome(len(parts), sum(len(part.calls) for part in parts))
    outcome.tested = sum(model.tests(timed.call) for part in parts for timed in part.calls)
    wrong, waiting = [], {}
    for part in parts:
        try:
            found = decided_stack(part, budget) if part.model.name == "stack" else decided(part)
        except NotDecided:
            waiting[show(part.key)] = by_search(part)
            continue
        outcome.by_zones += 1
        wrong += [Wrong(part, *found)] if found is not None else []
    wrong += in_rounds(waiting, budget, outcome)
    wrong.sort(key=lambda one: one.late.complete)
    return outcome, wrong


def by_search(part: Part) -> Callable[[Allowance], Wrong | None]:
    """What searches ``part`` with an allowance."""
    problem = problem_of(part)

    def search(allowance: Allowance) -> Wrong | None:
        stuck = first_stuck_of_any(problem, allowance)
        return None if stuck is None else _first(part, part.calls[stuck.late], allowance)

    return search


def _first(part: Part, stuck: Timed, allowance: Allowance) -> Wrong:
    """The first answer that leaves no order by itself.

    The search knows the later answers of operations that are open where it gets stuck, and so may
    be stuck too early; the answer looked for is that one or a later one.
    """
    later = sorted(
        (c for c in part.calls if not c.is_open and c.complete >= stuck.complete),
        key=lambda c: c.complete,
    )
    left = Allowance(allowance.configurations, allowance.budget)
    try:
        for late in later:
            past = until(part.calls, late.complete, part.model)
            if first_stuck(problem_of(part, past), left) is not None:
                return Wrong(part, late, None, past)
    except Exhausted:
        pass
    return Wrong(part, stuck, None, part.calls)


def broken(wrong: Wrong) -> Broken:
    """``wrong`` as the registers' proofs know it."""
    entries = [_entry(timed) for timed in wrong.part.calls]
    home = KeyHistory(wrong.part.key, [None], entries)
    late = _entry(wrong.late)
    return Broken(home, late, Impossible(late, frozenset()))


def _entry(timed: Timed) -> Entry:
    return Entry(timed.at, timed.invoke, timed.complete, NOTHING, NOTHING)


def prove(history: History, wrong: Wrong, budget: Budget) -> Proof:
    """The operations that have no order by themselves, and why."""
    if wrong.clash is not None:
        cast, why = list(wrong.clash.cast), wrong.clash.why
        return _proof(history, wrong, cast, why)
    cast = _minimal(wrong, budget)
    states = _states(wrong.part, cast, budget)
    why = f"does not fit, in whatever order the {len(wrong.past)} operations then known are put"
    return _proof(history, wrong, cast, f"{why}: {states}")


def _minimal(wrong: Wrong, budget: Budget) -> list[Timed]:
    """The calls that matter; see the module's text."""
    allowance = Allowance(TOTAL, budget)

    def stuck_at(calls: Sequence[Timed]) -> int | None:
        trial = 30 * len(calls) + TRIAL
        left = Allowance(max(0, min(trial, TOTAL - allowance.visited)), budget)
        try:
            stuck = first_stuck(problem_of(wrong.part, calls), left)
        except Exhausted:
            return None
        finally:
            allowance.visited += max(left.visited, len(calls))
        return None if stuck is None else calls[stuck.late].at

    def does_not_help(left_out: set[int], known: Sequence[Timed]) -> bool:
        weaker = [forgotten(timed) if timed.at in left_out else timed for timed in known]
        looks = wrong.part.model.looks
        return stuck_at([c for c in weaker if c.call.is_known or not looks(c.call)]) is not None

    calls = known = list(wrong.past)
    late, left_out = stuck_at(calls), set[int]()
    others = [unit for unit in _by_value(calls) if wrong.late.at not in unit]
    singles = [{timed.at} for timed in calls if timed.at != wrong.late.at]
    for units, is_sure in ((others, _falls_apart(wrong.part)), (singles, False)):
        size = max(1, len(units) // 2) if late is not None else 0
        while size:
            for end in range(len(units), 0, -size):
                chunk = set().union(*units[max(0, end - size) : end])
                rest = [timed for timed in calls if timed.at not in chunk]
                if len(rest) == len(calls) or stuck_at(rest) != late:
                    continue
                if is_sure:
                    calls = known = rest
                elif does_not_help(left_out | chunk, known):
                    calls, left_out = rest, left_out | chunk
            size //= 2
    return calls


def _falls_apart(part: Part) -> bool:
    """Whether an order of the calls gives one of those that do not concern some value.

    Not so where an answer tells of several values (a set that is read, a sum, a text).
    """
    return part.model.takes_out and not part.initial


def _by_value(calls: Sequence[Timed]) -> list[set[int]]:
    """The calls that ask or answer the same value, together: what goes in and what comes out."""
    units: dict[Any, set[int]] = {}
    for timed in calls:
        value = timed.call.answer if timed.call.value is None else timed.call.value
        units.setdefault(json_name(value), set()).add(timed.at)
    return list(units.values())


def _states(part: Part, cast: Sequence[Timed], budget: Budget) -> str:
    problem = problem_of(part, cast)
    try:
        stuck: Stuck | None = first_stuck(problem, Allowance(TRIAL, budget))
    except Exhausted:
        stuck = None
    if stuck is None or not isinstance(problem.machine, StepMachine):
        return "all orders were tried"
    told = sorted(map(problem.machine.name, stuck.states))
    more = f" and {len(told) - SHOWN} more" if len(told) > SHOWN else ""
    return f"after those above the state could only be {' or '.join(told[:SHOWN])}{more}"


def _proof(history: History, wrong: Wrong, cast: Sequence[Timed], why: str) -> Proof:
    home = broken(wrong).home
    entries = [_entry(timed) for timed in cast]
    narrator = CallNarrator(history, home, entries)
    narrator.calls = {timed.at: timed.call for timed in wrong.part.calls}
    last = entries[-1] if wrong.clash is not None else _entry(wrong.late)
    step = f"however, {narrator.name(last)} {narrator.deed(last)} {why}: a contradiction"
    headline = f"No order explains the answers{of_key(home)}: {narrator.deed(last)}."
    steps = [*precedence(narrator, entries), step]
    late = _entry(wrong.late)
    shown = late if any(entry.at == late.at for entry in entries) else last
    problem = problem_of(wrong.part, sorted(cast, key=lambda timed: timed.at))
    machine = problem.machine
    assert isinstance(machine, StepMachine)
    orders = [
        ([narrator.index(narrator.people[i]) for i in attempt.order], machine.name(attempt.state))
        for attempt in attempts(problem)
    ]
    return Proof(NONLINEARIZABLE, headline, steps, narrator, shown, orders=orders)
