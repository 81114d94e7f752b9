"""A system's modules import no driver: those are looked for where they are used, in methods.

So a driver that is missing, broken or slow to import costs only runs on its own system. This
holds for every module of ``systems/``, each asked in a process that has imported nothing else.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
OURS = {"harness", "workloads", "nemeses", "checkers", "systems"}
PROGRAM = """
import importlib, os, sys
import msgspec
known = set(sys.modules)
for name in sys.argv[1:]:
    if not os.fork():
        importlib.import_module(name)
        print(name, *sorted({each.partition(".")[0] for each in set(sys.modules) - known}))
        sys.stdout.flush()
        os._exit(0)
    _, status = os.wait()
    assert status == 0, name
"""


def modules() -> list[str]:
    """The name of every module under ``systems/``, read from the folder."""
    files = sorted((ROOT / "systems").rglob("*.py"))
    names = [".".join(path.relative_to(ROOT).with_suffix("").parts) for path in files]
    return [name.removesuffix(".__init__") for name in names]


@pytest.fixture(scope="module")
def imported() -> dict[str, set[str]]:
    """What each module imports, by the first part of its name, beside our own packages."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *modules()],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    lines = [line.split() for line in done.stdout.splitlines()]
    return {line[0]: set(line[1:]) - OURS - set(sys.stdlib_module_names) for line in lines}


def base() -> set[str]:
    """The packages that every installation has, as modules."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    return {wanted.partition(">")[0].replace("-", "_") for wanted in project["dependencies"]}


@pytest.mark.slow
@pytest.mark.parametrize("module", modules())
def test_importing_it_imports_no_driver(module: str, imported: dict[str, set[str]]) -> None:
    assert imported[module] - base() == set()


def test_the_modules_are_found() -> None:
    assert {"systems.etcd", "systems.etcd.install"} <= set(modules())
