"""How far a clock is off, by reports in whole seconds: certain bounds, narrow around a turn."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.cluster.hands.vdso import offset_ns
from harness.contract.system import TimeReading
from harness.linux.identity import boot_id
from nemeses.clock.reported_time import Bounds, ClockOf, Faces, Flips

SECOND = 10**9
MS = 10**6
START_NS = 1_800_000_000 * SECOND + 123_456_789


class World:
    """True time that goes on only by asking and by sleeping, and a server with a clock."""

    def __init__(self, really: Mapping[str, Any], *, answer_ns: int = MS, host_ns: int = 0) -> None:
        self.now_ns = START_NS
        self.asked = 0
        self._really = really
        self._answer_ns = answer_ns
        self._host_ns = host_ns

    def wall_ns(self) -> int:
        return self.now_ns

    def sleep(self, seconds: float) -> None:
        self.now_ns += round(seconds * SECOND)

    def reported_time(self, node: Any, timeout_s: float) -> TimeReading:
        self.asked += 1
        self.now_ns += self._answer_ns // 2
        true_ns = self.now_ns + self._host_ns
        shown = (true_ns + offset_ns(self._really, true_ns)) // SECOND * SECOND
        self.now_ns += self._answer_ns - self._answer_ns // 2
        return TimeReading(earliest_ns=shown, latest_ns=shown + SECOND)

    def told(self) -> dict[str, Any]:
        """What an agent on another host tells of its true clock."""
        self.now_ns += self._answer_ns // 2
        told_ns = self.now_ns + self._host_ns
        self.now_ns += self._answer_ns // 2
        return {"boot_id": "of another host", "wall_ns": told_ns}

    def clock(self, expected: Mapping[str, Any]) -> ClockOf:
        system: Any = self
        node: Any = None
        return ClockOf(system, node, expected, wall_ns=self.wall_ns, sleep=self.sleep)


def bump(ns: int) -> dict[str, Any]:
    return {"shift_ns": ns, "base_ns": START_NS}


@given(shift_ns=st.integers(-300 * SECOND, 300 * SECOND), answer_ns=st.integers(MS // 10, 5 * MS))
def test_a_clock_where_it_is_expected_is_held_by_narrow_bounds(
    shift_ns: int, answer_ns: int
) -> None:
    world = World(bump(shift_ns), answer_ns=answer_ns)
    bounds, expected_ns = world.clock(bump(shift_ns)).beside_expectation()
    assert bounds.hold(0)
    assert expected_ns == shift_ns
    assert bounds.high_ns - bounds.low_ns <= 20 * MS


@given(
    shift_ns=st.integers(-300 * SECOND, 300 * SECOND),
    off_ns=st.integers(30 * MS, 10 * SECOND),
    sign=st.sampled_from([-1, 1]),
)
def test_a_clock_that_is_elsewhere_is_excluded(shift_ns: int, off_ns: int, sign: int) -> None:
    world = World(bump(shift_ns + sign * off_ns))
    bounds, _ = world.clock(bump(shift_ns)).beside_expectation()
    assert not bounds.hold(0)
    assert bounds.hold(sign * off_ns)


@given(rate=st.floats(-0.45, 0.45), elapsed_ns=st.integers(0, 10 * SECOND))
def test_a_drifting_clock_is_met_at_its_own_turn(rate: float, elapsed_ns: int) -> None:
    program = {"rate": rate, "base_ns": START_NS - elapsed_ns}
    bounds, _ = World(program).clock(program).beside_expectation()
    assert bounds.hold(0)
    assert bounds.high_ns - bounds.low_ns <= 40 * MS


def test_a_clock_that_was_to_be_set_and_is_true_shows() -> None:
    world = World({})
    bounds, expected_ns = world.clock(bump(11 * MS)).beside_expectation()
    assert not bounds.hold(0)
    assert bounds.shifted(expected_ns).hold(0)


@given(shift_ns=st.integers(-300 * SECOND, 300 * SECOND), host_ns=st.integers(-SECOND, SECOND))
def test_another_hosts_own_error_is_not_taken_for_the_fault(shift_ns: int, host_ns: int) -> None:
    world = World(bump(shift_ns), host_ns=host_ns)
    clock = world.clock(bump(shift_ns))
    clock.take_truth_from(world.told)
    bounds, _ = clock.beside_expectation()
    assert bounds.hold(0)
    assert bounds.high_ns - bounds.low_ns <= 80 * MS


def test_a_node_of_this_machine_has_the_controllers_truth() -> None:
    world = World(bump(SECOND))
    clock = world.clock(bump(SECOND))
    clock.take_truth_from(lambda: {"boot_id": boot_id(), "wall_ns": 7})
    bounds, _ = clock.beside_expectation()
    assert bounds.hold(0)


@pytest.mark.parametrize("delta_ns", [16 * MS, 300 * MS, 1_300 * MS, 200 * SECOND, -300 * MS])
@pytest.mark.parametrize("period_ns", [2 * MS, 7 * MS])
def test_both_faces_of_a_strobe_are_seen_and_told_apart(delta_ns: int, period_ns: int) -> None:
    program = {"delta_ns": delta_ns, "period_ns": period_ns, "base_ns": START_NS}
    world = World(program, answer_ns=MS)
    flips = Flips(world.clock(program), delta_ns, faces := Faces())
    for _ in range(5):
        flips.look(*flips.window(world.now_ns, SECOND))
    assert faces.ahead > 0
    assert faces.true > 0
    assert faces.stray is None


@pytest.mark.parametrize("really", [{}, bump(200 * SECOND)])
def test_a_clock_that_does_not_flip_shows_one_face(really: dict[str, Any]) -> None:
    world = World(really)
    flips = Flips(world.clock({}), 200 * SECOND, faces := Faces())
    flips.look(*flips.window(world.now_ns, SECOND))
    assert bool(faces.ahead) != bool(faces.true)


def test_a_clock_that_is_at_neither_face_is_told() -> None:
    world = World(bump(50 * SECOND))
    flips = Flips(world.clock({}), 200 * SECOND, faces := Faces())
    flips.look(*flips.window(world.now_ns, SECOND))
    assert faces.stray is not None
    assert faces.stray.hold(50 * SECOND)


def test_bounds_are_told_in_milliseconds() -> None:
    assert Bounds(-1_500_000, 2_000_400).in_ms() == [-1.5, 2.0]
