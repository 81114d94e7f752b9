"""Start-up is part of speed: what answers at once imports nothing heavy."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

HEAVY = {
    "asyncio",
    "h11",
    "harness.history",
    "jinja2",
    "matplotlib",
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


def modules_after(*argv: str) -> set[str]:
    """Every module that is loaded once a command line has been run."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *argv], capture_output=True, text=True, check=True
    )
    _, modules = json.loads(done.stdout.splitlines()[-1])
    return set(modules)


@pytest.mark.parametrize("argv", [("--help",), ("--version",), ("no-such-verb",)])
def test_light_answers_import_nothing_heavy(argv: tuple[str, ...]) -> None:
    assert HEAVY & modules_after(*argv) == set()


def test_the_list_of_heavy_modules_is_not_idle() -> None:
    """The check above can fail: the same program sees what a heavy verb imports."""
    assert {"msgspec", "harness.history"} <= modules_after("list")


def test_help_does_not_even_look_for_plugins() -> None:
    assert {"harness.plugins", "importlib.metadata"} & modules_after("--help") == set()
