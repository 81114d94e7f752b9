"""The tutorial and the page on one's own database do what they say, command by command."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
import yaml

from harness.cli.main import run as polygraph
from tests.docs.pages import commands, files, lay_out, run

TUTORIAL, YOURS = "docs/tutorial.md", "docs/your-database.md"


@pytest.mark.cluster
def test_the_tutorial_leads_to_a_verdict_that_turns(tmp_path: Path) -> None:
    lay_out(TUTORIAL, tmp_path)
    found = commands(TUTORIAL)
    assert [command.exit_code for command in found if command.argv[1] == "test"] == [0, 0, 1]
    for command in found:
        run(command, tmp_path)


def test_the_job_of_the_tutorial_asks_for_what_there_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lay_out(TUTORIAL, tmp_path)
    job = yaml.safe_load(files(TUTORIAL)["polygraph.yml"])["jobs"]["soak"]
    (said,) = (step["run"] for step in job["steps"] if "soak" in step.get("run", ""))
    program, verb, system, *flags = shlex.split(said)
    asked = dict(zip(flags[::2], flags[1::2], strict=True))
    monkeypatch.chdir(tmp_path)
    assert polygraph([verb, "--help"]) == 0
    assert asked.keys() <= set(re.findall(r"--[a-z-]+", capsys.readouterr().out))
    assert polygraph(["validate", asked["--scenario"], "--plugin", asked["--plugin"]]) == 0
    assert f"the same as: {program} test {system} " in capsys.readouterr().out
    kept = job["steps"][-1]["with"]["path"].split()
    assert kept == [asked["--junit"], asked["--artifacts"]]


@pytest.mark.cluster
def test_the_verdict_on_a_database_file_turns_with_the_mistake(tmp_path: Path) -> None:
    lay_out(YOURS, tmp_path)
    sound, broken = (command for command in commands(YOURS) if command.argv[1] == "test")
    assert (sound.exit_code, broken.exit_code) == (0, 1)
    for command in (sound, broken):
        run(command, tmp_path)


@pytest.mark.slow
def test_the_speaker_finds_the_mistake_that_the_page_tells_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (asked,) = (command.argv[1:] for command in commands(YOURS) if command.argv[1] == "conform")
    client = files(TUTORIAL)["notes_system.py"]
    for name, text in (
        ("right", client),
        ("wrong", client.replace("answer.length is None", "False")),
    ):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "notes_system.py").write_text(text, "utf-8")
        (folder / "notes_speaker.py").write_text(files(YOURS)["notes_speaker.py"], "utf-8")
    monkeypatch.chdir(tmp_path / "right")
    assert polygraph(list(asked)) == 0
    monkeypatch.chdir(tmp_path / "wrong")
    assert polygraph([*asked, "--only", "write"]) == 1
    assert "it became ok (null) where only info is right" in capsys.readouterr().out
