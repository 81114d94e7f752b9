"""The workflows of docs/ci: their commands are whole, and name only what there is.

``scripts/ci_commands.py`` runs them in a clean container.
"""

from __future__ import annotations

import importlib.util
import re
import shlex
import subprocess
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

from harness.cli.main import run
from harness.scenarios import shipped

ROOT = Path(__file__).parents[1]
WORKFLOWS = sorted((ROOT / "docs" / "ci").glob("*.yml"))


@pytest.fixture(scope="module")
def ci_commands() -> ModuleType:
    """The script as a module."""
    spec = importlib.util.spec_from_file_location("ci_commands", ROOT / "scripts/ci_commands.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def loaded(file: Path) -> Any:
    return yaml.safe_load(file.read_text("utf-8"))


def test_there_is_one_for_github_and_one_for_gitlab() -> None:
    assert [file.stem for file in WORKFLOWS] == ["github-nightly", "gitlab-nightly"]


@pytest.mark.parametrize("file", WORKFLOWS, ids=lambda file: str(file.stem))
def test_the_script_of_a_workflow_is_sound_and_short(file: Path, ci_commands: ModuleType) -> None:
    script = ci_commands.script(loaded(file), "60s")
    subprocess.run(["bash", "-n"], input=script, text=True, check=True)
    assert "--duration 60s" in script
    assert "90m" not in script
    assert ci_commands.uploads(loaded(file)) == ["polygraph-artifacts", "polygraph.xml"]


@pytest.mark.parametrize("file", WORKFLOWS, ids=lambda file: str(file.stem))
def test_the_soak_of_a_workflow_asks_for_what_there_is(
    file: Path, ci_commands: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    commands = " ; ".join(ci_commands.steps(loaded(file)))
    words = shlex.split(commands.replace("\\\n", " "))
    start = words.index("soak")
    assert words[start - 1].endswith("/polygraph")
    soak = words[start:]
    assert soak[soak.index("--scenario") + 1] in shipped()
    assert run(["soak", "--help"]) == 0
    known = set(re.findall(r"--[a-z-]+", capsys.readouterr().out))
    assert {word for word in soak if word.startswith("--")} <= known
