"""The table of names holds what the modules' own tables say, and spares importing them."""

from __future__ import annotations

import importlib
import json
import pkgutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from harness.cli.pages import FILES
from harness.plugins.built_in import MODULES, WHOLE, factory_of
from harness.plugins.changes import PACKAGES


def modules_of(package: str) -> Iterator[ModuleType]:
    """Every module of one of our packages."""
    top = importlib.import_module(package)
    for info in pkgutil.walk_packages(top.__path__, f"{package}."):
        yield importlib.import_module(info.name)


@pytest.mark.parametrize("kind", MODULES)
def test_the_table_is_what_the_modules_say(kind: str) -> None:
    said = [
        (name, module.__name__)
        for module in modules_of(kind)
        for name in getattr(module, kind.upper(), {})
    ]
    assert said
    assert [name for name, count in Counter(name for name, _ in said).items() if count > 1] == []
    assert dict(said) == MODULES[kind]


@pytest.mark.parametrize("kind", WHOLE)
def test_what_goes_with_checkers_is_in_the_modules_that_are_named(kind: str) -> None:
    said = [m.__name__ for m in modules_of("checkers") if hasattr(m, kind.upper())]
    assert sorted(said) == sorted(WHOLE[kind])


@pytest.mark.parametrize(("kind", "name"), [(k, name) for k in MODULES for name in MODULES[k]])
def test_every_name_has_a_factory(kind: str, name: str) -> None:
    assert callable(factory_of(kind, name))


PROGRAM = """
import json, sys
from harness.plugins import KINDS, Registry
registry = Registry()
{body}
print(json.dumps(sorted(sys.modules)))
"""


def imported_by(body: str) -> set[str]:
    """Our modules that a fresh process has imported after ``body``."""
    program = [sys.executable, "-c", PROGRAM.format(body=body)]
    done = subprocess.run(program, capture_output=True, text=True, check=True)
    return {name for name in json.loads(done.stdout) if name.partition(".")[0] in PACKAGES}


def test_names_are_known_without_importing_anything_of_ours() -> None:
    asked = imported_by("for kind in KINDS:\n    assert registry.names(kind)")
    assert {name for name in asked if not name.startswith("harness.plugins")} <= {
        "harness",
        "harness.errors",
        "harness.wording",
    }


def test_a_name_imports_what_holds_it_and_no_neighbour() -> None:
    asked = imported_by("registry.get('checkers', 'bank')")
    tables = {module for kind in MODULES for module in MODULES[kind].values()}
    assert "checkers.objects.bank" in asked
    assert asked & tables == {"checkers.objects.bank"}


def test_the_door_imports_no_family() -> None:
    asked = imported_by("registry.get('nemeses', 'kill')")
    assert "nemeses.process.kill" in asked
    assert {"nemeses.clock", "nemeses.network.partition", "checkers"} & asked == set()


@pytest.mark.slow
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_what_is_told_of_what_is_built_in_is_what_it_says_itself(path: Path) -> None:
    """Help, completion and pages tell options as they are declared: else `make pages`."""
    assert path.read_text("utf-8") == FILES[path](), f"{path.name} is old: run `make pages`"
