"""The fault schedule: which fault or action begins when, on whom, and when it is healed.

A schedule is made of shuffled rounds. One fault begins every interval of S seconds, at S, 2 S,
3 S, ..., and is healed a duration later (half of S by default). A round holds every requested
fault once, so that no fault starves; the first whole round comes first, so that every fault
occurs at least once: a green run whose fault never landed says nothing. A time limit that
cannot hold the first round is refused before anything is set up.

    seconds   0     S     2S    3S    4S    5S    6S
              |     |=kill|     |     |=pause     |          round 1: kill, partition, pause
              |     |     |=part|     |     |     |  ...

Everything is drawn from the seed: the order of the rounds and, by each fault's own ``plan``, shapes
and targets. What is drawn begins at offsets; in a file (:mod:`harness.run.schedule_file`) an
occurrence may also begin after a milestone or after another fault. A run lives its schedule beside
its clients (:mod:`harness.run.lines`); in a simulation, which has no threads, one of offsets is a
generator.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from random import Random
from types import MappingProxyType
from typing import Any, Literal, Protocol

import msgspec

from harness.contract.action import Action
from harness.errors import UsageError, unknown_name
from harness.generator.context import Context
from harness.generator.core import PENDING, Combinator, Generator, Step
from harness.generator.leaves import deferred
from harness.history.operation import INFO, NEMESIS, Operation
from harness.plugins import Registry
from harness.quantities import TIMES, seconds
from harness.wording import shown
from harness.wording import shown as in_words

LEAST_BITE_S = 2.0
"""No fault begins later than this before the time limit: it needs time to bite."""
LAST_HEAL_S = 0.1
"""Every fault is healed this long before the time limit at the latest, while clients still work:
if it were left to the final heal, their last operations would run into it and be waited for."""
ROUNDING_S = 1e-9
NO_NEMESIS = "none"
START = "start-"
STOP = "stop-"


class Planner(Protocol):
    """The part of a fault that a schedule needs."""

    name: str

    def plan(self, nodes: Sequence[str], rng: Random) -> dict[str, Any]:
        """Draw shape and targets from ``rng`` alone."""
        ...


class At(msgspec.Struct, frozen=True):
    """At an offset: nanoseconds since the start of the main phase."""

    at_ns: int


class AfterMilestone(msgspec.Struct, frozen=True, kw_only=True):
    """``delay_ns`` after the ``nth`` milestone of that name, on ``node`` or on any."""

    milestone: str
    nth: int = 1
    node: str | None = None
    delay_ns: int = 0

    def __str__(self) -> str:
        """``milestone 2 'leader-change' on n1``."""
        on = "" if self.node is None else f" on {self.node}"
        return f"milestone {self.nth} {in_words(self.milestone)}{on}"


class AfterFault(msgspec.Struct, frozen=True, kw_only=True):
    """``delay_ns`` after the ``begin`` or ``end`` of the occurrence called ``fault``.

    A fault has begun once it is injected, and ended once it is healed; an action is over at once.
    """

    fault: str
    event: Literal["begin", "end"] = "end"
    delay_ns: int = 0

    def __str__(self) -> str:
        """``the end of kill-1``."""
        return f"the {self.event} of {self.fault}"


Moment = At | AfterMilestone | AfterFault


class Occurrence(msgspec.Struct, frozen=True, kw_only=True):
    """One planned fault, or action (then it lasts for ``None``). ``name`` is its own."""

    name: str
    fault: str
    begin: Moment
    lasts_ns: int | None
    plan: dict[str, Any]

    @property
    def start_ns(self) -> int | None:
        """When it begins, since the start of the main phase, where that is known beforehand."""
        return self.begin.at_ns if isinstance(self.begin, At) else None

    @property
    def stop_ns(self) -> int | None:
        """When it is healed, where that is known beforehand."""
        known = self.start_ns is not None and self.lasts_ns is not None
        return self.start_ns + self.lasts_ns if known else None  # type: ignore[operator]


class Schedule(msgspec.Struct, frozen=True, kw_only=True):
    """Planned faults and actions, in order; an occurrence is known by its number in it."""

    seed: int
    occurrences: tuple[Occurrence, ...]

    def operations(self) -> list[Operation]:
        """The nemesis operations of offsets by time, a heal before a start of the same moment."""
        timed = [pair for n, each in enumerate(self.occurrences) for pair in _both(n, each)]
        return [operation for _, operation in sorted(timed, key=lambda pair: pair[0])]

    def generator(self) -> Generator:
        """Emits each operation at its time after the generator is first asked; for simulations.

        For the nemesis thread (wrap it in ``nemesis``). While that thread is busy operations
        wait, in order, and late ones follow at once.
        """
        operations = tuple(self.operations())
        return deferred(lambda context: Timed(operations, context.time_ns))


class Timed(Combinator, frozen=True, gc=False):
    """Nemesis operations at ``start_ns`` + their own times."""

    operations: tuple[Operation, ...]
    start_ns: int

    def op(self, context: Context) -> Step:
        """The next one, at its time or, if that has passed, now; none while the nemesis is busy."""
        if not self.operations:
            return None
        if not context.free >> context.concurrency & 1:
            return PENDING
        first, *rest = self.operations
        due_ns = max(self.start_ns + first.time, context.time_ns)
        return _at(first, due_ns), Timed(tuple(rest), self.start_ns)


def schedule(
    faults: Sequence[Planner],
    nodes: Sequence[str],
    seed: int,
    interval_s: float,
    duration_s: float | None,
    time_limit_s: float,
    *,
    least_duration_s: Mapping[str, float] = MappingProxyType({}),
    own_duration_s: Mapping[str, float] = MappingProxyType({}),
    after: Mapping[str, AfterMilestone] = MappingProxyType({}),
) -> Schedule:
    """Plan all faults of a run.

    ``duration_s`` ``None`` is half of ``interval_s``. ``least_duration_s`` lengthens it for
    faults that a system wants to last longer (``FaultDurations``), ``own_duration_s`` is of faults
    that choose it themselves (``ChoosesDuration``). Where a fault lasts longer
    than the interval, different faults overlap; the same fault never overlaps itself (it waits
    for the next free slot). What is ``after`` a milestone has no slots: it begins each time that
    one comes, as often as there is an interval. ``UsageError`` if the time limit cannot hold the
    first round.
    """
    bound = [fault for fault in faults if fault.name in after]
    refuse_impossible(len(faults) - len(bound), interval_s, duration_s, time_limit_s)
    if not faults:
        return Schedule(seed=seed, occurrences=())
    rng = Random(f"polygraph schedule {seed}")
    usual_s = interval_s / 2 if duration_s is None else duration_s
    lasts_s = {f.name: max(usual_s, least_duration_s.get(f.name, 0.0)) for f in faults}
    lasts_s |= own_duration_s
    lasts_s |= {f.name: 0.0 for f in faults if is_action(f)}
    placed = []
    counts: Counter[str] = Counter()
    timed = [fault for fault in faults if fault.name not in after]
    slots = _slots(timed, rng, lasts_s, interval_s, time_limit_s - LEAST_BITE_S)
    for number, (fault, start_s) in enumerate(slots):
        own = Random(f"polygraph schedule {seed} {number} {fault.name}")
        counts[fault.name] += 1
        start_ns = _ns(start_s)
        stop_ns = _ns(min(start_s + lasts_s[fault.name], time_limit_s - LAST_HEAL_S))
        placed.append(
            Occurrence(
                name=f"{fault.name}-{counts[fault.name]}",
                fault=fault.name,
                begin=At(start_ns),
                lasts_ns=None if is_action(fault) else stop_ns - start_ns,
                plan=fault.plan(nodes, own),
            )
        )
    times = max(1, int((time_limit_s - LEAST_BITE_S) // interval_s))
    for fault in bound:
        for nth in range(1, times + 1):
            own = Random(f"polygraph schedule {seed} after {nth} {fault.name}")
            placed.append(
                Occurrence(
                    name=f"{fault.name}-{nth}",
                    fault=fault.name,
                    begin=msgspec.structs.replace(after[fault.name], nth=nth),
                    lasts_ns=None if is_action(fault) else _ns(lasts_s[fault.name]),
                    plan=fault.plan(nodes, own),
                )
            )
    return Schedule(seed=seed, occurrences=tuple(placed))


def after_milestones(
    words: Sequence[str], faults: Sequence[str], milestones: Sequence[str]
) -> dict[str, AfterMilestone]:
    """What ``--nemesis-after`` says: ``kill=leader-change+50ms`` is a fault and its moment.

    ``UsageError`` for a fault that is not among ``faults``, a milestone that the system does not
    declare, and what is not of that form.
    """
    found: dict[str, AfterMilestone] = {}
    for word in words:
        fault, sign, moment = word.partition("=")
        milestone, _, delay = moment.partition("+")
        if not sign or not milestone:
            raise UsageError(
                f"--nemesis-after {word} is not FAULT=MILESTONE+TIME", "kill=leader-change+50ms"
            )
        if fault not in faults:
            raise UsageError(f"--nemesis-after {word}: --nemesis has no {shown(fault)}")
        if milestone not in milestones:
            if not milestones:
                raise UsageError(f"--nemesis-after {word}: the system declares no milestones")
            known = unknown_name("milestone", milestone, milestones)
            raise UsageError(f"--nemesis-after {word}: {known}")
        try:
            delay_s = seconds(delay) if delay else 0.0
        except ValueError as error:
            raise UsageError(f"--nemesis-after {word}: {shown(delay)} is no time", TIMES) from error
        found[fault] = AfterMilestone(milestone=milestone, delay_ns=_ns(delay_s))
    return found


def is_action(what: object) -> bool:
    """Whether it is done in a moment, and not healed."""
    return isinstance(what, Action)


def refuse_impossible(
    count: int, interval_s: float, duration_s: float | None, time_limit_s: float
) -> None:
    """``UsageError`` if ``count`` faults cannot each occur once within ``time_limit_s``."""
    if interval_s <= 0:
        raise UsageError(
            f"a nemesis interval of {interval_s:g} s is not possible: give more than 0"
        )
    if duration_s is not None and duration_s <= 0:
        raise UsageError(
            f"a nemesis duration of {duration_s:g} s is not possible: give more than 0"
        )
    least_s = interval_s * count + LEAST_BITE_S
    if count and time_limit_s < least_s - ROUNDING_S:
        raise UsageError(
            f"a time limit of {time_limit_s:g} s cannot hold {count} "
            f"{'fault' if count == 1 else 'faults'} at an interval of {interval_s:g} s",
            _what_fits(count, least_s, time_limit_s),
        )


def _what_fits(count: int, least_s: float, time_limit_s: float) -> str:
    """The time limit that holds them, and the interval that fits into the one that was given."""
    limit = f"--time-limit {math.ceil(least_s)}"
    fits_s = math.floor((time_limit_s - LEAST_BITE_S) / count * 10) / 10
    return f"{limit}, or --nemesis-interval {fits_s:g}" if fits_s > 0 else limit


def _slots(
    faults: Sequence[Planner],
    rng: Random,
    lasts_s: Mapping[str, float],
    interval_s: float,
    last_start_s: float,
) -> Iterator[tuple[Planner, float]]:
    """Which fault begins at which second: in each slot the first of the round that is free."""
    busy_until_s = {fault.name: 0.0 for fault in faults}
    waiting: list[Planner] = []
    slot = 0
    while (slot := slot + 1) * interval_s <= last_start_s + ROUNDING_S:
        start_s = slot * interval_s
        if not waiting:
            waiting = rng.sample(list(faults), len(faults))
        free = next(
            (each for each in waiting if busy_until_s[each.name] <= start_s + ROUNDING_S), None
        )
        if free is not None:
            waiting.remove(free)
            busy_until_s[free.name] = start_s + lasts_s[free.name]
            yield free, start_s


def _ns(seconds: float) -> int:
    return round(seconds * 1e9)


def _both(number: int, planned: Occurrence) -> list[tuple[tuple[int, int, int], Operation]]:
    """Start and stop of one occurrence at an offset, each with what it is sorted by."""
    if planned.start_ns is None:
        return []
    begin = _at(beginning(number, planned), planned.start_ns)
    begun = [((planned.start_ns, 1, number), begin)]
    if planned.stop_ns is None:
        return begun
    end = _at(ending(number, planned), planned.stop_ns)
    return [((planned.stop_ns, 0, number), end), *begun]


def beginning(number: int, planned: Occurrence) -> Operation:
    """The operation that begins the occurrence of that number."""
    f = planned.fault if planned.lasts_ns is None else START + planned.fault
    return Operation(-1, -1, NEMESIS, INFO, f, {"occurrence": number, "plan": planned.plan})


def ending(number: int, planned: Occurrence) -> Operation:
    """The operation that heals it."""
    return Operation(-1, -1, NEMESIS, INFO, STOP + planned.fault, {"occurrence": number})


def _at(operation: Operation, time_ns: int) -> Operation:
    return msgspec.structs.replace(operation, time=time_ns)


def parse_nemesis(text: str, registry: Registry, mixes: Sequence[str] = ()) -> list[str]:
    """The fault names of ``--nemesis``, e.g. ``partition,kill``; ``none`` or empty is none.

    One of ``mixes`` is a name, too, and beside it ``-kill`` is one that is not wanted.

    ``UsageError`` for a name given twice, for one that does not exist (with the nearest), and
    for ``none`` beside others.
    """
    names = [name for part in text.split(",") if (name := part.strip())]
    if names in ([], [NO_NEMESIS]):
        return []
    if NO_NEMESIS in names:
        raise UsageError(f"--nemesis {text}: {shown(NO_NEMESIS)} cannot be combined with faults")
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise UsageError(f"--nemesis {text}: {', '.join(twice)} given more than once")
    has_mix = any(name in mixes for name in names)
    for name in names:
        if name not in mixes:
            registry.get("nemeses", name.removeprefix("-") if has_mix else name)
    return names
