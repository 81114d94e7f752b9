"""A run is judged again from its folder alone, whatever became of the code that it named."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from harness.judge.judge import judge_run
from harness.plugins import Registry

PLUGIN = """
from harness.verdict.verdict import Verdict


class Own:
    name = "own"
    reads = frozenset({"history"})

    def __init__(self, options):
        pass

    def check(self, record, budget):
        return Verdict(valid=True)


CHECKERS = {"own": Own, "register": Own}
OVERRIDES = {"checkers": ["register"]}
"""
HEADER = {
    "polygraph": 1,
    "system": "mydb",
    "workload": "mywork",
    "model": "register",
    "claims": ["linearizable"],
}


@pytest.fixture
def run_dir(tmp_path: Path) -> Path:
    """A run of a system, a workload and a checker that a plug-in had brought."""
    folder = tmp_path / "run"
    (folder / "evidence").mkdir(parents=True)
    (folder / "scenario.toml").write_text(
        'system = "mydb"\nworkload = "mywork"\nnemesis = "mydb-kill"\nseed = 1\n'
        f'plugin = ["{tmp_path}/gone.py"]\nsynchronous = "off"\n'
    )
    lines: list[dict[str, Any]] = [HEADER]
    for index in range(80):
        kind, f = ("invoke", "ok")[index % 2], ("write", "read")[index // 2 % 2]
        value = None if (f, kind) == ("read", "invoke") else index // 4
        lines.append({"index": index, "time": index, "process": 0, "type": kind, "f": f})
        lines[-1]["value"] = value
    (folder / "history.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    facts = {
        "checkers": ["own", "register"],
        "checker_origins": {"own": str(tmp_path / "gone.py"), "register": "built in"},
        "claims_of": ["Registers"],
        "partial": False,
    }
    (folder / "evidence" / "run.json").write_text(json.dumps(facts))
    return folder


def test_a_checker_that_a_plugin_brought_is_not_run_and_what_it_said_is_told(run_dir: Path) -> None:
    recorded = {"valid": False, "checkers": {"own": {"valid": False, "why": "it was odd"}}}
    (run_dir / "verdict.json").write_text(json.dumps(recorded))
    verdict = judge_run(run_dir)
    own = verdict["checkers"]["own"]
    assert own["valid"] == "unknown"
    assert "gone.py" in own["why"]
    assert "it said invalid: it was odd" in own["why"]
    assert own["stats"]["recorded"] == recorded["checkers"]["own"]  # type: ignore[index]
    assert verdict["checkers"]["register"]["valid"] is True
    assert "(of Registers)" in verdict["why"]
    assert any("--plugin" in step["do"] for step in verdict["settle"])


def test_it_is_run_where_the_user_names_its_file(run_dir: Path, tmp_path: Path) -> None:
    plugin = tmp_path / "here.py"
    plugin.write_text(PLUGIN)
    verdict = judge_run(run_dir, registry=Registry((plugin,)))
    assert verdict["checkers"]["own"]["valid"] is True


def test_a_name_that_now_stands_for_another_checker_is_not_taken_for_it(
    run_dir: Path, tmp_path: Path
) -> None:
    plugin = tmp_path / "here.py"
    plugin.write_text(PLUGIN)
    verdict = judge_run(run_dir, registry=Registry((plugin,)))
    assert verdict["checkers"]["register"]["valid"] == "unknown"
    assert "came from built in" not in verdict["checkers"]["register"]["why"]


def test_the_file_that_the_scenario_names_is_not_even_read(run_dir: Path, tmp_path: Path) -> None:
    (tmp_path / "gone.py").write_text("raise SystemExit(7)")
    assert judge_run(run_dir)["checkers"]["own"]["valid"] == "unknown"


def test_another_place_and_a_lost_verdict_change_nothing(run_dir: Path, tmp_path: Path) -> None:
    before = judge_run(run_dir)
    moved = tmp_path / "elsewhere" / "run"
    shutil.copytree(run_dir, moved)
    shutil.rmtree(run_dir)
    after = judge_run(moved)
    assert after | {"notices": []} == before | {"notices": []}
    assert "--synchronous off" in before["reproduce"]
