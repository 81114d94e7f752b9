"""``make release`` on a copy of the tree: what it makes, and what it refuses."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from datetime import UTC, datetime
from pathlib import Path

import pytest

from harness import __version__

ROOT = Path(__file__).parents[1]
PARTS = ("harness", "checkers", "workloads", "nemeses", "systems", "images", "scripts")
FILES = ("pyproject.toml", "README.md", "LICENSE", "docker-compose.yml", "constraints.txt")
CHANGELOG = "# Changelog\n\n## Unreleased\n\n* Something new.\n\n## 0.0.1 - 2020-01-01\n\n* Old.\n"


def git(folder: Path, *words: str) -> None:
    """Run git, as somebody."""
    who = ["-c", "user.name=nobody", "-c", "user.email=nobody@example.org"]
    subprocess.run(["git", *who, *words], cwd=folder, check=True, capture_output=True)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A repository with what a release is made of, all of it committed."""
    folder = tmp_path / "tree"
    unwanted = shutil.ignore_patterns("__pycache__")
    for name in PARTS:
        shutil.copytree(ROOT / name, folder / name, ignore=unwanted)
    for name in FILES:
        shutil.copy(ROOT / name, folder)
    (folder / "CHANGELOG.md").write_text(CHANGELOG, "utf-8")
    (folder / ".gitignore").write_text("/dist/\n__pycache__/\n", "utf-8")
    git(folder, "init", "-q")
    commit(folder)
    return folder


def commit(folder: Path) -> None:
    """Commit all that is there."""
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", "all of it")


def release(folder: Path) -> subprocess.CompletedProcess[str]:
    """Release it, without a package index."""
    argv = [sys.executable, "scripts/release.py", "--lend"]
    return subprocess.run(argv, cwd=folder, capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_a_release_makes_both_archives_and_dates_the_changelog(tree: Path) -> None:
    before = datetime.now(UTC).date()
    done = release(tree)
    assert done.returncode == 0, done.stderr
    made = {path.name for path in (tree / "dist").iterdir()}
    stem = f"polygraph_db-{__version__}"
    assert made == {f"{stem}-py3-none-any.whl", f"{stem}.tar.gz"}
    days = {before.isoformat(), datetime.now(UTC).date().isoformat()}
    heading = f"## Unreleased\n\n## {__version__} - "
    assert (tree / "CHANGELOG.md").read_text("utf-8") in {
        CHANGELOG.replace("## Unreleased\n", f"{heading}{day}\n") for day in days
    }
    assert f"git tag v{__version__}" in done.stdout


@pytest.mark.slow
def test_a_wheel_that_does_not_work_is_not_released(tree: Path) -> None:
    main = tree / "harness/cli/main.py"
    main.write_text('raise SystemExit("broken")\n', "utf-8")
    commit(tree)
    done = release(tree)
    assert done.returncode == 1
    assert "broken" in done.stderr
    assert (tree / "CHANGELOG.md").read_text("utf-8") == CHANGELOG
    assert not (tree / "dist").exists()


def test_a_tree_with_changes_is_refused(tree: Path) -> None:
    (tree / "harness/new.py").write_text('"""New."""\n', "utf-8")
    done = release(tree)
    assert done.returncode == 1
    assert "not committed" in done.stderr
    assert "harness/new.py" in done.stderr


@pytest.mark.parametrize(
    ("changelog", "words"),
    [
        (CHANGELOG.replace("* Something new.\n", ""), "tells nothing that is unreleased"),
        (CHANGELOG.replace("## Unreleased\n", ""), "exactly one section"),
        (CHANGELOG.replace("0.0.1", __version__), f"a section of {__version__} already"),
    ],
)
def test_a_changelog_that_tells_nothing_new_is_refused(
    tree: Path, changelog: str, words: str
) -> None:
    (tree / "CHANGELOG.md").write_text(changelog, "utf-8")
    commit(tree)
    done = release(tree)
    assert done.returncode == 1
    assert words in done.stderr
    assert (tree / "CHANGELOG.md").read_text("utf-8") == changelog


def test_the_version_stands_in_one_place() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    assert "version" not in project["project"]
    assert project["project"]["dynamic"] == ["version"]
    assert project["tool"]["hatch"]["version"] == {"path": "harness/__init__.py"}
    said = re.compile(r"version.*" + re.escape(f'"{__version__}"'))
    sources = [p for name in PARTS for p in (ROOT / name).rglob("*.py")]
    assert [p.name for p in sources if said.search(p.read_text("utf-8"))] == ["__init__.py"]


def test_the_changelog_has_room_for_what_is_new() -> None:
    assert (ROOT / "CHANGELOG.md").read_text("utf-8").count("\n## Unreleased\n") == 1
