"""How far a system's clock is from the truth, by the time that the system itself reports.

A report brackets: asked between ``t0`` and ``t1`` of true time, a server that reports a time in
``[a, b)`` has a clock that is ahead of the truth by more than ``a - t1`` and less than ``b - t0``.
These bounds are certain, however long the answer took. A report in whole seconds leaves a second
of doubt, but it turns to the next second when the system's clock does: an answer just before and
one just after the expected turn leave a few milliseconds. So the clock is *expected* somewhere,
asked around the turn that follows, and the bounds either hold the expectation or exclude it.

The node's true clock is the controller's where both are on one machine (equal boot ids); else
the node's agent tells it, and the doubt of that telling is added.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from harness.cluster.hands.vdso import offset_ns
from harness.contract.node import ClockSettable, Node
from harness.contract.system import ReportsTime, TimeReading
from harness.linux.identity import boot_id

ANSWER_TIMEOUT_S = 1.0
_LEAST_LEAD_NS = 2_000_000
_AFTER_NS = 60_000_000
_TELLINGS = 3
_APPROACHES = 60
_LONGEST_PERIOD_NS = 1_100_000_000
"""As long as the longest strobe that is drawn shows one face."""


@dataclass(frozen=True)
class Bounds:
    """More than ``low_ns`` and less than ``high_ns``."""

    low_ns: int
    high_ns: int

    def hold(self, value_ns: int) -> bool:
        """Whether the value is possible."""
        return self.low_ns <= value_ns <= self.high_ns

    def within(self, other: Bounds) -> Bounds:
        """What both leave."""
        return Bounds(max(self.low_ns, other.low_ns), min(self.high_ns, other.high_ns))

    def shifted(self, by_ns: int) -> Bounds:
        """The same, further ahead."""
        return Bounds(self.low_ns + by_ns, self.high_ns + by_ns)

    def in_ms(self) -> list[float]:
        """For the ledger."""
        return [round(self.low_ns / 1e6, 3), round(self.high_ns / 1e6, 3)]


@dataclass(frozen=True)
class Sample:
    """One report: how far ahead, and the (true) time when it was asked for and had come."""

    ahead: Bounds
    asked_ns: int
    came_ns: int
    reading: TimeReading


class ClockOf:
    """The clock of one node's system. ``program`` is what it was set to (empty: the truth)."""

    def __init__(
        self,
        system: ReportsTime,
        node: Node,
        program: Mapping[str, Any],
        *,
        wall_ns: Callable[[], int] = time.time_ns,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._system = system
        self._node = node
        self._program = program
        self._wall_ns = wall_ns
        self._sleep = sleep
        self._truth = Bounds(0, 0)

    def take_truth_from(self, state: Callable[[], Mapping[str, Any]]) -> None:
        """Learn how far the node's true clock is from the controller's."""
        for _ in range(_TELLINGS):
            asked_ns = self._wall_ns()
            told = state()
            if told["boot_id"] == boot_id():
                return
            bounds = Bounds(told["wall_ns"] - self._wall_ns(), told["wall_ns"] - asked_ns)
            doubt_ns = self._truth.high_ns - self._truth.low_ns
            if doubt_ns == 0 or bounds.high_ns - bounds.low_ns < doubt_ns:
                self._truth = bounds

    def expected_ns(self, true_ns: int) -> int:
        """How far ahead it should be."""
        return offset_ns(self._program, true_ns)

    def sample(self) -> Sample:
        """Ask once. Raises what the system raises where it does not answer."""
        asked_ns = self._wall_ns()
        reading = self._system.reported_time(self._node, ANSWER_TIMEOUT_S)
        came_ns = self._wall_ns()
        ahead = Bounds(
            reading.earliest_ns - came_ns - self._truth.high_ns,
            reading.latest_ns - asked_ns - self._truth.low_ns,
        )
        return Sample(ahead, asked_ns, came_ns, reading)

    def beside_expectation(self) -> tuple[Bounds, int]:
        """Bounds of how far it is from where it should be, and the expectation of the last report.

        The bounds hold 0 if it may be exactly there; they are narrow, since it is asked around
        a turn of the report. Takes up to one turn, a second for a report in whole seconds.
        """
        first = self.sample()
        bounds, width_ns = self._residual(first), _width(first)
        if not bounds.hold(0) or width_ns <= _LEAST_LEAD_NS:
            return bounds, self.expected_ns(first.came_ns)
        lead_ns = max(_LEAST_LEAD_NS, 2 * (first.came_ns - first.asked_ns))
        turn_ns = self._next_turn(self._wall_ns() + lead_ns, width_ns)
        turned_ns = turn_ns + self._ahead_at(turn_ns) - width_ns // 2
        self.sleep_until(turn_ns - lead_ns)
        while True:
            sample = self.sample()
            bounds = bounds.within(self._residual(sample))
            has_turned = sample.reading.earliest_ns > turned_ns
            if has_turned or sample.came_ns > turn_ns + _AFTER_NS:
                return bounds, self.expected_ns(sample.came_ns)

    def sleep_until(self, true_ns: int) -> None:
        """Wait for a moment of the controller's clock."""
        left_ns = true_ns - self._wall_ns()
        if left_ns > 0:
            self._sleep(left_ns / 1e9)

    def _residual(self, sample: Sample) -> Bounds:
        """How far ahead of the expectation, which may move while the answer is on its way."""
        at = [self.expected_ns(sample.asked_ns), self.expected_ns(sample.came_ns)]
        return Bounds(sample.ahead.low_ns - max(at), sample.ahead.high_ns - min(at))

    def _next_turn(self, after_ns: int, width_ns: int) -> int:
        """When, by the controller's clock, the report should turn to its next value."""
        shown_ns = after_ns + self._ahead_at(after_ns)
        next_ns = shown_ns + (-shown_ns) % width_ns
        turn_ns = after_ns
        for _ in range(_APPROACHES):  # a drifting clock moves on meanwhile, by less than it waits
            turn_ns += next_ns - turn_ns - self._ahead_at(turn_ns)
        return turn_ns

    def _ahead_at(self, wall_ns: int) -> int:
        middle_ns = (self._truth.low_ns + self._truth.high_ns) // 2
        return self.expected_ns(wall_ns) + middle_ns


@dataclass
class Faces:
    """How often a strobing clock was certainly ahead, and certainly true; ``stray`` is neither."""

    ahead: int = 0
    true: int = 0
    stray: Bounds | None = None


class Flips:
    """Looks for both faces of a clock that jumps ahead by ``delta_ns`` and back again."""

    def __init__(self, clock: ClockOf, delta_ns: int, faces: Faces) -> None:
        self._clock = clock
        self._delta_ns = delta_ns
        self._faces = faces

    def look(self, begin_ns: int, end_ns: int) -> None:
        """Ask again and again from ``begin_ns`` to ``end_ns``, or until both were seen."""
        self._clock.sleep_until(begin_ns)
        while True:
            sample = self._clock.sample()
            self._count(sample.ahead)
            if sample.came_ns >= end_ns or (self._faces.ahead and self._faces.true):
                return

    def window(self, now_ns: int, width_ns: int) -> tuple[int, int]:
        """When a report tells the two faces apart: always, or shortly around a turn."""
        if abs(self._delta_ns) >= 2 * width_ns:
            return now_ns, now_ns + _LONGEST_PERIOD_NS
        turn_ns = now_ns + (-now_ns) % width_ns
        before_ns = max(self._delta_ns, 0) % width_ns
        after_ns = max(-self._delta_ns, 0) % width_ns
        return turn_ns - before_ns, turn_ns + after_ns

    def _count(self, ahead: Bounds) -> None:
        may_be_true, may_be_ahead = ahead.hold(0), ahead.hold(self._delta_ns)
        self._faces.true += may_be_true and not may_be_ahead
        self._faces.ahead += may_be_ahead and not may_be_true
        if not may_be_true and not may_be_ahead:
            self._faces.stray = ahead


def _width(sample: Sample) -> int:
    return sample.reading.latest_ns - sample.reading.earliest_ns


def clock_of(system: ReportsTime, node: Node, program: Mapping[str, Any]) -> ClockOf:
    """The clock of the system on ``node``, with the node's truth learned."""
    clock = ClockOf(system, node, program)
    assert isinstance(node, ClockSettable)
    clock.take_truth_from(node.read_clock)
    return clock
