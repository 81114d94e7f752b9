"""Stacks whose elements were each pushed once, in near-linear time (:mod:`~.nesting`).

Besides that the stays of the elements nest, an order needs that nothing comes out twice, unpushed
or too early, and that a pop which found nothing was under way at a moment when nothing was
certainly inside (then all pieces before and after it are apart, so one order serves all such pops).
Pushes of unknown outcome that nobody saw are dropped, elements that never came out stay for ever.

A pop of unknown outcome may have taken anything. Where there is an order without these pops, there
is one; where there is none, the exact search has to decide.

*Which answer is the first impossible one?* A history up to some record is judged with pops under
way whose answers come later, and is so found impossible at that record or before. From there on the
knot that was found is tried by the exact search with what was known at each answer, all pops then
under way included, and so is, as far as a small allowance goes, the whole history.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from checkers.linearizable.containers import Clash, Element, NotDecided, seen_empty
from checkers.linearizable.frontier import first_stuck
from checkers.linearizable.nesting import Stay, knot, smallest_knot
from checkers.linearizable.object_entries import Part, Timed, problem_of, until
from checkers.linearizable.register_entries import NEVER, json_name
from checkers.linearizable.search_problem import Allowance, Exhausted
from harness.verdict.verdict import Budget

WHY_NOT_NESTED: Final = (
    "leaves no way to nest the elements: what is pushed later has to come out sooner"
)
WHY_NO_ORDER: Final = "does not fit, in whatever order those then known are put"
_FOR_ALL: Final = 20_000
"""Configurations of the whole history that are tried for the first impossible answer."""
_FOR_A_KNOT: Final = 20_000
_AFTER_ALL: Final = NEVER + 1


@dataclass(frozen=True)
class _Stack:
    """What befell the elements. ``bad`` are answers that are impossible by themselves, in order."""

    elements: Sequence[Element]
    empties: Sequence[Timed]
    has_lost: bool
    bad: Sequence[Clash]


def decided(part: Part, budget: Budget) -> tuple[Timed, Clash] | None:
    """The first impossible completion and why, or ``None`` if there is an order.

    Raises :class:`~checkers.linearizable.containers.NotDecided` where the rule does not apply.
    """
    if part.model.name != "stack" or part.initial:
        raise NotDecided
    stack = _parsed(part.calls)
    if _fits(stack, NEVER):
        return None
    if stack.has_lost:
        raise NotDecided
    answers = sorted((c for c in part.calls if not c.is_open), key=lambda c: c.complete)
    low, high = 0, len(answers) - 1
    while low < high:
        middle = (low + high) // 2
        if _fits(stack, answers[middle].complete):
            low = middle + 1
        else:
            high = middle
    return _clash(part, stack, answers[low:], budget)


def _parsed(calls: Sequence[Timed]) -> _Stack:
    puts: dict[Any, Timed] = {}
    takes: dict[Any, list[Timed]] = {}
    empties, has_lost = [], False
    for timed in calls:
        if timed.call.f == "push":
            if puts.setdefault(json_name(timed.call.value), timed) is not timed:
                raise NotDecided
        elif timed.is_open:
            has_lost = True
        elif timed.call.answer is None:
            empties.append(timed)
        else:
            takes.setdefault(json_name(timed.call.answer), []).append(timed)
    bad, elements = [], []
    for name, pops in takes.items():
        pops.sort(key=lambda timed: timed.complete)
        put, first = puts.get(name), pops[0]
        if put is None:
            bad.append(Clash([first], "came out although nobody had pushed it"))
        elif first.complete < put.invoke:
            bad.append(Clash([put, first], "came out before anybody had pushed it"))
        else:
            elements.append(Element(put, first))
        bad += [Clash([first, other], "came out twice") for other in pops[1:]]
    elements += [Element(put, None) for name, put in puts.items() if name not in takes]
    bad.sort(key=lambda clash: clash.cast[-1].complete)
    return _Stack(elements, empties, has_lost, bad)


def _fits(stack: _Stack, position: int) -> bool:
    """Whether there is an order up to ``position``, with later answers known beforehand."""
    if stack.bad and stack.bad[0].cast[-1].complete <= position:
        return False
    if seen_empty(stack.elements, _until(stack.empties, position)) is not None:
        return False
    return not knot([stay for stay, _ in _stays(stack.elements, position)])


def _until(empties: Sequence[Timed], position: int) -> list[Timed]:
    return [empty for empty in empties if empty.complete <= position]


def _stays(elements: Sequence[Element], position: int) -> Iterator[tuple[Stay, Element]]:
    """The elements that were certainly inside for a while."""
    for element in elements:
        assert element.put is not None
        taken = element.taken
        if element.put_complete > position:
            continue
        begun = taken is not None and taken.invoke <= position
        ended = taken is not None and taken.complete <= position
        leaves = element.taken_invoke if begun else NEVER
        ends = element.taken_complete if ended else _AFTER_ALL
        if element.put_complete < leaves:
            yield Stay(element.put_invoke, element.put_complete, leaves, ends), element


def _clash(
    part: Part, stack: _Stack, answers: Sequence[Timed], budget: Budget
) -> tuple[Timed, Clash]:
    """The first impossible answer from ``answers`` on, by whose time there is no order."""
    stuck = answers[0]
    if stack.bad and stack.bad[0].cast[-1].complete == stuck.complete:
        return stuck, stack.bad[0]
    clash = seen_empty(stack.elements, _until(stack.empties, stuck.complete))
    cast = clash.cast if clash is not None else _knotted(stack, stuck.complete)
    why = clash.why if clash is not None else WHY_NOT_NESTED
    whole = Allowance(_FOR_ALL, budget)
    for late in answers:
        told = clash.cast[-1] if clash is not None else late
        shown = _shown(part, cast, late)
        if _is_stuck(part, shown, Allowance(_FOR_A_KNOT, budget)):
            return late, Clash(_fewest(part, shown, cast, (late, told), budget), why)
        past = until(part.calls, late.complete, part.model)
        if _is_stuck(part, past, whole):
            return late, Clash(_fewest(part, past, (), (late, late), budget), WHY_NO_ORDER)
    return stuck, Clash(cast, why)


def _knotted(stack: _Stack, position: int) -> list[Timed]:
    of = dict(_stays(stack.elements, position))
    tied = [of[stay] for stay in smallest_knot(list(of))]
    return [timed for element in tied for timed in (element.put, element.taken) if timed]


def _shown(part: Part, cast: Sequence[Timed], late: Timed) -> list[Timed]:
    """``cast`` as known at the answer of ``late``, with all about the same elements, and with all
    pops then under way: what is about other elements may be left out of any order.
    """
    wanted = {_element(timed) for timed in (*cast, late)}
    known = until(part.calls, late.complete, part.model)
    return [timed for timed in known if _element(timed) in wanted or _is_busy(timed)]


def _element(timed: Timed) -> Any:
    """What a call is about; a pop that found nothing, or is under way, about itself."""
    about = timed.call.answer if timed.call.f == "pop" else timed.call.value
    return json_name(about) if about is not None else ("alone", timed.at)


def _is_busy(timed: Timed) -> bool:
    return timed.call.f == "pop" and timed.is_open


def _is_stuck(part: Part, calls: Sequence[Timed], allowance: Allowance) -> bool:
    """Whether the exact search finds no order, as far as it is allowed to look."""
    try:
        return first_stuck(problem_of(part, calls), allowance) is not None
    except Exhausted:
        return False


def _fewest(
    part: Part,
    calls: Sequence[Timed],
    cast: Sequence[Timed],
    ends: tuple[Timed, Timed],
    budget: Budget,
) -> list[Timed]:
    """``calls`` without those that are not needed; of ``ends``, both of which are, the second last.

    What belongs to one element is left out only together. Pops under way are counted with all the
    while, for one of them may take what another leaves, but need not be shown.
    """
    kept = {timed.at for timed in (*cast, *ends)}
    left = list(calls)
    for unit in _units(timed for timed in calls if not _is_busy(timed)):
        rest = [timed for timed in left if timed.at not in unit]
        if not unit & kept and _is_stuck(part, rest, _small(budget)):
            left = rest
    left = [timed for timed in left if not _is_busy(timed) or timed.at in kept]
    return sorted(left, key=lambda timed: (timed.at == ends[1].at, timed.at))


def _small(budget: Budget) -> Allowance:
    return Allowance(_FOR_A_KNOT, budget)


def _units(calls: Iterable[Timed]) -> list[set[int]]:
    units: dict[Any, set[int]] = {}
    for timed in calls:
        units.setdefault(_element(timed), set()).add(timed.at)
    return list(units.values())
