"""The flags that a system, its workload, its nemeses and its provider add to ``polygraph test``.

Which flags exist depends on words of the same command line, so it is read twice: once leniently,
only to find SYSTEM, ``--workload``, ``--nemesis``, ``--provider``, ``--plugin`` and
``--scenario``, and once for good with the flags that those declare. A wrong flag thus
gets click's own treatment, and ``polygraph test etcd --help`` shows all of them.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from harness.cli.options import names
from harness.contract.option import SystemOption
from harness.errors import UsageError, unknown_name
from harness.plugins import Registry
from harness.run.scenario import declared_options
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
    positional = str(given.pop("system", ""))
    table = scenario_table(given.get("scenario")) | given
    registry = registry_of(table)
    words = [word for word in (positional, *context.args) if word and word[0] != "-"]
    known = [word for word in words if word in registry.names("systems")]
    return Chosen(
        system=str((known or words or [table.get("system", "")])[0]),
        workload=str(table.get("workload", Scenario.workload)),
        nemeses=names(table.get("nemesis", "")),
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


def declared_flags(chosen: Chosen, taken: Sequence[click.Parameter]) -> list[click.Option]:
    """The flags of what was chosen; ``UsageError`` if one hides a flag of ours."""
    if not chosen.system:
        return []
    declared = declared_options(
        chosen.registry, chosen.system, chosen.workload, chosen.nemeses, chosen.provider
    )
    hidden = {param.name for param in taken} & set(declared)
    if hidden:
        raise UsageError(f"{chosen.system} or {chosen.workload} redefines --{min(hidden)}")
    return [_flag(option) for option in declared.values()]


KINDS: Mapping[type, click.ParamType[Any]] = {int: click.INT, float: click.FLOAT, str: click.STRING}


def _flag(option: SystemOption) -> click.Option:
    """``--name VALUE``, or ``--name / --no-name``; unset where the user says nothing."""
    name = option.name.replace("_", "-")
    if option.kind is bool:
        text = f"{option.help}{_default('on' if option.default else 'off')}"
        return click.Option([f"--{name}/--no-{name}", option.name], default=None, help=text)
    text = option.help + (_default(option.default) if option.default not in (None, "") else "")
    kind = KINDS.get(option.kind, click.STRING)
    return click.Option([f"--{name}", option.name], type=kind, default=None, help=text)


def _default(value: object) -> str:
    return f"  [default: {value}]"
