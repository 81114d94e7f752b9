"""``compare`` and a soak's ``--matrix`` as commands: what is refused, and one real comparison."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from harness.cli.compare import _own, _planned
from harness.errors import UsageError
from tests.disturbance import ATTEMPTS, was_held_up

Fixture = Any

MEMORY = ("memory", "--plugin", str(Path(__file__).parents[2] / "toys/memory_system.py"))


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (("compare",), "needs A and B"),
        (("compare", "misbehave=stale", "misbehave=no", *MEMORY), "its number of runs beforehand"),
        (("compare", "no.toml", "misbehave=no", *MEMORY, "--runs", "2"), "no.toml: no such file"),
        (("compare", "a=1", "a=2", *MEMORY, "--runs", "2"), "no option called 'a'"),
        (("soak", *MEMORY, "--matrix", "workload", "--runs", "2"), "'workload' is not KEY=VALUE"),
        (("soak", *MEMORY, "-k", "bank", "--runs", "2"), "cells of a --matrix"),
        (("soak", *MEMORY, "--matrix", "nodes=3,5", "-k", "7", "--runs", "1"), "no cell is named"),
        (
            ("soak", *MEMORY, "--matrix", "workload=bank", "--runs", "1"),
            "can be run; workload=bank",
        ),
        (("soak", *MEMORY, "--until-failure", "--until-known"), "name one of them"),
    ],
)
def test_what_is_impossible_is_refused_before_any_run(
    polygraph: Fixture, tmp_path: Path, argv: tuple[str, ...], said: str
) -> None:
    done = polygraph(*argv)
    assert done.returncode == 4, done.stderr
    assert said in done.stderr
    assert not (tmp_path / "store").exists()


def test_a_test_of_a_scenario_with_a_matrix_is_refused(polygraph: Fixture, tmp_path: Path) -> None:
    (tmp_path / "many.toml").write_text('system = "etcd"\n[matrix]\nnodes = [3, 5]\n')
    done = polygraph("test", "--scenario", "many.toml")
    assert done.returncode == 4
    assert "polygraph soak" in done.stderr


def test_a_side_is_a_file_or_what_differs() -> None:
    assert _own("old.toml") == {"scenario": "old.toml"}
    assert _own("binary=/a/b,nemesis=kill+pause") == {"binary": "/a/b", "nemesis": "kill,pause"}


def test_the_number_of_runs_follows_from_the_old_rate(capsys: pytest.CaptureFixture[str]) -> None:
    flags = {"old_rate": 0.3, "new_rate": 0.0, "confidence": 0.95, "power": 0.8}
    runs = _planned(flags)
    assert f"planned: {runs} runs of either side" in capsys.readouterr().err
    with pytest.raises(UsageError, match="--power"):
        _planned({**flags, "power": 1.0})


@pytest.mark.cluster
def test_a_broken_build_is_told_from_a_sound_one(polygraph: Fixture, tmp_path: Path) -> None:
    short = ("--nodes", "1", "--time-limit", "1", "--store", "store", "--runs", "3", "--json")
    for _ in range(ATTEMPTS):
        shutil.rmtree(tmp_path / "store", ignore_errors=True)
        done = polygraph("compare", "misbehave=stale", "misbehave=no", *MEMORY, *short)
        summary = json.loads(done.stdout)
        facts = (tmp_path / "store").glob("*/*/2*/evidence/run.json")
        # Of six runs every one counts: one that the machine held up is one too few.
        if done.returncode == 0 or not any(was_held_up(json.loads(f.read_text())) for f in facts):
            break
    assert done.returncode == 0, done.stderr
    assert summary["comparison"]["word"] == "fixed"
    assert [cell["name"] for cell in summary["cells"]] == ["A misbehave=stale", "B misbehave=no"]
    (folder,) = (tmp_path / "store" / "soaks").iterdir()
    assert "Fixed, as far as 3 runs can show" in (folder / "index.html").read_text()
