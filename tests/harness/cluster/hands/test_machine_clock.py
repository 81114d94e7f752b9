"""The machine's own clock: never this one's, and on others as the program says, then true."""

from __future__ import annotations

import pytest

from harness.cluster.hands.machine_clock import MachineClock, Refused

WALL_NS = 1_800_000_000 * 10**9


class Machine:
    """A machine's clocks, that nobody but the test moves on."""

    def __init__(self) -> None:
        self.monotonic_ns = 5 * 10**9
        self.wall_ns = WALL_NS
        self.sets: list[int] = []

    def set(self, wall_ns: int) -> None:
        self.sets.append(wall_ns)
        self.wall_ns = wall_ns

    def passes(self, ns: int) -> None:
        self.monotonic_ns += ns
        self.wall_ns += ns

    def clock(self, boot_id: str = "theirs") -> MachineClock:
        return MachineClock(
            "ours",
            boot_id,
            set_clock=self.set,
            wall_ns=lambda: self.wall_ns,
            monotonic_ns=lambda: self.monotonic_ns,
        )


@pytest.mark.parametrize("boot_id", ["ours", ""])
def test_the_controllers_own_machine_and_an_unknown_one_are_refused(boot_id: str) -> None:
    machine = Machine()
    with pytest.raises(Refused, match="shares its machine with the controller"):
        machine.clock(boot_id)
    assert machine.sets == []


def test_a_bump_sets_the_clock_once_and_a_heal_sets_it_back() -> None:
    machine = Machine()
    clock = machine.clock()
    state = clock.set({"shift_ns": 10**12})
    assert machine.sets == [WALL_NS + 10**12]
    assert (state["offset_ns"], state["boot_id"]) == (10**12, "theirs")
    machine.passes(3 * 10**9)
    assert clock.true_ns() == WALL_NS + 3 * 10**9
    healed = clock.heal()
    assert machine.wall_ns == WALL_NS + 3 * 10**9
    assert (healed["offset_ns"], healed["program"]) == (0, None)
    clock.heal()
    assert len(machine.sets) == 2


def test_a_second_program_starts_from_the_truth_not_from_the_first() -> None:
    machine = Machine()
    clock = machine.clock()
    clock.set({"shift_ns": 10**12})
    machine.passes(10**9)
    clock.set({"shift_ns": -(10**12)})
    assert machine.wall_ns == WALL_NS + 10**9 - 10**12


def test_ticks_follow_a_drift_and_a_strobe() -> None:
    machine = Machine()
    clock = machine.clock()
    clock.tick()
    assert machine.sets == []
    clock.set({"rate": 0.5})
    machine.passes(10**9)
    clock.tick()
    assert machine.wall_ns == WALL_NS + 1_500_000_000
    clock.heal()
    clock.set({"delta_ns": 10**11, "period_ns": 10**9})
    true_ns = machine.wall_ns
    machine.passes(10**9)
    clock.tick()
    assert machine.wall_ns == true_ns + 10**9 + 10**11
    machine.passes(10**9)
    clock.tick()
    assert machine.wall_ns == true_ns + 2 * 10**9
