"""The wheel holds all that an installed Polygraph needs, and nothing of the checkout is used."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

PROGRAM = """
import sys
sys.path.insert(0, sys.argv[1])
from harness.cli.main import run
code = run(["list", "--json"])
import harness
sys.stderr.write(harness.__file__)
sys.exit(code)
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from this tree with the build backend that is installed."""
    out = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out)]
    subprocess.run([*build, str(ROOT)], check=True, capture_output=True)
    return next(out.glob("*.whl"))


@pytest.mark.slow
def test_the_five_packages_are_inside_and_no_tests(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        tops = {name.split("/")[0] for name in archive.namelist()}
    packages = {top for top in tops if not top.endswith(".dist-info")}
    assert packages == {"harness", "checkers", "workloads", "nemeses", "systems"}


def test_every_file_of_the_packages_is_inside(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        inside = set(archive.namelist())
    assets = ROOT / "harness" / "report" / "assets"
    expected = {
        path.relative_to(ROOT).as_posix()
        for path in assets.rglob("*")
        if path.is_file() and path.parent.name != "__pycache__"  # which each installation makes
    }
    assert expected
    assert expected - inside == set()
    images = {f"images/{path.name}" for path in (ROOT / "images").iterdir()}
    docker = {f"harness/cluster/assets/{name}" for name in (*images, "docker-compose.yml")}
    assert docker - inside == set()
    programs = {p.relative_to(ROOT).as_posix() for p in (ROOT / "harness").rglob("hands/*")}
    assert {name for name in programs if "__pycache__" not in name} - inside == set()


@pytest.mark.slow
def test_list_works_from_an_unpacked_wheel(wheel: Path, tmp_path: Path) -> None:
    site = tmp_path / "site"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(site)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "etcd" in json.loads(done.stdout)["systems"]
    assert done.stderr.startswith(str(site))
