"""What ``polygraph init`` writes is run: it holds, and it is found out when it is broken."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from harness.cli.init import KINDS, written
from harness.cli.main import run
from tests.places import PLACES, Place, furnish

ROOT = Path(__file__).parents[3]
KIND_ON = {"docker": "command", "ssh": "http"}


def without_twins(**more: str) -> dict[str, str]:
    """The environment without any twin of a flag."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("POLYGRAPH_")}
    return {**kept, **more}


@pytest.mark.cluster
@pytest.mark.userns
@pytest.mark.parametrize(
    ("kind", "provider"),
    [
        ("http", "local"),
        ("http", "local:plain"),
        ("command", "local"),
        ("sql", "local"),
        ("redis", "local"),
    ],
)
def test_all_of_it_runs_at_once(kind: str, provider: str, tmp_path: Path) -> None:
    all_of_it_runs(kind, Place(provider), tmp_path)


@pytest.mark.cluster
@pytest.mark.parametrize("place", [each for each in PLACES if each.id in KIND_ON])
def test_all_of_it_runs_where_nodes_are_other_machines(place: Place, tmp_path: Path) -> None:
    all_of_it_runs(KIND_ON[place.provider], place, tmp_path)


def all_of_it_runs(kind: str, place: Place, tmp_path: Path) -> None:
    assert run(("init", "shop", "--kind", kind, "--into", str(tmp_path / "shop"))) == 0
    asked = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_shop.py"]
    with furnish(place, tmp_path) as options:
        twins = {f"POLYGRAPH_{name.upper()}": value for name, value in options.items()}
        environment = without_twins(POLYGRAPH_PROVIDER=place.provider, **twins)
        done = subprocess.run(
            asked, cwd=tmp_path / "shop", env=environment, capture_output=True, text=True
        )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "3 passed" in done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_it_is_as_lint_wants_it_whatever_its_name(kind: str, tmp_path: Path) -> None:
    for file, text in written("a-longer-name", kind).items():
        (tmp_path / file).write_text(text, "utf-8")
        assert "my-service" not in text
        assert "#" not in text or not any(mark in text for mark in ("#CONFORM", "#CLIENT"))
    for verb in (["check"], ["format", "--check"]):
        asked = [sys.executable, "-m", "ruff", *verb, "--config", ROOT / "pyproject.toml", tmp_path]
        done = subprocess.run(asked, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr


def test_nothing_is_written_over(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "shop").mkdir()
    assert run(("init", "shop", "--into", str(tmp_path / "shop"))) == 3
    assert "cannot make" in capsys.readouterr().err
    assert list((tmp_path / "shop").iterdir()) == []


def test_a_name_that_is_none_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(("init", "My Service")) == 4
    assert "small letters and dashes" in capsys.readouterr().err
