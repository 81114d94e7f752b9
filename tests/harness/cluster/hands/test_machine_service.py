"""The process that sets a machine's clock, the call that would set it being intercepted."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.cluster.hands import machine_service
from harness.cluster.hands.machine_clock import REFUSAL, MachineClock
from harness.linux import identity

SECOND = 10**9
PACKAGE = Path(__file__).parents[4] / "harness" / "cluster"


class Service:
    """The service in a thread, on a machine whose clock is a list of what it was set to."""

    def __init__(self) -> None:
        self.was_set_to: list[int] = []
        clock = MachineClock(
            "the controller's",
            "the machine's",
            set_clock=self.was_set_to.append,
            wall_ns=lambda: 1000 * SECOND,
            monotonic_ns=lambda: 5 * SECOND,
        )
        asked, self._ask = os.pipe()
        self._answers, answers = os.pipe()
        work = lambda: machine_service.serve(clock, asked, answers)  # noqa: E731
        self._thread = threading.Thread(target=work)
        self._thread.start()
        self.first = self._next()

    def ask(self, **request: Any) -> dict[str, Any]:
        """One request."""
        os.write(self._ask, json.dumps(request).encode() + b"\n")
        return self._next()

    def end(self) -> None:
        """Close its input and wait for its end."""
        os.close(self._ask)
        self._thread.join(30)
        assert not self._thread.is_alive()
        os.close(self._answers)

    def _next(self) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(os.read(self._answers, 65536))
        return answer


@pytest.fixture
def service() -> Iterator[Service]:
    """A service that runs."""
    made = Service()
    yield made
    made.end()


def test_nothing_is_set_before_it_is_asked_for(service: Service) -> None:
    assert service.first["clock"]["program"] is None
    assert service.ask(do="heal")["clock"]["offset_ns"] == 0
    assert service.was_set_to == []


def test_the_clock_is_set_and_set_right(service: Service) -> None:
    told = service.ask(do="set", program={"shift_ns": 7 * SECOND})["clock"]
    assert told["offset_ns"] == 7 * SECOND
    assert set(service.was_set_to) == {1007 * SECOND}
    assert service.ask(do="heal")["clock"]["program"] is None
    assert service.was_set_to[-1] == 1000 * SECOND


def test_the_end_of_its_input_sets_the_clock_right() -> None:
    service = Service()
    service.ask(do="set", program={"shift_ns": -SECOND})
    service.end()
    assert service.was_set_to[-1] == 1000 * SECOND


def test_on_the_controllers_own_machine_it_refuses_before_anything() -> None:
    start = "import sys; sys.path.insert(0, sys.argv[1]); "
    start += "from hands import machine_service; machine_service.main()"
    argv = [sys.executable, "-I", "-S", "-c", start, str(PACKAGE), identity.boot_id()]
    done = subprocess.run(argv, input=b"", capture_output=True, timeout=30, check=True)
    assert json.loads(done.stdout) == {"refused": REFUSAL}
