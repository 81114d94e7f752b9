"""What is smaller than a fault schedule: fewer faults, fewer targets, shorter, sooner.

A :class:`Candidate` is a schedule with the time limit of its runs. Everything here is a function of
candidates alone; whether a smaller one still fails is the business of
:mod:`harness.explore.shrinking`.

Whom an occurrence aims at stands in its plan, which is the fault's own. Two forms are understood,
those of the faults that come with Polygraph and of whoever draws by ``nemeses.targets``: a target
word with an ``order`` of nodes, and a ``grudge`` of links. A plan of any other form is left alone.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import msgspec

from harness.run.schedule import AfterFault, At, Moment, Occurrence, Schedule
from harness.run.schedule_file import text_of

SIZES: Final = ("one", "minority", "majority", "all")
AS_IT_WAS: Final = "as-it-was"
"""The shape of a cut whose links are given."""
FIRST_S: Final = 3.0
"""Before the first fault clients shall have done something."""
TAIL_S: Final = 5.0
"""After the last heal, so that what went wrong can be seen."""
LEAST_LASTS_S: Final = 0.5
_NS: Final = 1_000_000_000


@dataclass(frozen=True)
class Candidate:
    """A schedule, and the seconds of operations of its runs."""

    schedule: Schedule
    time_limit_s: float

    @property
    def key(self) -> str:
        """Equal for candidates that are the same test."""
        return f"{self.time_limit_s:.17g}\n{text_of(self.schedule)}"

    @property
    def faults(self) -> tuple[str, ...]:
        """The words of ``--nemesis`` that it needs."""
        return tuple(dict.fromkeys(each.fault for each in self.schedule.occurrences))

    @property
    def names(self) -> str:
        """``kill-1, pause-2``; ``no fault``."""
        return ", ".join(each.name for each in self.schedule.occurrences) or "no fault"

    def changed(self, place: int, **fields: Any) -> Candidate:
        """With one occurrence changed."""
        found = list(self.schedule.occurrences)
        found[place] = msgspec.structs.replace(found[place], **fields)
        return self.of(found)

    def of(self, occurrences: Sequence[Occurrence]) -> Candidate:
        """With these occurrences in place of its own."""
        schedule = Schedule(seed=self.schedule.seed, occurrences=tuple(occurrences))
        return replace(self, schedule=schedule)


def keeping(
    candidate: Candidate, kept: Sequence[int], began_ns: Mapping[str, int | None]
) -> Candidate:
    """With the occurrences at these places alone.

    One that came after another that is gone begins when it did, by ``began_ns``; where it never
    did it goes too.
    """
    found: list[Occurrence] = []
    for place in kept:
        each = candidate.schedule.occurrences[place]
        begin: Moment | None = each.begin
        names = [one.name for one in found]
        if isinstance(each.begin, AfterFault) and each.begin.fault not in names:
            at_ns = began_ns.get(each.name)
            begin = None if at_ns is None else At(at_ns)
        if begin is not None:
            found.append(msgspec.structs.replace(each, begin=begin))
    return candidate.of(found)


# -- fewer targets -----------------------------------------------------------------------------


def fewer_targets(
    plan: Mapping[str, Any], targets: Sequence[str]
) -> Iterator[tuple[list[str], dict[str, Any]]]:
    """Plans that aim at fewer than ``targets``, those it had, each with whom it aims at.

    First either half of them, then all but one. Nothing where there is nothing less, or the plan is
    of another form.
    """
    if len(targets) < 2:
        return
    for fewer in _parts_of(list(targets)):
        if _is_grudge(plan.get("grudge")):
            grudge = _grudge_of(plan["grudge"], fewer)
            yield fewer, {**plan, "shape": AS_IT_WAS, "grudge": grudge}
        elif _is_word_of_size(plan):
            yield fewer, {**plan, "target": _word(plan, "all"), "order": fewer}


def aims_as_it_did(
    plan: Mapping[str, Any], targets: Sequence[str], detail: Mapping[str, Any]
) -> dict[str, Any]:
    """The plan with the targets that it had, by name: no primary is asked for any more.

    Unchanged where the plan is of another form, or it had none.
    """
    is_cut = set(plan) <= {"shape", "grudge", "fallback"} and "shape" in plan
    if is_cut and isinstance(detail.get("grudge"), Mapping):
        return {"shape": AS_IT_WAS, "grudge": dict(detail["grudge"])}
    if "order" in plan and isinstance(plan.get("target"), str) and targets:
        return {**plan, "target": _word(plan, "all"), "order": list(targets)}
    return dict(plan)


def _is_grudge(value: Any) -> bool:
    return isinstance(value, Mapping) and all(isinstance(each, list) for each in value.values())


def _parts_of(targets: list[str]) -> list[list[str]]:
    middle = (len(targets) + 1) // 2
    parts = [targets[:middle], targets[middle:]]
    if len(targets) > 2:
        parts += [targets[:at] + targets[at + 1 :] for at in range(len(targets))]
    return [part for at, part in enumerate(parts) if part not in parts[:at]]


def _is_word_of_size(plan: Mapping[str, Any]) -> bool:
    target = plan.get("target")
    return "order" in plan and isinstance(target, str) and target.rpartition(":")[2] in SIZES


def _word(plan: Mapping[str, Any], word: str) -> str:
    """The word, of the same role as the plan's."""
    role = str(plan["target"]).rpartition(":")[0]
    return f"{role}:{word}" if role else word


