"""Kill and pause take all that is of a daemon, whatever it did to get away."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.cluster
SCRIPT = Path(__file__).with_name("family_inside.py")


@pytest.fixture(
    params=[
        pytest.param("root", marks=pytest.mark.root),
        pytest.param("userns", marks=pytest.mark.userns),
        "plain",
    ]
)
def mode(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_a_pause_stops_and_a_kill_ends_every_descendant(start: Callable[..., Any]) -> None:
    found = start("is_hit", script=SCRIPT).result()
    assert found["began"]
    assert found["paused"] == [True, [True, ["T"]], True, False]
    assert found["healed"]
    assert found["went_on"]
    assert found["killed"] == [True, "1 of 1 processes on n1 ended by SIGKILL", True, False]
    assert found["back"] == [True, True]


def test_what_a_dead_daemon_left_behind_ends_before_it_is_started_again(
    start: Callable[..., Any],
) -> None:
    found = start("leaves_processes_behind", script=SCRIPT).result()
    assert found == {"began": True, "status": -15, "left": True, "after": 0, "runs": True}
