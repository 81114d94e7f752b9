"""The flags that a system, its workload, its nemeses and its provider add to ``polygraph test``.

Which flags exist depends on words of the same command line, so it is read twice: once leniently,
only to find SYSTEM, ``--workload``, ``--nemesis`` or ``--schedule``, ``--provider``, ``--plugin``
and ``--scenario``, and once for good with the flags that those declare. A wrong flag thus
gets click's own treatment, and ``polygraph test etcd --help`` shows all of them.
"""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from harness.cli.flags import Flag, run_flag
from harness.cli.options import names
from harness.errors import UsageError, unknown_name
from harness.option import with_files
from harness.plugins import Registry
from harness.run.scenario import owned_options
from harness.run.schedule_file import read_lines
from harness.scenarios import shipped
from harness.store.scenario import Scenario, read_toml, registry_of


@dataclass(frozen=True)
class Chosen:
    """What the command line names so far; ``system`` is empty where it names none."""

    system: str
    workload: str
    nemeses: tuple[str, ...]
    provider: str
    registry: Registry


def choose(params: Sequence[click.Parameter], args: Sequence[str], environment: str) -> Chosen:
    """Read ``args`` leniently by the known ``params``; unknown flags are passed over."""
    lenient = click.Command(
        "test",
        params=list(params),
        add_help_option=False,
        context_settings={
            "ignore_unknown_options": True,
            "allow_extra_args": True,
            "auto_envvar_prefix": environment,
        },
    )
    context = lenient.make_context("test", list(args), resilient_parsing=True)
    given = {name: value for name, value in context.params.items() if value}
    if isinstance(given.get("plugin"), tuple):
        given["plugin"] = list(given["plugin"])
    positional = str(given.pop("system", ""))
    table = scenario_table(given.get("scenario")) | given
    registry = registry_of(table)
    words = [word for word in (positional, *context.args) if word and word[0] != "-"]
    known = [word for word in words if word in registry.names("systems")]
    return Chosen(
        system=str((known or words or [table.get("system", "")])[0]),
        workload=str(table.get("workload", Scenario.workload)),
        nemeses=names(table.get("nemesis", "")) or _scheduled(table.get("schedule")),
        provider=str(table.get("provider", Scenario.provider)),
        registry=registry,
    )


def scenario_table(name: str | Path | None) -> dict[str, Any]:
    """The flat table of a scenario file, or of a shipped scenario; empty where there is none.

    ``UsageError`` names the shipped scenarios where ``name`` is neither.
    """
    if not name:
        return {}
    path = Path(name)
    if path.exists() or path.suffix or len(path.parts) > 1:
        return read_toml(path)
    found = shipped()
    if path.name not in found:
        raise UsageError(unknown_name("scenario file or shipped scenario", path.name, list(found)))
    return tomllib.loads(found[path.name].read_text("utf-8"))


def _scheduled(path: str | None) -> tuple[str, ...]:
    return tuple(read_lines(Path(path)).faults) if path else ()


def declared_flags(chosen: Chosen, taken: Sequence[click.Parameter]) -> list[Flag]:
    """The flags of what was chosen; ``UsageError`` if one hides a flag of ours."""
    if not chosen.system:
        return []
    owners = owned_options(
        chosen.registry, chosen.system, chosen.workload, chosen.nemeses, chosen.provider
    )
    flags = {
        option.name: run_flag(option, f"Of {owner}")
        for owner, options in owners.items()
        for option in with_files(options)
    }
    for hidden in (param.name for param in taken if param.name in flags):
        owner = flags[hidden].group.removeprefix("Of ")
        raise UsageError(f"{owner} redefines {flags[hidden].option.flag}")
    return list(flags.values())
