"""``polygraph list``: everything that can be named on the command line, and where it came from.

With ``--matrix``, which workload runs on which system: it needs abilities that the system's
clients must have (:data:`harness.contract.client.ABILITIES`).

Everything is loaded once, to tell what cannot be: that is left out, named on standard error with
the reason and what to try, and takes nothing else along.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from harness.cli.options import json_option, plugin_option
from harness.cli.speech import say
from harness.cli.verbs import Verb
from harness.contract.workload import WorkloadOptions
from harness.errors import EXIT_USAGE, EXIT_VALID
from harness.plugins import KINDS, Registry


@click.command("list", cls=Verb)
@click.option("--matrix", is_flag=True, help="Show which workload runs on which system.")
@json_option
@plugin_option
def VERB(matrix: bool, as_json: bool, plugin: tuple[str, ...]) -> int:
    """Name every system, workload, nemesis and checker, and where each came from.

    What cannot be loaded is told on standard error; exits 4 if that is a file of --plugin.
    """
    registry = Registry(tuple(Path(path) for path in plugin), tolerant=True)
    if as_json:
        table = missing_abilities(registry) if matrix else origins(registry)
        say(json.dumps(table, indent=2))
    elif matrix:
        _show_matrix(missing_abilities(registry))
    else:
        _show_origins(origins(registry))
    for error in registry.errors:
        say(f"not loaded: {error}", err=True)
    return EXIT_USAGE if registry.is_file_refused else EXIT_VALID


def origins(registry: Registry) -> dict[str, dict[str, str]]:
    """Kind to name to origin."""
    return {
        kind: {name: found.origin for name, found in sorted(registry.usable(kind).items())}
        for kind in KINDS
    }


def missing_abilities(registry: Registry) -> dict[str, dict[str, list[str]]]:
    """Workload to system to the abilities that are missing (none: it runs)."""
    systems = {
        name: _abilities(found.factory) for name, found in registry.usable("systems").items()
    }
    return {
        workload: {
            system: sorted(need.__name__ for need in needs - abilities)
            for system, abilities in sorted(systems.items())
        }
        for workload, found in sorted(registry.usable("workloads").items())
        for needs in [_needs(found.factory)]
    }


def _abilities(factory: Any) -> set[type]:
    return set(factory(_defaults(factory)).abilities())


def _needs(factory: Any) -> set[type]:
    options = WorkloadOptions(nodes=5, concurrency=20, seed=0, extra=_defaults(factory))
    return set(factory(options).needs)


def _defaults(factory: Any) -> dict[str, Any]:
    return {option.name: option.default for option in getattr(factory, "options", ())}


def _show_origins(table: Mapping[str, Mapping[str, str]]) -> None:
    for kind, found in table.items():
        say(kind)
        for name, origin in found.items():
            say(f"  {name:<16} {origin}")


def _show_matrix(table: Mapping[str, Mapping[str, list[str]]]) -> None:
    for workload, systems in table.items():
        for system, missing in systems.items():
            answer = f"no: its clients lack {', '.join(missing)}" if missing else "yes"
            say(f"{workload:<16} on {system:<16} {answer}")
