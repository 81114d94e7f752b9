"""The side-car's program: what it says of the program that sets the clock, and what it hears."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.cluster.docker.sidecar import Clock, Probes
from harness.cluster.namespaces.firewall import PROBE_PORT


def test_a_clock_program_that_ended_is_said_so_and_started_again(tmp_path: Path) -> None:
    program = tmp_path / "clock.py"
    program.write_text("raise SystemExit(5)\n")
    clock = Clock(str(program))
    with pytest.raises(RuntimeError, match=r"the program that sets the clock ended \(5\)"):
        clock.ask({"do": "set"})
    program.write_text("input(); print('{}')\n")
    assert clock.ask({"do": "heal"}) == {}


def test_a_probe_that_came_while_the_listener_got_no_time_is_heard(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Probes, "_listen", lambda self: None)
    near, far = Probes("127.77.1.1", PROBE_PORT), Probes("127.77.1.2", PROBE_PORT)
    far.send(5, ["127.77.1.1"])
    assert near.heard(4, {"127.77.1.2"}, 0.1) == []
    far.send(6, ["127.77.1.1"])
    assert near.heard(6, {"127.77.1.2"}, 0.1) == ["127.77.1.2"]
    near._socket.close()
    far._socket.close()
