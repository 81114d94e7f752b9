"""What ``polygraph check`` prints and keeps, and how it goes on after a bad file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow


Fixture = Any

SCENARIO = 'system = "toy"\nworkload = "toy-work"\nseed = 7\n'


def test_other_files_are_judged_when_one_cannot_be_read(
    polygraph: Fixture, history: str, toys: Fixture, tmp_path: Path
) -> None:
    (tmp_path / "torn.jsonl").write_text('{"index": 0, "ti\n{"also": "bad"}\n', "utf-8")
    done = polygraph("check", *toys, "-m", "fine", "missing", "torn.jsonl", history)
    assert done.returncode == 4
    assert done.stdout == f"{history}\ttrue\n"
    assert "missing" in done.stderr
    assert "torn.jsonl" in done.stderr


def test_an_invalid_file_outweighs_an_unreadable_one(
    polygraph: Fixture, history: str, toys: Fixture
) -> None:
    done = polygraph("check", *toys, "-m", "wrong", "missing", history)
    assert done.returncode == 1


def test_an_unreadable_file_outweighs_an_unknown_one(
    polygraph: Fixture, history: str, toys: Fixture
) -> None:
    done = polygraph("check", *toys, "-m", "doubtful", history, "missing")
    assert done.returncode == 4


def test_standard_input_is_a_file_called_dash(
    polygraph: Fixture, history: str, toys: Fixture, tmp_path: Path
) -> None:
    text = (tmp_path / history).read_text("utf-8")
    done = polygraph("check", *toys, "-m", "fine", "-", stdin=text)
    assert (done.returncode, done.stdout) == (0, "-\ttrue\n")


def test_json_is_the_verdict_in_one_line_without_a_tab(
    polygraph: Fixture, history: str, toys: Fixture
) -> None:
    done = polygraph("check", *toys, "-m", "wrong", "--json", history)
    assert "\t" not in done.stdout
    verdict = json.loads(done.stdout)
    assert (verdict["file"], verdict["valid"]) == (history, False)
    assert verdict["checkers"]["wrong"]["anomaly_types"] == ["toy"]


def test_flags_reach_the_checker(polygraph: Fixture, history: str, toys: Fixture) -> None:
    flags = ("--initial", "[1, 2]", "--independent", "-n", "-o", "80", "-c", "PL-3,sequential")
    done = polygraph("check", *toys, "-m", "fine", "--json", *flags, history)
    verdict = json.loads(done.stdout)
    stats = verdict["checkers"]["fine"]["stats"]
    claims = ["serializable", "sequential"]
    assert stats["options"] == {"negative_balances": True, "total": 80, "claims": claims}
    assert (stats["initial"], stats["independent"]) == ([1, 2], True)
    assert verdict["claims"] == claims


def test_a_budget_and_names_to_leave_out_can_be_given(
    polygraph: Fixture, history: str, toys: Fixture
) -> None:
    plain = json.loads(polygraph("check", *toys, "-m", "fine", "--json", history).stdout)
    flags = ("--budget", "7.5", "--ignore-f", "write,odd")
    given = json.loads(polygraph("check", *toys, "-m", "fine", "--json", *flags, history).stdout)
    was, now = (each["checkers"]["fine"]["stats"] for each in (plain, given))
    assert (was["budget"], now["budget"]) == (300, 7.5)
    assert now["records"] < was["records"]
    assert any("were left out, as --ignore-f says" in notice for notice in given["notices"])
    assert any("--ignore-f odd: no client operation" in notice for notice in given["notices"])
    assert polygraph("check", *toys, "-m", "fine", "--budget", "0", history).returncode == 4


def test_a_history_without_an_operation_of_the_model_is_refused_and_what_fits_is_named(
    polygraph: Fixture, history: str
) -> None:
    done = polygraph("check", "-m", "stack", history)
    assert (done.returncode, done.stdout) == (4, "")
    assert f"{history}: the history has no operation of stack (pop, push)" in done.stderr
    assert "fitting: -m" in done.stderr


def test_a_misspelt_consistency_model_is_refused(
    polygraph: Fixture, history: str, toys: Fixture
) -> None:
    done = polygraph("check", *toys, "-m", "wrong", "-c", "serialisable", history)
    assert (done.returncode, done.stdout) == (4, "")
    assert "did you mean serializable" in done.stderr


@pytest.mark.slow
def test_a_misspelt_anomaly_is_refused_as_nobody_would_look_for_it(
    polygraph: Fixture, history: str, toys: Fixture
) -> None:
    done = polygraph("check", *toys, "-m", "fine", "-a", "G1,G-singel", history)
    assert (done.returncode, done.stdout) == (4, "")
    assert "did you mean G-single" in done.stderr


def test_checkers_that_need_more_than_a_history_are_named(
    polygraph: Fixture, history: str, toys: Fixture
) -> None:
    done = polygraph("check", *toys, "-m", "fine", history)
    assert "left out" in done.stderr
    assert "no-recovery" in done.stderr


def test_a_file_that_says_nothing_of_itself_needs_a_model(polygraph: Fixture, history: str) -> None:
    done = polygraph("check", history)
    assert (done.returncode, done.stdout) == (4, "")
    assert "-m MODEL" in done.stderr


@pytest.mark.slow
def test_verdict_and_proofs_are_written_into_the_folder(
    polygraph: Fixture, history: str, toys: Fixture, tmp_path: Path
) -> None:
    polygraph("check", *toys, "-m", "wrong", "-d", "out", history)
    assert json.loads((tmp_path / "out/one.jsonl/verdict.json").read_text())["valid"] is False
    assert (tmp_path / "out/one.jsonl/toy.txt").read_text() == "it was told to say so\n"


def test_an_unknown_model_names_the_nearest(
    polygraph: Fixture, history: str, toys: Fixture
) -> None:
    done = polygraph("check", *toys, "-m", "doubtfull", history)
    assert done.returncode == 4
    assert "did you mean doubtful" in done.stderr
