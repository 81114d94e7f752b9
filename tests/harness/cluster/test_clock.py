"""The clock of one node's processes: moved, inherited, healed, and nobody else's touched."""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from harness.cluster.clocks import refusal_on_this_machine
from harness.cluster.hands.machine_clock import REFUSAL

INSIDE = Path(__file__).with_name("clock_inside.py")
ROOT = Path(__file__).parents[3]
MS = 1_000_000
FORBIDDEN = ("clock_settime", "settimeofday", "adjtime", "clock_adjtime", "timespec_set")

Start = Callable[..., Any]


@pytest.fixture(
    params=[
        pytest.param("root", marks=pytest.mark.root),
        pytest.param("userns", marks=pytest.mark.userns),
        "plain",
    ]
)
def mode(request: pytest.FixtureRequest) -> str:
    """Each way in which a node's agent is the ancestor of its processes."""
    return str(request.param)


def is_ahead(ahead: Mapping[str, list[int]], by_ns: int) -> bool:
    """Whether all four ways to ask for the time are ahead by this much."""
    assert set(ahead) == {"clock_gettime", "coarse", "gettimeofday", "time"}
    return all(low <= by_ns <= high for low, high in ahead.values())


@pytest.mark.cluster
@pytest.mark.parametrize("shift_ns", [3_600_000 * MS + 123_456, -7_200_250 * MS])
def test_every_process_of_a_node_is_moved_and_what_it_starts_and_nobody_else(
    start: Start, shift_ns: int
) -> None:
    found = start("moves_clocks", script=INSIDE, shift_ns=shift_ns).result()
    assert is_ahead(found["before"], 0)
    for who in ("parent", "child", "forked", "executed", "command"):
        assert is_ahead(found["during"][who], shift_ns), who
    for who in ("parent", "child"):
        assert is_ahead(found["restarted"][who], shift_ns), who
    assert found["killed"] == -9
    assert is_ahead(found["others"]["n2"], 0)
    assert found["others"]["run"] == 0
    for who in ("parent", "child", "forked", "executed"):
        assert is_ahead(found["healed"][who], 0), who


@pytest.mark.cluster
def test_a_clock_says_how_many_processes_it_moved_and_a_heal_leaves_them_pristine(
    start: Start,
) -> None:
    found = start("moves_clocks", script=INSIDE, shift_ns=10**12).result()
    state, healed = found["state"], found["healed_state"]
    assert (state["processes"], state["changed"], state["pristine"]) == (2, 2, 0)
    assert state["threads"] == 3
    assert state["offset_ns"] == 10**12
    assert (healed["processes"], healed["changed"], healed["pristine"]) == (2, 0, 2)
    assert healed["program"] is None
    assert found["traced"]
    assert not found["traced_after"]


@pytest.mark.cluster
def test_a_drift_grows_as_asked_and_a_strobe_shows_both_faces(start: Start) -> None:
    found = start("drifts_and_strobes", script=INSIDE).result()
    assert len(found["drift"]) == 10
    for rate, before_ns, (low, high), after_ns in found["drift"]:
        assert (before_ns > 0) == (rate > 0)
        assert low <= max(before_ns, after_ns)
        assert high >= min(before_ns, after_ns)
    true, ahead = found["strobe"]
    assert true[0] <= 0 <= true[1]
    assert ahead[0] <= 10**12 <= ahead[1]
    assert is_ahead(found["healed"], 0)


@pytest.mark.cluster
def test_a_stopped_process_stays_stopped_and_goes_on_with_the_clock_as_set(start: Start) -> None:
    found = start("moves_clocks_of_stopped_processes", script=INSIDE).result()
    set_still, set_on, healed_still, healed_on = found["stops"]
    assert set_still[0] in "Tt"
    assert set_still[1] == 0
    assert is_ahead(set_on, 10**13)
    assert healed_still == ["T", 0]
    assert is_ahead(healed_on, 0)
    assert found["stopped_while_set"]
    assert found["still"] == ["T", 0]
    assert found["killed"] == -9


@pytest.mark.cluster
def test_what_cannot_be_set_is_said_and_every_clock_stays_true(start: Start) -> None:
    found = start("refuses", script=INSIDE).result()
    assert found["said"]["machine"] == f"n1: {REFUSAL}"
    assert "thirty years" in found["said"]["calendar"]
    assert found["clock"]["program"] is None
    assert found["clock"]["processes"] == found["clock"]["pristine"]
    assert is_ahead(found["ahead"], 0)


@pytest.mark.cluster
def test_the_clock_of_this_machine_is_not_moved(start: Start) -> None:
    found = start("keeps_the_machine_clock", script=INSIDE).result()
    assert is_ahead(found["ahead"], 10**13)
    # A time service may slew it by half a thousandth; the fault moved it by hours.
    assert max(map(abs, found["moved_ns"])) < 1_000 * MS


@pytest.mark.slow
def test_only_the_machine_method_knows_how_to_set_a_machines_clock() -> None:
    tops = ("harness", "nemeses", "systems", "workloads", "checkers")
    allowed = ROOT / "harness" / "cluster" / "hands" / "machine_clock.py"
    found = {
        f"{path.relative_to(ROOT)}: {name}"
        for top in tops
        for path in (ROOT / top).rglob("*.py")
        if path != allowed
        for name in names_in(path)
        if any(word in name for word in FORBIDDEN)
    }
    assert found == set()
    assert [name for name in names_in(allowed) if "settime" in name] == ["clock_settime_ns"]


def names_in(path: Path) -> list[str]:
    """Every name, attribute and string that a file uses as a whole word."""
    found = []
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Attribute):
            found.append(node.attr)
        elif isinstance(node, ast.Name):
            found.append(node.id)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            found += [node.value] if node.value.isidentifier() else []
    return found


def test_the_machine_method_is_refused_on_this_machine_and_processes_are_not() -> None:
    assert refusal_on_this_machine("machine") == REFUSAL
    assert refusal_on_this_machine("process") is None
