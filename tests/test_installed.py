"""The wheel, installed into an empty virtual environment, works in an empty folder.

Its dependencies are those that are installed here: a path file lends them, so that no package
index is needed, and what the checkout holds stays out of reach.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from tests.disturbance import undisturbed

ROOT = Path(__file__).parents[1]
Run = Callable[..., subprocess.CompletedProcess[str]]

TOY = """
from systems.etcd import Etcd
class Toy(Etcd):
    name = "toy"
SYSTEMS = {"toy": Toy}
"""


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment with nothing but the wheel in it."""
    folder = tmp_path_factory.mktemp("installed")
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder)]
    subprocess.run([*build, str(ROOT)], check=True, capture_output=True)
    place = folder / "venv"
    venv.create(place, with_pip=False)
    [wheel] = folder.glob("*.whl")
    pip = [sys.executable, "-m", "pip", "--python", str(place / "bin" / "python"), "install"]
    subprocess.run([*pip, "-q", "--no-deps", "--no-index", str(wheel)], check=True)
    (site_of(place) / "lent.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return place


def site_of(environment: Path) -> Path:
    """Where it keeps its packages."""
    [found] = environment.glob("lib/python*/site-packages")
    return found


@pytest.fixture
def polygraph(environment: Path, tmp_path: Path) -> Run:
    """The installed command, in an empty folder."""
    empty = tmp_path / "empty"
    empty.mkdir()

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        env = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
        argv = [str(environment / "bin" / "polygraph"), *words]
        return subprocess.run(argv, cwd=empty, env=env, capture_output=True, text=True, timeout=280)

    return run


@pytest.mark.slow
def test_nothing_of_the_checkout_is_used(environment: Path) -> None:
    program = "import harness, systems; print(harness.__file__, systems.__file__)"
    argv = [str(environment / "bin" / "python"), "-P", "-c", program]
    clean = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    done = subprocess.run(argv, cwd="/", env=clean, capture_output=True, text=True, check=True)
    assert all(word.startswith(str(environment)) for word in done.stdout.split())


@pytest.mark.slow
def test_doctor_list_and_help_work(polygraph: Run) -> None:
    assert polygraph("doctor").returncode in (0, 3)
    assert "etcd" in json.loads(polygraph("list", "--json").stdout)["systems"]
    assert "--docker-image" in polygraph("test", "etcd", "--provider", "docker", "--help").stdout


@pytest.mark.cluster
@pytest.mark.parametrize(
    "provider",
    [
        pytest.param("local:root", marks=pytest.mark.root),
        pytest.param("local:userns", marks=pytest.mark.userns),
        "local:plain",
        pytest.param("docker", marks=pytest.mark.docker),
    ],
)
def test_a_run_and_a_check_of_its_history_work(
    polygraph: Run, tmp_path: Path, provider: str
) -> None:
    asked = ["--provider", provider, "--nodes", "3", "--time-limit", "3"]
    argv = ("test", "etcd", *asked, "--json", "--store", "kept")
    done = undisturbed(lambda: polygraph(*argv), tmp_path / "empty" / "kept")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["valid"] is True
    checked = polygraph("check", "latest", "--store", "kept")
    assert checked.returncode == 0, checked.stderr
    assert checked.stdout.rstrip().endswith("\ttrue")


@pytest.mark.cluster
@pytest.mark.userns
def test_a_system_of_another_package_or_of_a_file_runs(
    polygraph: Run, environment: Path, tmp_path: Path
) -> None:
    site = site_of(environment)
    information = site / "toy_package-1.0.dist-info"
    information.mkdir()
    (site / "toy_package.py").write_text(TOY)
    (information / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: toy-package\nVersion: 1.0\n"
    )
    (information / "entry_points.txt").write_text("[polygraph.systems]\ntoy = toy_package:Toy\n")
    file = tmp_path / "mine.py"
    file.write_text(TOY.replace("toy", "mine"))
    asked = ["--provider", "local:userns", "--nodes", "1", "--time-limit", "2"]
    for words in (["toy"], ["mine", "--plugin", str(file)]):
        run = partial(polygraph, "test", *words, *asked, "--json")
        done = undisturbed(run, tmp_path / "empty" / "store")
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["valid"] is True
