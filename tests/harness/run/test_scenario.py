"""A scenario is one flat table that repeats exactly and refuses what it does not know."""

from __future__ import annotations

import shlex
import tomllib
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.contract.option import SystemOption
from harness.errors import UsageError
from harness.plugins import Found, Registry
from harness.run.scenario import resolve
from harness.store.scenario import Scenario, threads

STALE = SystemOption(name="serializable_reads", kind=bool, default=False, help="stale reads")
BINARY = SystemOption(name="binary", kind=Path, default=None, help="the program")
LIMIT = SystemOption(name="key_limit", kind=int, default=200, help="operations a key")


@pytest.fixture
def registry() -> Registry:
    def found(name: str, *options: SystemOption) -> Found:
        return Found(name, SimpleNamespace(options=options), "test")

    known: Mapping[Any, dict[str, Found]] = {
        "systems": {"etcd": found("etcd", STALE, BINARY)},
        "workloads": {"register": found("register", LIMIT), "bank": found("bank")},
        "nemeses": {name: found(name) for name in ("partition", "kill", "pause")},
    }
    return Registry(_cache=dict(known))


def test_defaults_are_those_of_the_manual(registry: Registry) -> None:
    scenario = resolve({"system": "etcd"}, registry)
    assert (scenario.rate, scenario.op_timeout, scenario.time_limit) == (200.0, 5.0, 60.0)
    assert (scenario.nemesis_interval, scenario.nemesis_duration) == (10.0, None)
    assert (scenario.recovery_timeout, scenario.threads) == (60.0, 20)
    assert scenario.options == {
        "serializable_reads": False,
        "binary": None,
        "key_limit": 200,
    }


def test_a_kept_scenario_runs_again_as_it_is(registry: Registry) -> None:
    table = {"system": "etcd", "nemesis": "kill, pause", "serializable_reads": True, "seed": 7}
    scenario = resolve(table, registry)
    again = resolve(tomllib.loads(scenario.to_toml({"etcd": "3.5.1"})), registry)
    assert again == scenario


@given(value=st.text(), number=st.floats(0.001, 1e9))
def test_toml_keeps_any_text_and_number(value: str, number: float) -> None:
    scenario = Scenario(system="etcd", rate=number, options={"binary": value})
    table = tomllib.loads(scenario.to_toml({}))
    assert (table["binary"], table["rate"]) == (value, number)


def test_the_command_repeats_what_differs_from_the_defaults(registry: Registry) -> None:
    table = {"system": "etcd", "nemesis": "partition", "time_limit": 15, "seed": 3}
    scenario = resolve({**table, "serializable_reads": True}, registry)
    words = shlex.split(scenario.command())
    assert words[:3] == ["polygraph", "test", "etcd"]
    for flag, value in (("--nemesis", "partition"), ("--time-limit", "15"), ("--seed", "3")):
        assert words[words.index(flag) + 1] == value
    assert "--serializable-reads" in words
    assert "--rate" not in words


def test_paths_stay_true_in_another_working_directory(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    scenario = resolve({"system": "etcd", "binary": "bin/etcd", "plugin": ["a.py"]}, registry)
    assert scenario.options["binary"] == str(tmp_path / "bin/etcd")
    assert scenario.plugin == (str(tmp_path / "a.py"),)


@given(interval=st.floats(0.001, 1e7, allow_nan=False), rate=st.floats(0.001, 1e7, allow_nan=False))
def test_the_command_keeps_every_digit(interval: float, rate: float) -> None:
    scenario = Scenario(system="etcd", nemesis_interval=interval, rate=rate)
    words = [*shlex.split(scenario.command()), "--nemesis-interval", "10.0", "--rate", "200.0"]
    assert float(words[words.index("--nemesis-interval") + 1]) == interval
    assert float(words[words.index("--rate") + 1]) == rate


def test_one_plug_in_may_stand_alone_in_a_scenario(registry: Registry, tmp_path: Path) -> None:
    scenario = resolve({"system": "etcd", "plugin": str(tmp_path / "a b.py")}, registry)
    assert scenario.plugin == (str(tmp_path / "a b.py"),)


def test_an_unknown_key_is_refused_with_the_nearest_name(registry: Registry) -> None:
    with pytest.raises(UsageError, match="serializable_reads"):
        resolve({"system": "etcd", "serialisable_reads": True}, registry)


@pytest.mark.parametrize(
    "table",
    [
        {"rate": 0},
        {"nodes": 0},
        {"nodes": 2.5},
        {"rate": "nan"},
        {"time_limit": "inf"},
        {"op_timeout": "nan"},
        {"recovery_timeout": "nan"},
        {"recovery_timeout": -1},
        {"plugin": 5},
        {"time_limit": -1},
        {"concurrency": "n3"},
        {"concurrency": "0n"},
        {"rate": "fast"},
        {"journal": "never"},
        {"key_limit": "many"},
        {"workload": "bnak"},
        {"nemesis": "kill,pasue"},
        {"nemesis": "kill,pause,kill"},
        {"nemesis": "none,kill"},
        {"nemesis_duration": 0},
    ],
)
def test_impossible_values_are_usage_errors(registry: Registry, table: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        resolve({"system": "etcd", **table}, registry)


def test_more_nodes_than_a_cluster_has_are_refused_before_a_run_is_made(registry: Registry) -> None:
    with pytest.raises(UsageError, match="--nodes 300: a cluster has at most 200"):
        resolve({"system": "etcd", "nodes": 300}, registry)


def test_no_seed_draws_one_that_is_kept(registry: Registry) -> None:
    first, second = (resolve({"system": "etcd"}, registry) for _ in range(2))
    assert first.seed != second.seed
    assert f"--seed {first.seed}" in first.command()


@pytest.mark.parametrize(("text", "count"), [("20", 20), ("3n", 15), (" 1n ", 5)])
def test_concurrency_is_a_number_or_times_the_nodes(text: str, count: int) -> None:
    assert threads(text, 5) == count
