"""Soaks of real clusters: killed and resumed, and stopped at the first violation."""

from __future__ import annotations

import json
import signal
import subprocess
from pathlib import Path
from typing import Any

import junitparser
import pytest

from harness.soak.book import read, seed_of

Fixture = Any

pytestmark = pytest.mark.cluster

SHORT = ("--nodes", "3", "--time-limit", "2", "--seed", "11", "--store", "store")
ETCDS = ("--plugin", str(Path(__file__).parents[2] / "toys/broken_etcds.py"))
RUNS = 4


def test_a_soak_killed_twice_counts_every_run_once_and_leaves_nothing(
    started: Fixture, polygraph: Fixture, tmp_path: Path
) -> None:
    asked = ("--runs", str(RUNS), "--parallel", "2")
    killed_after_a_run(started("soak", "etcd", *SHORT, *asked, stdout=subprocess.PIPE))
    (folder,) = (tmp_path / "store" / "soaks").iterdir()
    go_on = ("soak", "--resume", str(folder), "--store", "store")
    killed_after_a_run(started(*go_on, stdout=subprocess.PIPE))
    last = started(*go_on, "--junit", "out.xml", stdout=subprocess.PIPE)
    told, _ = last.communicate(timeout=240)
    summary = json.loads((folder / "summary.json").read_text())
    assert last.returncode == summary["exit"], told
    _, entries, _ = read(folder)
    ended = sorted(entry.number for entry in entries if entry.event == "ended")
    assert ended == list(range(1, RUNS + 1))
    begun = sorted(entry.number for entry in entries if entry.event == "begun")
    assert begun == sorted([*ended, *summary["half_done"]])
    assert {entry.number: entry.seed for entry in entries} == {n: seed_of(11, n) for n in ended}
    (suite,) = junitparser.JUnitXml.fromfile(str(tmp_path / "out.xml"))
    counts = summary["counts"]
    assert (suite.tests, suite.failures) == (RUNS, counts["violation"])
    assert suite.errors == counts["unknown"] + counts["infrastructure"]
    assert polygraph("heal").returncode == 0


def killed_after_a_run(soak: Any) -> None:
    """Kill the soak by SIGKILL as soon as it tells of a run that ended."""
    for line in soak.stdout:
        if line.startswith("run "):
            break
    soak.send_signal(signal.SIGKILL)
    soak.wait()


def test_until_failure_stops_at_the_first_violation_and_says_how_to_repeat_it(
    polygraph: Fixture, tmp_path: Path
) -> None:
    done = polygraph("soak", "forgetful-etcd", *ETCDS, *SHORT, "--until-failure", "--runs", "5")
    assert done.returncode == 1, done.stderr
    (folder,) = (tmp_path / "store" / "soaks").iterdir()
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["counts"]["violation"] == 1
    assert summary["results"][-1]["outcome"] == "violation"
    assert summary["estimate"]["rule"] == "until-failure"
    (repeat,) = [line for line in done.stdout.splitlines() if line.startswith("repeat  ")]
    assert repeat.startswith("repeat  polygraph test forgetful-etcd")
    assert f"--seed {seed_of(11, summary['runs'])}" in repeat


def test_what_runs_already_is_asked_about_once_before_the_soak_begins(
    polygraph: Fixture, tmp_path: Path
) -> None:
    asked = ("soak", "etcd", "--endpoint", "127.0.0.1:1", "--runs", "2", "--store", "store")
    refused = polygraph(*asked)
    assert refused.returncode == 4
    assert "127.0.0.1:1 runs already" in refused.stderr
    assert "nobody has agreed to that" in refused.stderr
    assert not (tmp_path / "store").exists()
    agreed = polygraph(*asked, "--yes")
    assert agreed.returncode == 3
    assert agreed.stderr.count("127.0.0.1:1 runs already") == 1
    assert agreed.stdout.count("nobody answers at 127.0.0.1:1") == 2
