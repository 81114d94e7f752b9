"""``replay`` and ``shrink`` as commands: what is refused, and a real failure without a fault."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from harness.run.schedule_file import read_lines
from harness.store.scenario import read_toml

Fixture = Any

MEMORY = ("memory", "--plugin", str(Path(__file__).parents[2] / "toys/memory_system.py"))


@pytest.fixture
def run_dir(tmp_path: Path) -> Path:
    """The folder of a run that found nothing, and names a plug-in."""
    folder = tmp_path / "was"
    folder.mkdir()
    plugin = json.dumps([MEMORY[2]])
    (folder / "scenario.toml").write_text(f'system = "memory"\nplugin = {plugin}\n')
    (folder / "verdict.json").write_text('{"valid": true, "checkers": {}}')
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    (foreign / "scenario.toml").write_text('system = "etcd"\nclient = "./theirs"\n')
    return folder


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (("replay", "nothing"), "there is no run 'nothing'"),
        (("replay", "was"), "names the plug-in"),
        (("replay", "was", *MEMORY[1:], "--confidence", "2"), "between 0 and 1"),
        (("replay", "foreign"), "would start or read: client ./theirs"),
        (("shrink", "foreign"), "would start or read: client ./theirs"),
        (("shrink", "was", *MEMORY[1:]), "found no anomaly"),
        (("shrink", "--resume", "was"), "is not the folder of a shrink"),
    ],
)
def test_what_is_impossible_is_refused_before_any_run(
    polygraph: Fixture, tmp_path: Path, run_dir: Path, argv: tuple[str, ...], said: str
) -> None:
    done = polygraph(*argv)
    assert done.returncode == 4, done.stderr
    assert said in done.stderr
    assert not (tmp_path / "store" / "soaks").exists()


@pytest.mark.cluster
def test_a_failure_that_needs_no_fault_is_replayed_and_shrunk_to_none(
    polygraph: Fixture, tmp_path: Path
) -> None:
    """Stale reads of a toy that is always stale, in a run with a pause: every run shows them."""
    short = ("--nodes", "1", "--time-limit", "3.5", "--store", "store")
    (tmp_path / "one.jsonl").write_text('{"fault": "pause", "at_s": 1, "lasts_s": 0.5}\n')
    first = polygraph("test", *MEMORY, *short, "--schedule", "one.jsonl", "--misbehave", "stale")
    assert first.returncode == 1, first.stderr
    plugin = ("--store", "store", *MEMORY[1:])
    again = polygraph("replay", "latest", "--runs", "1", *plugin)
    assert again.returncode == 1, again.stderr
    assert "the same again (linearizable: " in again.stdout
    assert ": 1 of 1 runs" in again.stdout
    done = polygraph(
        "shrink", "latest", *plugin, "--parallel", "4", "--stages", "faults", "-o", "small.toml"
    )
    assert done.returncode == 0, done.stderr
    assert "1 faults became 0: no fault" in done.stdout
    table = read_toml(tmp_path / "small.toml")
    assert (table["nemesis"], read_lines(tmp_path / "small.toml").faults) == ("", [])
    (folder,) = (tmp_path / "store" / "shrinks").iterdir()
    result = json.loads((folder / "shrink.json").read_text())["result"]
    assert result["reference"] == {"runs": 4, "failures": 4}
    assert [step["decision"] for step in result["steps"]] == ["kept"]
    assert polygraph("validate", "small.toml", *MEMORY[1:]).returncode == 0
