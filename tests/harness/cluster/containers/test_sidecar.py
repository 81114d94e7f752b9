"""The side-car's program: what it says of the program that sets the clock."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.cluster.containers.sidecar import Clock


def test_a_clock_program_that_ended_is_said_so_and_started_again(tmp_path: Path) -> None:
    program = tmp_path / "clock.py"
    program.write_text("raise SystemExit(5)\n")
    clock = Clock(str(program))
    with pytest.raises(RuntimeError, match=r"the program that sets the clock ended \(5\)"):
        clock.ask({"do": "set"})
    program.write_text("input(); print('{}')\n")
    assert clock.ask({"do": "heal"}) == {}
