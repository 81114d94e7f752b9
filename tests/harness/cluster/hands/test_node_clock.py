"""The clock of processes, set by whoever is their ancestor, through every door and failure."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from harness.cluster.hands import clock_probe

DRIVER = Path(__file__).with_name("clock_driver.py")


def drive(case: str, *arguments: str) -> Any:
    """What a case of the driver found."""
    argv = [sys.executable, str(DRIVER), case, *arguments]
    done = subprocess.run(argv, capture_output=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return json.loads(done.stdout)


def test_where_memory_files_are_closed_the_change_goes_through_ptrace() -> None:
    assert drive("through_ptrace") == {"ahead": [0, 10_000, 0], "pristine": 1}


def test_a_closed_memory_file_is_tried_once() -> None:
    assert drive("falls_back") == {"ahead": 10_000, "healed": 0, "tries": 1}


def test_where_one_process_cannot_be_changed_none_is() -> None:
    found = drive("all_or_nothing")
    assert "process PID has another vDSO" in found["said"]
    assert found["ahead"] == [0, 0, 0]
    assert found["traced"] == [0, 0, 0]


def test_a_process_that_another_traces_is_refused_with_the_reason() -> None:
    assert "ptrace of PID" in drive("traced_by_another")["said"]


def test_a_clock_whose_setter_was_killed_is_called_wrong_and_healed_by_who_comes_next() -> None:
    found = drive("heals_what_another_set")
    assert found == {"ahead": [10_000, 0], "pristine": [0, 1], "traced": 0}


def test_the_end_of_a_process_whose_clock_is_set_is_told_once() -> None:
    assert drive("ends_while_set") == {"ended": [-9], "ahead": 10_000, "processes": 1}


def test_a_process_that_ends_while_it_is_looked_at_is_not_called_changed() -> None:
    assert drive("ends_while_looked_at") == {"looks_left": 0, "processes": 1, "pristine": 1}


def test_what_is_forked_while_the_clock_is_healed_is_healed_too() -> None:
    found = drive("forks_while_healed")
    assert found == {"traced": [0, 0, 0], "processes": 3, "pristine": 3}


def test_threads_are_taken_out_of_what_is_to_be_written() -> None:
    assert drive("takes_threads_out") == {"met": 20, "inside_after": 0, "pristine": 1}


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler here")
def test_the_remnant_of_a_signal_is_told_from_a_handler_that_will_return(tmp_path: Path) -> None:
    toy = tmp_path / "toy"
    source = DRIVER.with_name("signalled.c")
    subprocess.run(["cc", "-O1", "-pthread", str(source), "-o", str(toy)], check=True)
    found = drive("is_or_was_in_a_handler", str(toy))
    assert found["was"] == [False, "", 1, "w", 0]
    for how in ("own", "same", "nested"):
        assert found[how] == [True, "", 1, "w", 0], how


def test_the_probe_finds_that_it_can_be_done_here() -> None:
    argv = [sys.executable, "-c", "import harness.cluster.hands.clock_probe as p; p.main()"]
    done = subprocess.run(argv, capture_output=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (0, b"")
    assert callable(clock_probe.refusal_here)
