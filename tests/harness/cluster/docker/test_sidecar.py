"""The side-car's program: what it says of the program that sets the clock."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from harness.cluster.hands.clock_server import ServedClock
from harness.cluster.hands.refused import Refused


def test_a_clock_program_that_ended_is_said_so_and_started_again(tmp_path: Path) -> None:
    program = tmp_path / "clock.py"
    program.write_text("raise SystemExit(5)\n")
    clock = ServedClock([sys.executable, str(program)])
    with pytest.raises(Refused, match=r"the program that sets the clock ended \(5\)"):
        clock.set({"shift_ns": 1})
    program.write_text("input(); print('{\"clock\": {}}')\n")
    assert clock.heal() == {}
