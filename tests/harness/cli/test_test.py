"""``polygraph test``: flags of ours and of the system, their twins, and the words at the end."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

import harness.run.front
from harness.cli.main import run
from harness.run.front import Outcome
from harness.store.scenario import Scenario

TOYS = str(Path(__file__).parents[2] / "toys/toy_plugin.py")
BASE = ("test", "toy", "--workload", "toy-work", "--plugin", TOYS)

VERDICT: Mapping[str, Any] = {
    "valid": False,
    "why": "toy: two cases",
    "claims": ["strict-serializable"],
    "operations": {"read": {"ok": 5, "fail": 0, "info": 1}},
    "faults": {"partition": {"injected": 2, "bit": 2, "healed": 2}},
    "checkers": {
        "toy": {"anomalies": {"stale-read": [{"message": "first \x1b[2J proof"}, {"message": "b"}]}}
    },
}


class Front:
    """Stands for ``harness.run.front.run``: keeps what it is given, answers as told."""

    def __init__(self, run_dir: Path) -> None:
        self.run_dir = run_dir
        self.scenario = Scenario(system="none")
        self.store = Path()
        self.agreed = False
        self.answer: Callable[[], Outcome] = lambda: Outcome(1, run_dir, VERDICT, "")

    def __call__(
        self, scenario: Scenario, store: Path, on_event: Any, registry: Any, agrees: Any
    ) -> Outcome:
        """As the front's."""
        self.scenario, self.store = scenario, store
        self.agreed = agrees("that is another's")
        on_event({"event": "phase", "time_ns": 0, "name": "begin", "run_dir": str(self.run_dir)})
        return self.answer()


@pytest.fixture
def front(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Front:
    stand_in = Front(tmp_path / "run")
    monkeypatch.setattr(harness.run.front, "run", stand_in)
    return stand_in


def test_without_flags_the_scenario_has_the_documented_defaults(front: Front) -> None:
    run(BASE)
    scenario = front.scenario
    assert (scenario.rate, scenario.op_timeout, scenario.nemesis_interval) == (200, 5, 10)
    assert (scenario.nemesis_duration, scenario.recovery_timeout) == (None, 60)
    assert (scenario.time_limit, scenario.threads, scenario.nodes) == (60, 20, 5)
    assert front.store == Path("store")


def test_flags_of_system_and_workload_are_flags_of_test(front: Front) -> None:
    run((*BASE, "--stale-reads", "--shards", "9", "--keys=4"))
    assert front.scenario.options == {"stale_reads": True, "shards": 9, "keys": 4}


def test_a_value_of_a_systems_flag_is_not_taken_for_the_system(front: Front) -> None:
    run(("test", "--plugin", TOYS, "--workload", "toy-work", "--shards", "9", "toy"))
    assert (front.scenario.system, front.scenario.options["shards"]) == ("toy", 9)


def test_the_flags_of_a_system_stand_in_its_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert run((*BASE, "--help")) == 0
    told = capsys.readouterr().out
    assert "--stale-reads / --no-stale-reads" in told
    assert "--shards N" in told
    assert "--keys N" in told


def test_an_unknown_flag_names_the_nearest_of_the_systems_own(
    front: Front, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run((*BASE, "--stale-read")) == 4
    assert "did you mean --stale-reads" in capsys.readouterr().err


def test_a_value_of_the_wrong_kind_is_refused(front: Front) -> None:
    assert run((*BASE, "--shards", "many")) == 4


def test_every_flag_has_its_twin_in_the_environment(
    front: Front, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("POLYGRAPH_STORE", str(tmp_path / "elsewhere"))
    monkeypatch.setenv("POLYGRAPH_SEED", "11")
    monkeypatch.setenv("POLYGRAPH_SHARDS", "7")
    monkeypatch.setenv("POLYGRAPH_TIME_LIMIT", "30")
    run((*BASE, "--time-limit", "20"))
    assert front.store == tmp_path / "elsewhere"
    assert (front.scenario.seed, front.scenario.options["shards"]) == (11, 7)
    assert front.scenario.time_limit == 20


def test_a_scenario_file_is_overruled_by_flags(front: Front, tmp_path: Path) -> None:
    path = tmp_path / "scenario.toml"
    path.write_text(
        f'system = "toy"\nworkload = "toy-work"\nplugin = ["{TOYS}"]\nshards = 8\nrate = 9\n'
    )
    run(("test", "--scenario", str(path), "--rate", "10"))
    assert (front.scenario.options["shards"], front.scenario.rate) == (8, 10)
    run(("test", "--scenario", str(path), "--shards", "4"))  # a value, and no system
    assert (front.scenario.system, front.scenario.options["shards"]) == ("toy", 4)


def test_the_reproduce_command_is_accepted_and_means_the_same(front: Front) -> None:
    run((*BASE, "--stale-reads", "--time-limit", "3", "--concurrency", "2n", "--seed", "5"))
    first = front.scenario
    run(first.command().split()[1:])
    assert front.scenario == first


def test_the_end_tells_verdict_proof_run_and_repetition(
    front: Front, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run((*BASE, "--seed", "5")) == 1
    told = capsys.readouterr().out
    assert "INVALID  toy: two cases" in told
    assert "stale-read (1 of 2)" in told
    assert str(front.run_dir) in told
    assert front.scenario.command() in told


def test_foreign_text_cannot_drive_the_terminal(
    front: Front, capsys: pytest.CaptureFixture[str]
) -> None:
    run(BASE)
    told = capsys.readouterr().out
    assert "\x1b" not in told
    assert "first \\x1b[2J proof" in told


def test_only_who_says_so_agrees_where_nobody_can_be_asked(
    front: Front, capsys: pytest.CaptureFixture[str]
) -> None:
    run(BASE)
    assert not front.agreed
    run([*BASE, "--yes"])
    assert front.agreed
    assert "polygraph: that is another's" in capsys.readouterr().err
    assert "yes" not in front.scenario.flat()


def test_json_is_the_verdict_alone(front: Front, capsys: pytest.CaptureFixture[str]) -> None:
    run((*BASE, "--json"))
    assert json.loads(capsys.readouterr().out) == VERDICT


def test_after_a_defect_the_run_folder_is_named(
    front: Front, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail() -> Outcome:
        raise RuntimeError("the front fell over")

    front.answer = fail
    assert run(BASE) == 3
    assert f"the run is in {front.run_dir}" in capsys.readouterr().err
