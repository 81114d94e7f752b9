"""The skeletons in the pages for contributors are whole: they pass lint and types, and they run."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from harness.history.ledger import read_ledger
from tests.docs.pages import ROOT, commands, files, lay_out, run

WORKLOAD, FAULT, CHECKER = (f"docs/add-a-{kind}.md" for kind in ("workload", "fault", "checker"))
PAGES = (WORKLOAD, FAULT, CHECKER, "docs/tutorial.md", "docs/your-database.md")


@pytest.fixture
def laid_out(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A folder with the files of the page that the test is given."""
    lay_out(request.param, tmp_path)
    return tmp_path


def of(page: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("laid_out", [page], indirect=True, ids=[Path(page).stem])


@pytest.mark.parametrize("page", PAGES)
def test_a_skeleton_is_as_lint_wants_it(page: str, tmp_path: Path) -> None:
    lay_out(page, tmp_path)
    named = [str(tmp_path / name) for name in files(page) if name.endswith(".py")]
    assert named
    for verb in (["check"], ["format", "--check"]):
        asked = [sys.executable, "-m", "ruff", *verb, "--config", ROOT / "pyproject.toml", *named]
        done = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
def test_the_skeletons_have_types(tmp_path: Path) -> None:
    named = []
    for page in PAGES:
        for name, text in files(page).items():
            if name.endswith(".py"):
                (tmp_path / name).write_text(text, "utf-8")
                named.append(str(tmp_path / name))
    asked = [sys.executable, "-m", "mypy", "--follow-imports=silent", *named]
    done = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
@of(CHECKER)
def test_the_checker_judges_as_its_page_says(laid_out: Path) -> None:
    codes = [command.exit_code for command in commands(CHECKER)]
    assert codes == [0, 1, 0, 0, 0]
    for command in commands(CHECKER):
        run(command, laid_out)


@pytest.mark.cluster
@of(WORKLOAD)
def test_the_workload_is_valid_on_sound_registers_and_invalid_on_stale_ones(
    laid_out: Path,
) -> None:
    sound, broken = commands(WORKLOAD)
    assert (sound.exit_code, broken.exit_code) == (0, 1)
    run(sound, laid_out)
    told = verdict_in(laid_out)
    assert told["valid"] is True
    assert min(told["operations"][f]["ok"] for f in ("read", "write")) >= 5
    run(broken, laid_out)
    assert "stale-read" in verdict_in(laid_out)["checkers"]["linearizable"]["anomaly_types"]


@pytest.mark.cluster
@of(FAULT)
def test_the_fault_bites_and_is_healed(laid_out: Path) -> None:
    command, _ = commands(FAULT)
    run(command, laid_out)
    assert verdict_in(laid_out)["faults"]["descriptors"] == {"injected": 1, "bit": 1, "healed": 1}
    logs = (laid_out / "store/latest/nodes").glob("*/etcd.log")
    assert "too many open files" in "".join(log.read_text("utf-8") for log in logs)


@pytest.mark.cluster
@of(FAULT)
def test_the_armed_fault_strikes_at_its_milestone_and_the_action_after_it(laid_out: Path) -> None:
    _, command = commands(FAULT)
    run(command, laid_out)
    entries = read_ledger(laid_out / "store/latest/faults.jsonl")
    steps = [(entry.fault, entry.event) for entry in entries]
    armed = steps.index(("descriptors", "intend"))
    assert armed < steps.index(("admin", "intend")) < steps.index(("descriptors", "fire"))
    assert steps.index(("descriptors", "healed")) < steps.index(("sync", "done"))
    (injected,) = [e for e in entries if (e.fault, e.event) == ("descriptors", "injected")]
    assert injected.detail["shot_ns"] <= injected.time


def verdict_in(folder: Path) -> dict[str, object]:
    """The verdict of the latest run in a folder's store."""
    found: dict[str, object] = json.loads((folder / "store/latest/verdict.json").read_text("utf-8"))
    return found
