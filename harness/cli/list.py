"""``polygraph list``: everything that can be named on the command line, and where it came from.

With ``--matrix``, what runs on what (:mod:`harness.cli.matrix`).

Everything is loaded once, to tell what cannot be: that is left out, named on standard error with
the reason and what to try, and takes nothing else along.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import click

from harness.cli.flags import flag
from harness.cli.matrix import show, tables
from harness.cli.options import json_option, plugin_option
from harness.cli.parts import names_of
from harness.cli.speech import say
from harness.cli.verbs import Verb
from harness.errors import EXIT_USAGE, EXIT_VALID
from harness.plugins import BUILT_IN, KINDS, Registry
from harness.plugins.lines import line_of

SHOWN = ("systems", "workloads", "nemeses", "providers", "scenarios", "checkers", "models")
HEADINGS = {"models": "consistency models"}


@click.command("list", cls=Verb)
@flag("matrix", bool, help="show what runs on what, and which fault where")
@json_option
@plugin_option
def VERB(matrix: bool, as_json: bool, plugin: tuple[str, ...]) -> int:
    """Say what can be named, a line each: systems, workloads, nemeses, checkers, scenarios, models.

    What is not ours is told with where it came from; --json has the origins of all.
    What cannot be loaded is told on standard error; exits 4 if that is a file of --plugin.
    """
    registry = Registry(tuple(Path(path) for path in plugin), tolerant=True)
    if as_json:
        table = tables(registry) if matrix else origins(registry)
        say(json.dumps(table, indent=2))
    elif matrix:
        show(tables(registry), say)
    else:
        _show(described(registry))
    for error in registry.errors:
        say(f"not loaded: {error}", err=True)
    return EXIT_USAGE if registry.is_file_refused else EXIT_VALID


def origins(registry: Registry) -> dict[str, dict[str, str]]:
    """Kind to name to origin."""
    return {
        kind: {name: found.origin for name, found in sorted(registry.usable(kind).items())}
        for kind in KINDS
    }


def described(registry: Registry) -> dict[str, dict[str, tuple[str, str]]]:
    """Kind to name to what it is in a line, and where it came from if it is not ours."""
    table: dict[str, dict[str, tuple[str, str]]] = {
        kind: {
            name: (line_of(found.factory), "" if found.origin == BUILT_IN else found.origin)
            for name, found in sorted(registry.usable(kind).items())
        }
        for kind in KINDS
    }
    for kind in ("providers", "scenarios", "models"):
        table[kind] = {name: (line, "") for name, line in names_of(kind).items()}
    return {kind: table[kind] for kind in SHOWN}


LEAST_WIDTH, MOST_WIDTH = 20, 34
"""Of the column of names."""


def _show(table: Mapping[str, Mapping[str, tuple[str, str]]]) -> None:
    for kind, found in table.items():
        say(HEADINGS.get(kind, kind))
        width = min(max([LEAST_WIDTH, *map(len, found)]), MOST_WIDTH)
        for name, (line, origin) in found.items():
            say(f"  {name:<{width}} {line}{f'  [{origin}]' if origin else ''}".rstrip())