def _grudge_of(grudge: Mapping[str, Any], nodes: Sequence[str]) -> dict[str, list[str]]:
    """Of the links that are cut those from and to these nodes."""
    found = {
        target: sorted(s for s in sources if target in nodes or s in nodes)
        for target, sources in grudge.items()
    }
    return {target: sources for target, sources in sorted(found.items()) if sources}


# -- shorter -----------------------------------------------------------------------------------


def half_as_long(candidate: Candidate, place: int) -> Candidate | None:
    """With that fault half as long, in whole tenths of a second; ``None`` where it is short."""
    lasts_ns = candidate.schedule.occurrences[place].lasts_ns
    if lasts_ns is None or lasts_ns <= LEAST_LASTS_S * _NS:
        return None
    half_s = max(LEAST_LASTS_S, round(lasts_ns / 2 / _NS, 1))
    return candidate.changed(place, lasts_ns=round(half_s * _NS))


def sooner(candidate: Candidate) -> Candidate | None:
    """With all so much sooner that the first begins at :data:`FIRST_S`, and a run that ends then.

    ``None`` where nothing can be sooner, or something begins at no offset.
    """
    starts_ns = _starts_ns(candidate)
    if not starts_ns:
        return None
    by_ns = min(starts_ns) - round(FIRST_S * _NS)
    if by_ns <= 0:
        return None
    pairs = zip(candidate.schedule.occurrences, starts_ns, strict=True)
    moved = candidate.of([msgspec.structs.replace(e, begin=At(at - by_ns)) for e, at in pairs])
    earlier = replace(moved, time_limit_s=candidate.time_limit_s - by_ns / _NS)
    return shorter_run(earlier) or earlier


def shorter_run(candidate: Candidate) -> Candidate | None:
    """With a run that ends :data:`TAIL_S` after its last heal; ``None`` where that is not less.

    Without any fault, with a run that is half as long.
    """
    starts_ns = _starts_ns(candidate)
    if starts_ns is None:
        return None
    pairs = zip(candidate.schedule.occurrences, starts_ns, strict=True)
    ends_s = [(at + (each.lasts_ns or 0)) / _NS for each, at in pairs]
    limit_s = float(math.ceil(max(ends_s) + TAIL_S if ends_s else candidate.time_limit_s / 2))
    if limit_s >= candidate.time_limit_s or limit_s < TAIL_S:
        return None
    return replace(candidate, time_limit_s=limit_s)


def _starts_ns(candidate: Candidate) -> list[int] | None:
    """When each begins; ``None`` where one of them begins at no offset."""
    found = [each.start_ns for each in candidate.schedule.occurrences]
    known = [at for at in found if at is not None]
    return known if len(known) == len(found) else None
