"""Scenario files: shipped ones run, wrong ones are told before anything starts."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from harness.cli.main import run
from harness.scenarios import shipped


@pytest.mark.parametrize("name", sorted(shipped()))
def test_every_shipped_scenario_would_run(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(("validate", name)) == 0
    assert "polygraph test " in capsys.readouterr().out


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('system = "etcd"\nserialisable_reads = true\n', "serializable_reads"),
        (
            'system = "etcd"\nnemesis = "kill"\ntime_limit = 5\n',
            "--time-limit 12, or --nemesis-interval 3",
        ),
        ('system = "etcd"\nrate = "fast"\n', "rate"),
        ('system = "etcd\n', "TOML"),
        ('workload = "register"\n', "names no system"),
        ('system = "etcd"\nconsistency_models = "serialisable"\n', "serializable"),
    ],
)
def test_a_wrong_scenario_is_told_and_ends_in_4(
    text: str, told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "wrong.toml"
    path.write_text(text)
    assert run(("validate", "etcd-quick", str(path))) == 4
    captured = capsys.readouterr()
    assert "etcd-quick: valid" in captured.out
    assert told in captured.err


def test_an_unknown_shipped_scenario_suggests_the_nearest(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(("test", "--scenario", "etcd-honst")) == 4
    assert "etcd-honest" in capsys.readouterr().err


def test_print_config_is_a_scenario_that_means_the_same(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = ("--nemesis", "kill", "--rate", "33", "--seed", "5", "--serializable-reads")
    assert run(("test", "etcd", *flags, "--print-config")) == 0
    printed = capsys.readouterr().out
    path = tmp_path / "scenario.toml"
    path.write_text(printed)
    assert run(("test", "--scenario", str(path), "--print-config")) == 0
    assert capsys.readouterr().out == printed
    assert tomllib.loads(printed)["rate"] == 33


def test_the_command_line_wins_over_the_environment_and_that_over_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "scenario.toml"
    path.write_text('system = "etcd"\nrate = 1\nop_timeout = 1\ntime_limit = 1\n')
    monkeypatch.setenv("POLYGRAPH_RATE", "2")
    monkeypatch.setenv("POLYGRAPH_OP_TIMEOUT", "2")
    asked = ("test", "--scenario", str(path), "--rate", "3", "--print-config", "--seed", "1")
    assert run(asked) == 0
    table = tomllib.loads(capsys.readouterr().out)
    assert (table["rate"], table["op_timeout"], table["time_limit"]) == (3, 2, 1)
