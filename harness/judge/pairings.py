"""Histories whose records name no process: which completion closes which invocation is a guess.

The rule for every checker: ``False`` only if every pairing is false, ``True`` only if every pairing
is true, else ``unknown``. A completion may close any invocation open before it that has its f and

- its value, or no value, or (a transaction, a keyed value) the same but for what was not known yet;
- where there is none of these, any.

Few pairings are judged one by one. Of many two are judged that bound all: where every operation
begins as early as any pairing lets it, less is ordered in time than in any pairing, so what is
false there is false everywhere; where each begins as late as any lets it, more is, so what is true
there is true everywhere. That holds for checkers to which time's order only ever adds a demand,
which is so of all of ours.

The sessions are a guess as well: each pairing is judged with a process for each operation (no
sessions at all), and with as few processes as can be, taken up again in two ways.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, Final

from msgspec import structs

from harness.history.history import History
from harness.history.intakes import is_timed
from harness.history.operation import INFO, INVOKE, Operation
from harness.verdict.record import Record
from harness.verdict.verdict import UNKNOWN, Budget, Verdict, untested

MOST: Final = 150
"""Pairings that are judged one by one; if there are more, two that bound them."""
LONGEST: Final = 400
"""Records of a history whose pairings are judged one by one."""
SETTLE: Final = "record with every operation the process that did it"

Check = Callable[[Record, Budget], Verdict]


def judged(check: Check, record: Record, budget: Budget) -> Verdict:
    """``check`` of ``record``, under every pairing where its history's pairing is a guess.

    Where the history was sorted by time (``History.stricter``), what is true must be so with all
    the order there may be. Where no times are known, only checkers that say that they get along
    (``needs_no_times``) are asked.
    """
    if not is_timed(record.header) and not _gets_along(check):
        return untested(
            "no times are known, and this checker goes by what was before what",
            settle="record invocations and completions as they happen, on one clock",
        )
    if record.history.stricter is not None:
        return _sorted(check, record, record.history.stricter, budget)
    if not record.history.is_paired_by_guess:
        return check(record, budget)
    first = check(record, budget)
    if first.valid == UNKNOWN:
        return first
    calls = _calls(record.history.operations)
    try:
        variants, is_every = _variants(record.history, calls, first.valid)
    except _Unbounded:
        return _undecided(first, None, is_every=False)
    for history in variants:
        budget.spend_check("the pairings of a history without processes")
        other = check(replace(record, history=history), budget)
        if other.valid is not first.valid:
            return _undecided(first, other, is_every=is_every)
    return first


def _gets_along(check: Check) -> bool:
    return bool(getattr(getattr(check, "__self__", None), "needs_no_times", False))


def _sorted(check: Check, record: Record, stricter: History, budget: Budget) -> Verdict:
    """False by what is sure of the order, true by all that may be of it, else unknown."""
    first = judged(check, replace(record, history=replace(record.history, stricter=None)), budget)
    if first.valid is not True:
        return first
    budget.spend_check("the same with each process in order")
    stricter = replace(stricter, header=record.header)  # what the user said of it stands there
    stricter = replace(stricter, header=record.header)  # as the user may have put it right
    other = judged(check, replace(record, history=stricter), budget)
    if other.valid is not False:
        return other
    return Verdict(
        valid=UNKNOWN,
        why="the clocks may be off by more than what lies between operations of one process, and"
        f" it depends on how much: {other.why}",
        settle="give a smaller --sort-by-time if the clocks agree better, or record an index",
        stats=first.stats,
    )


def _undecided(first: Verdict, other: Verdict | None, *, is_every: bool) -> Verdict:
    wrong = other if other is not None and other.valid is False else first
    found = f"with one of them: {wrong.why}; " if wrong.valid is False else ""
    rest = "with another the answer is another" if is_every else "the others are too many to judge"
    return Verdict(
        valid=UNKNOWN,
        why="no operation names its process, so which completion closes which invocation is a"
        f" guess, and not all pairings agree: {found}{rest}",
        settle=SETTLE,
        stats=first.stats,
    )


class _Unbounded(Exception):
    """No two histories bound all pairings."""


@dataclass(frozen=True)
class _Calls:
    """``invokes``: positions of invocations; ``closes``: for each completion, those it may close.

    Others (records of the nemesis) stay where they are.
    """

    invokes: Sequence[int]
    closes: dict[int, Sequence[int]]


def _calls(operations: Sequence[Operation]) -> _Calls:
    invokes: list[int] = []
    closes: dict[int, Sequence[int]] = {}
    by_f: dict[str, list[int]] = {}
    sure: set[int] = set()
    for position, operation in enumerate(operations):
        if not operation.is_client:
            continue
        waiting = by_f.setdefault(operation.f, [])
        if operation.type == INVOKE:
            invokes.append(position)
            waiting.append(position)
            continue
        left = [at for at in waiting if at not in sure]
        fit = [at for at in left if fits(operations[at].value, operation.value)] or left
        closes[position] = fit
        if len(fit) == 1:
            sure.add(fit[0])
            waiting.remove(fit[0])
    return _Calls(invokes, closes)


def fits(asked: Any, answered: Any) -> bool:
    """Whether ``answered`` may be what became of ``asked``: the same, but for what was nil."""
    if asked is None:
        return True
    if isinstance(asked, list | tuple) and isinstance(answered, list | tuple):
        return len(asked) == len(answered) and all(map(fits, asked, answered))
    return type(asked) is type(answered) and bool(asked == answered)


def _variants(history: History, calls: _Calls, wanted: Any) -> tuple[Iterator[History], bool]:
    """The histories to judge beside the first; whether they are all there are.

    Of those that bound all, the one that tells whether all are as ``wanted``. None of them may be
    at hand (invocations that ask for different things, any of which a completion may close): then
    this raises :class:`_Unbounded`.
    """
    if len(history) <= LONGEST:
        found = list(islice(_pairings(calls), MOST + 1))
        if len(found) <= MOST:
            return (one for pairing in found for one in _sessions(history, pairing)), True
    return _sessions(*_bound(history, calls, earliest=wanted is False)), False


def _pairings(calls: _Calls) -> Iterator[dict[int, int]]:
    """Every pairing, as completion to invocation; an invocation is closed at most once."""
    ends = list(calls.closes)
    taken: set[int] = set()
    chosen: dict[int, int] = {}

    def choose(place: int) -> Iterator[dict[int, int]]:
        if place == len(ends):
            yield dict(chosen)
            return
        for at in calls.closes[ends[place]]:
            if at not in taken:
                taken.add(at)
                chosen[ends[place]] = at
                yield from choose(place + 1)
                taken.discard(at)

    return choose(0)


def _bound(history: History, calls: _Calls, *, earliest: bool) -> tuple[History, dict[int, int]]:
    """The history in which all begins as early (late) as any pairing lets it, and its pairing."""
    operations = history.operations
    end_of: dict[int, int] = {}
    place = {at: at for at in calls.invokes}
    near = {at: at for at in calls.invokes}
    pick = min if earliest else max
    for end, candidates in calls.closes.items():
        at = history.pairs[end]
        values = [operations[other].value for other in candidates]
        if at not in candidates or any(value != values[0] for value in values):
            raise _Unbounded
        end_of[at], place[at] = end, pick(candidates)
        for other in candidates:
            near[other] = pick(near[other], place[at])
    for at in calls.invokes:
        if at not in end_of:
            place[at] = near[at]
    moved = [(place.get(at, at), at) for at in range(len(operations))]
    moved.sort()
    now = {at: new for new, (_, at) in enumerate(moved)}
    records = [operations[at] for _, at in moved]
    numbered = [structs.replace(record, index=new, time=new) for new, record in enumerate(records)]
    pairing = {now[end]: now[at] for at, end in end_of.items()}
    return replace(history, operations=numbered, prepared=None), pairing


def _sessions(history: History, pairing: dict[int, int]) -> Iterator[History]:
    """``history`` paired so, with different processes: one for each operation, then few."""
    invoke_of = pairing
    for take in (None, -1, 0):
        process: dict[int, int] = {}
        free: list[int] = []
        used = 0
        operations: list[Operation] = []
        for position, operation in enumerate(history.operations):
            if not operation.is_client:
                operations.append(operation)
                continue
            if position in invoke_of:
                mine = process[invoke_of[position]]
                if take is not None and operation.type != INFO:
                    free.append(mine)
            else:
                mine = free.pop(take) if free and take is not None else used
                used += mine == used
                process[position] = mine
            operations.append(structs.replace(operation, process=mine))
        yield History(operations, history.header, history.notices, partial=history.partial)
