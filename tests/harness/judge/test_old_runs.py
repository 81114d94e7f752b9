"""Runs of earlier versions are still judged, shown and exported as when they were made.

The folders of ``tests/data/runs`` are kept as they were written; ``tests/data/README.md`` says by
what. Their system was a plug-in that is not there any more.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.cli.main import run
from harness.history.history import History
from harness.history.reader import read_history
from harness.history.seal import find_history
from harness.judge.judge import judge_run
from harness.plugins import Registry
from harness.report import render
from harness.run.scenario import resolve
from harness.run.schedule_file import from_json
from harness.store.scenario import recorded, recorded_table

RUNS = Path(__file__).parents[2] / "data" / "runs"
NAMES = sorted(path.name for path in RUNS.iterdir())


@pytest.fixture(params=NAMES)
def old(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A copy of the folder of an old run."""
    return Path(shutil.copytree(RUNS / request.param, tmp_path / request.param))


def essence(verdict: dict[str, Any]) -> dict[str, Any]:
    """What of a verdict stays the same, whatever is worded better."""
    parts = {name: (each["valid"], each["why"]) for name, each in verdict["checkers"].items()}
    anomalies = {name: each.get("anomaly_types") for name, each in verdict["checkers"].items()}
    grave = [(each["check"], each["level"]) for each in verdict["health"]]
    kept = ("valid", "why", "claims", "seed", "operations", "faults", "partial")
    return {key: verdict[key] for key in kept} | {
        "parts": parts,
        "anomalies": anomalies,
        "health": grave,
        "unsettled": [each["about"] for each in verdict["settle"]],
    }


def test_there_are_old_runs_of_every_verdict() -> None:
    said = {json.loads((RUNS / name / "verdict.json").read_text())["valid"] for name in NAMES}
    assert said == {True, False, "unknown"}


def test_an_old_run_is_judged_as_it_was(old: Path) -> None:
    before = json.loads((old / "verdict.json").read_text())
    (old / "verdict.json").unlink()
    assert essence(judge_run(old)) == essence(before)


@pytest.mark.slow
def test_an_old_run_is_reported(old: Path) -> None:
    page = render(old).read_text()
    verdict = json.loads((old / "verdict.json").read_text())
    told = [finding["message"] for finding in verdict["health"]]
    for words in told if verdict["valid"] == "unknown" else [verdict["why"]]:
        assert words.split("'")[0][:40] in page


def test_an_old_run_repeats_by_its_scenario(old: Path) -> None:
    scenario = recorded(recorded_table(old))
    assert scenario.command().startswith("polygraph test memory --workload register")
    assert f"--seed {scenario.seed}" in scenario.command()


def test_an_old_scenario_resolves_again_with_its_plug_in(old: Path) -> None:
    plugin = RUNS.parents[2] / "tests/toys/memory_system.py"
    table = {**recorded_table(old), "plugin": [str(plugin)]}
    again = resolve(table, Registry([plugin]))
    before = recorded(table)
    assert again.options.items() >= before.options.items()  # there may be new ones
    assert replace(again, options=before.options) == before


def test_an_old_schedule_is_the_one_that_the_nemesis_went_by(old: Path) -> None:
    plan = json.loads((old / "evidence" / "run.json").read_text())["schedule"]
    planned = [each.f for each in from_json(plan).operations()] if plan else []
    history = read_history(find_history(old))
    begun = [each.f for place, each in enumerate(history) if _opens(history, place)]
    assert planned[: len(begun)] == begun
    assert bool(planned) == bool(begun)


def _opens(history: History, place: int) -> bool:
    return not history.operations[place].is_client and history.pairs[place] not in range(place)


def test_an_old_run_is_checked_and_exported_by_the_command_line(
    old: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = json.loads((old / "verdict.json").read_text())["valid"]
    run(("check", str(old)))
    assert capsys.readouterr().out.strip().endswith(f"\t{str(said).lower()}")
    for notation in ("jsonl", "edn", "json"):
        out = old / f"out.{notation}"
        assert run(("export", str(old), "--format", notation, "-o", str(out))) == 0
        assert read_history(out).outcomes == read_history(find_history(old)).outcomes


def test_an_old_history_has_all_its_operations(old: Path) -> None:
    history = read_history(find_history(old))
    said = json.loads((old / "verdict.json").read_text())
    assert history.outcomes == said["operations"]
    assert history.partial == said["partial"]
