"""Each exit code, from the real console script: nothing but a verdict gives 0, 1 or 2."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from harness.cli.main import run
from harness.cluster import doctor, leftovers
from harness.cluster.providers import NAMES
from harness.contract.finding import Finding

pytestmark = pytest.mark.slow


Fixture = Any


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "word", "code"),
    [("fine", "true", 0), ("wrong", "false", 1), ("doubtful", "unknown", 2)],
)
def test_a_verdict_ends_in_its_own_code(
    polygraph: Fixture, history: str, toys: Fixture, model: str, word: str, code: int
) -> None:
    done = polygraph("check", *toys, "-m", model, history)
    assert (done.returncode, done.stdout) == (code, f"{history}\t{word}\n")


@pytest.mark.slow
def test_a_checker_that_raises_is_unknown_and_never_valid(
    polygraph: Fixture, history: str, toys: Fixture
) -> None:
    done = polygraph("check", *toys, "-m", "crashes", history)
    assert (done.returncode, done.stdout) == (2, f"{history}\tunknown\n")
    assert "divides by zero" in done.stderr


@pytest.mark.slow
def test_a_plugin_that_raises_ends_in_3_with_a_plain_message(
    polygraph: Fixture, history: str, toys: Fixture
) -> None:
    done = polygraph("check", *toys, "-m", "broken", history)
    assert (done.returncode, done.stdout) == (3, "")
    assert "unexpected error, no verdict: ZeroDivisionError" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_a_traceback_is_shown_when_asked_for(
    polygraph: Fixture, history: str, toys: Fixture
) -> None:
    by_twin = polygraph("check", *toys, "-m", "broken", history, POLYGRAPH_TRACEBACK="1")
    by_flag = polygraph("--traceback", "check", *toys, "-m", "broken", history)
    assert "Traceback" in by_twin.stderr
    assert "Traceback" in by_flag.stderr


@pytest.mark.parametrize("statement", ["import sys; sys.exit(0)", "raise EOFError('short')"])
def test_a_plugin_cannot_end_the_process_with_a_verdict(
    polygraph: Fixture, tmp_path: Path, statement: str
) -> None:
    source = f"def make(options):\n    {statement}\n\nSYSTEMS = {{'toy': make}}\n"
    (tmp_path / "rude.py").write_text(source, "utf-8")
    done = polygraph("list", "--matrix", "--plugin", "rude.py")
    assert done.returncode == 3
    assert "unexpected error, no verdict" in done.stderr


def test_a_plugin_that_exits_while_it_is_loaded_ends_in_4_and_is_named(
    polygraph: Fixture, tmp_path: Path
) -> None:
    (tmp_path / "rude.py").write_text("raise SystemExit(0)\n", "utf-8")
    done = polygraph("list", "--plugin", "rude.py")
    assert done.returncode == 4


@pytest.mark.parametrize(
    "argv",
    [
        (),
        ("tset", "etcd"),
        ("test",),
        ("test", "no-such-system"),
        ("check",),
        ("check", "no-such-file"),
        ("check", "-m", "no-such-model", "no-such-file"),
        ("export", "latest", "--format", "xml"),
        ("report", "latest"),
        ("list", "--nonsense"),
        ("list", "--plugin", "no-such-plugin.py"),
        ("soak", "etcd", "--nemesis", "kill", "--time-limit", "5", "--until-failure"),
    ],
    ids=" ".join,
)
def test_a_usage_error_ends_in_4(polygraph: Fixture, argv: tuple[str, ...]) -> None:
    done = polygraph(*argv)
    assert (done.returncode, done.stdout) == (4, "")
    assert done.stderr.startswith("polygraph: ")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "words"),
    [
        (signal.SIGINT, "interrupted"),
        (signal.SIGTERM, "stopped by SIGTERM"),
        (signal.SIGHUP, "stopped by SIGHUP"),
    ],
)
def test_being_stopped_ends_in_130_and_says_by_what(
    started: Fixture, history: str, toys: Fixture, number: int, words: str
) -> None:
    process = started("check", *toys, "-m", "waits", history, stderr=subprocess.PIPE)
    assert "begun\n" in process.stderr  # what shows the progress may have come before
    process.send_signal(number)
    _, told = process.communicate(timeout=250)
    assert process.returncode == 130
    assert told.splitlines()[-1] == f"polygraph: {words}"


@pytest.mark.slow
def test_a_reader_that_goes_away_is_no_verdict(started: Fixture, toys: Fixture) -> None:
    read_end, write_end = os.pipe()
    os.close(read_end)
    process = started("list", *toys, stdout=write_end, stderr=subprocess.PIPE)
    os.close(write_end)
    _, told = process.communicate(timeout=250)
    assert process.returncode == 3
    assert "Traceback" not in told


@pytest.mark.slow
def test_doctor_ends_in_0_exactly_if_a_provider_works(polygraph: Fixture) -> None:
    done = polygraph("doctor", "--json", "--store", "not/there/yet")
    findings = json.loads(done.stdout)
    works = any(found["ok"] for found in findings if found["name"] in NAMES)
    assert done.returncode == (0 if works else 3)


def test_doctor_ends_in_3_where_no_provider_works(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    refused = Finding("local:userns", ok=False, detail="forbidden", would_change="a sysctl")
    monkeypatch.setattr(doctor, "examine", lambda folder: [refused])
    assert run(["doctor"]) == 3
    assert "a sysctl" in capsys.readouterr().out


def test_heal_ends_in_0_where_there_was_nothing(polygraph: Fixture, tmp_path: Path) -> None:
    done = polygraph("heal", "--store", str(tmp_path / "no-store"))
    assert done.returncode == 0


def test_heal_ends_in_3_while_something_is_left(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(leftovers, "heal", lambda store, options: ["n2 is still cut off"])
    assert run(["heal"]) == 3
    assert "n2 is still cut off" in capsys.readouterr().err


def test_down_of_a_run_without_a_cluster_is_safe_twice(polygraph: Fixture, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "scenario.toml").write_text('system = "etcd"\n', "utf-8")
    assert [polygraph("down", "run").returncode for _ in range(2)] == [0, 0]
