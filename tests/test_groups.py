"""Groups of tests take each test once, and ``quick`` fails one that is slow without saying so."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.groups import ALONE, GROUPS, Cost, belongs
from tests.inner_session import session

MARKED = '''
"""A quick test, a slow one, one of a cluster."""
import pytest

def test_quick():
    assert 1 + 1 == 2

@pytest.mark.slow
def test_slow():
    assert 1 + 1 == 2

@pytest.mark.cluster
@pytest.mark.slow
def test_of_a_cluster():
    assert 1 + 1 == 2

@pytest.mark.database
@pytest.mark.userns
def test_of_a_database():
    assert 1 + 1 == 2

@pytest.mark.cluster
@pytest.mark.parametrize("where", ["here", pytest.param("there", marks=pytest.mark.docker)])
def test_of_places(where):
    assert where
'''
SLOW = '''
"""One test takes too long, another only the first time: over twice LIMIT_S here."""
import time

imported = []

def spend(seconds):
    end = time.process_time() + seconds
    while time.process_time() < end:
        pass

def test_that_is_slow():
    spend(0.7)

def test_that_is_slow_once():
    if not imported:
        imported.append("something large")
        spend(0.7)
    assert imported
'''


LIMIT_S = 0.3
"""Of these sessions: it is the processor's time that they use up."""


@pytest.mark.parametrize("marks", [frozenset[str](), frozenset({"slow"}), *map(frozenset, ALONE)])
def test_each_test_is_of_one_group(marks: frozenset[str]) -> None:
    assert sum(belongs(marks, group) for group in ("pure", "containers", "databases", "alone")) == 1
    assert belongs(marks, "pure") or not belongs(marks, "quick")


@pytest.mark.slow
def test_a_group_is_asked_for_by_its_name(tmp_path: Path) -> None:
    found = {}
    for group in GROUPS:
        done = session(tmp_path, MARKED, "--collect-only", "--group", group)
        assert done.returncode == pytest.ExitCode.OK
        words = done.stdout.split()
        found[group] = {w.partition("::")[2] for w in words if w.startswith("test_it.py::")}
    assert found == {
        "quick": {"test_quick"},
        "pure": {"test_quick", "test_slow"},
        "containers": {"test_of_places[there]"},
        "databases": {"test_of_a_database"},
        "alone": {"test_of_a_cluster", "test_of_places[here]"},
    }


@pytest.mark.slow
def test_elsewhere_a_test_may_take_its_time(tmp_path: Path) -> None:
    assert session(tmp_path, SLOW, "--group", "pure").returncode == pytest.ExitCode.OK


@pytest.mark.slow
@pytest.mark.parametrize("workers", [(), ("-n", "1")], ids=["one process", "xdist"])
def test_a_test_that_is_slow_without_saying_so_fails(
    tmp_path: Path, workers: tuple[str, ...]
) -> None:
    done = session(tmp_path, SLOW, *workers, "--group", "quick", limit_s=LIMIT_S)
    assert done.returncode == pytest.ExitCode.TESTS_FAILED
    assert "test_it.py::test_that_is_slow took " in done.stdout
    assert "make it faster, or mark it slow" in done.stdout
    assert "1 failed, 1 passed" in done.stdout


def cost(passed_s: float, used_s: float, stalled_s: float) -> float:
    """Of a test during which the three clocks went on by so much."""
    readings = iter([(5.0, 6.0, 7.0), (5.0 + passed_s, 6.0 + used_s, 7.0 + stalled_s)])
    return Cost(lambda: next(readings)).so_far_s()


def test_a_test_that_only_waits_costs_the_time_by_the_clock() -> None:
    assert cost(2, 0.1, 0) == 2


def test_time_in_which_the_machine_was_busy_is_no_tests_fault() -> None:
    assert cost(4, 0.5, 3.9) < 0.5


def test_processor_time_counts_by_half_at_least() -> None:
    assert cost(2, 1.5, 0) == 2
    assert cost(2, 1.5, 1) == 1
    assert cost(4, 3, 4) == 1.5
    assert cost(4, 3, 9) == 1.5
