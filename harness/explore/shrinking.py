"""The search for the smallest fault schedule that still fails.

    reference   the schedule as it was, until it has failed a few times: how often does it fail?
    nothing     no fault at all: if that still fails, no fault is to blame
    faults      delta debugging over the occurrences (:mod:`.ddmin`)
    sooner      the waiting before the first fault, and after the last one
    targets     of each fault fewer nodes
    length      of each fault half the time, again and again
    result      is any fault that is left needless by now? And how often does the result fail?

Each question is one :class:`Ask`, answered by as many runs as it takes
(:mod:`harness.explore.deciding`). The search draws nothing: with the same answers it asks the same
questions, so a shrink that was killed is the same search again with the answers that it has
(:mod:`harness.explore.book`). Every candidate that is kept was seen to fail, more than once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

from harness.explore import smaller
from harness.explore.ddmin import ddmin
from harness.explore.deciding import (
    FAILURES,
    Decision,
    Rates,
    decided,
    least_further,
    rates_of,
)
from harness.explore.smaller import Candidate

Kind = Literal["reference", "step", "result"]
REFERENCE: Final = "the schedule as it was"
RESULT: Final = "the smallest one again"
FRESH: Final = 4
"""So many further runs of the result tell how often it fails; chosen before they are made."""


@dataclass(frozen=True)
class Tally:
    """Runs with a verdict, and how many of them showed the anomaly."""

    runs: int = 0
    failures: int = 0


@dataclass(frozen=True)
class Ask:
    """One question: does ``candidate`` still fail? ``what`` is changed, in words."""

    kind: Kind
    candidate: Candidate
    what: str
    more: Callable[[Tally], int]
    """How many runs it takes at least from here; none once it is answered."""


Answer = Callable[[Ask], Tally]
"""Makes runs until ``more`` wants none; may raise what ends the whole search."""


@dataclass(frozen=True)
class Step:
    """One answered question."""

    what: str
    tally: Tally
    decision: Decision
    candidate: Candidate


class NeverAgain(Exception):
    """The schedule as it was did not fail again. ``tally`` says in how many runs."""

    def __init__(self, tally: Tally) -> None:
        super().__init__(f"{tally.runs} runs")
        self.tally = tally


@dataclass
class Shrink:
    """One search, from ``start``; :meth:`run` does it.

    ``targets`` are the nodes that each occurrence had, by name, ``began_ns`` when it began.
    ``error`` is the probability with which a step may be wrong, ``stages`` what is made smaller.
    """

    start: Candidate
    answer: Answer
    targets: Mapping[str, Sequence[str]] = field(default_factory=dict)
    began_ns: Mapping[str, int | None] = field(default_factory=dict)
    error: float = 0.05
    most_reference_runs: int = 40
    stages: frozenset[str] = frozenset({"faults", "time", "targets", "length"})
    steps: list[Step] = field(default_factory=list)
    reference: Tally = Tally()
    rates: Rates | None = None
    minimal: list[Step] = field(default_factory=list)
    """The refusals that make the result minimal: each removal from it that was tried."""

    def run(self) -> Candidate:
        """The smallest schedule found; :class:`NeverAgain` where there is nothing to shrink."""
        self.reference = self._measured_reference()
        self.rates = rates_of(self.reference.runs, self.reference.failures)
        nothing = self.start.of(())
        if self._fails(nothing, "no fault at all"):
            return self._shorter(nothing) if "time" in self.stages else nothing
        found = self.start
        for stage, follows in (
            ("faults", self._fewer_faults),
            ("time", self._sooner),
            ("targets", self._fewer_targets),
            ("length", self._briefer),
            ("time", self._shorter),
            ("faults", self._minimal),
        ):
            found = follows(found) if stage in self.stages else found
        return found

    def measured(self, result: Candidate) -> Tally:
        """How often the result fails, by fresh runs that no decision hangs on."""
        return self.answer(Ask("result", result, RESULT, lambda tally: max(0, FRESH - tally.runs)))

    # -- the steps -----------------------------------------------------------------------------

    def _measured_reference(self) -> Tally:
        def more(tally: Tally) -> int:
            missing = FAILURES - tally.failures
            return max(0, min(missing, self.most_reference_runs - tally.runs))

        tally = self.answer(Ask("reference", self.start, REFERENCE, more))
        if not tally.failures:
            raise NeverAgain(tally)
        return tally

    def _fewer_faults(self, found: Candidate) -> Candidate:
        places = range(len(found.schedule.occurrences))
        kept = ddmin(places, self._keeps, is_minimal=False)  # which the result is asked for
        return smaller.keeping(self.start, kept, self.began_ns)

    def _keeps(self, kept: tuple[int, ...]) -> bool:
        candidate = smaller.keeping(self.start, kept, self.began_ns)
        if not candidate.schedule.occurrences:  # which was asked as the first question
            return False
        gone = [e.name for at, e in enumerate(self.start.schedule.occurrences) if at not in kept]
        return self._fails(candidate, f"without {', '.join(gone)}")

    def _sooner(self, found: Candidate) -> Candidate:
        candidate = smaller.sooner(found)
        if candidate is not None and self._fails(candidate, f"sooner, {_limit(candidate)}"):
            return candidate
        return self._shorter(found)

    def _shorter(self, found: Candidate) -> Candidate:
        while (candidate := smaller.shorter_run(found)) is not None:
            if not self._fails(candidate, _limit(candidate)):
                break
            found = candidate
        return found

    def _fewer_targets(self, found: Candidate) -> Candidate:
        for place, each in enumerate(found.schedule.occurrences):
            targets = self.targets.get(each.name, ())
            while (fewer := self._fewer_at(found, place, targets)) is not None:
                found, targets = fewer
        return found

    def _fewer_at(
        self, found: Candidate, place: int, targets: Sequence[str]
    ) -> tuple[Candidate, Sequence[str]] | None:
        each = found.schedule.occurrences[place]
        for left, plan in smaller.fewer_targets(each.plan, targets):
            candidate = found.changed(place, plan=plan)
            if self._fails(candidate, f"{each.name} on {' '.join(left)} alone"):
                return candidate, left
        return None

    def _briefer(self, found: Candidate) -> Candidate:
        for place in range(len(found.schedule.occurrences)):
            while (candidate := smaller.half_as_long(found, place)) is not None:
                each = candidate.schedule.occurrences[place]
                if not self._fails(candidate, f"{each.name} for {(each.lasts_ns or 0) / 1e9:g} s"):
                    break
                found = candidate
        return found

    def _minimal(self, found: Candidate) -> Candidate:
        """Without any fault that is needless by now; the last refusals prove that none is."""
        while True:
            self.minimal = []
            count = len(found.schedule.occurrences)
            for gone in range(count):
                rest = [place for place in range(count) if place != gone]
                candidate = smaller.keeping(found, rest, self.began_ns)
                name = found.schedule.occurrences[gone].name
                step = self._step(candidate, f"the result without {name}")
                if step.decision == "still":
                    found = candidate
                    break
                self.minimal.append(step)
            else:
                return found

    def _fails(self, candidate: Candidate, what: str) -> bool:
        return self._step(candidate, what).decision == "still"

    def _step(self, candidate: Candidate, what: str) -> Step:
        """The answer, by as many runs as it takes; each candidate is asked once."""
        for step in self.steps:
            if step.candidate.key == candidate.key:
                return step
        rates, error = self.rates, self.error
        assert rates is not None

        def more(tally: Tally) -> int:
            return least_further(tally.runs, tally.failures, rates, error)

        tally = self.answer(Ask("step", candidate, what, more))
        decision = decided(tally.runs, tally.failures, rates, error)
        self.steps.append(Step(what, tally, decision or "not", candidate))
        return self.steps[-1]


def _limit(candidate: Candidate) -> str:
    return f"a run of {candidate.time_limit_s:g} s"
