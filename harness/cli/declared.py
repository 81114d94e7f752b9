"""The flags that a system, its workload, its nemeses and its provider add to ``polygraph test``.

Which flags exist depends on words of the same command line, so it is read twice: once leniently,
only to find SYSTEM, ``--workload``, ``--nemesis`` or ``--schedule``, ``--provider``, ``--plugin``
and ``--scenario``, and once for good with the flags that those declare. A wrong flag thus
gets click's own treatment, and ``polygraph test etcd --help`` shows all of them.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.cli.flags import Flag, run_flag
from harness.cli.options import names
from harness.cli.parts import MIXES, WITH, options_with, parts
from harness.errors import UsageError, unknown_name
from harness.option import ENVIRONMENT_PREFIX, with_files
from harness.plugins.built_in import ALSO_CALLED
from harness.scenarios import shipped
from harness.store.run_options import default

if TYPE_CHECKING:
    from harness.plugins import Registry


@dataclass(frozen=True)
class Chosen:
    """What the command line names so far; ``system`` is empty where it names none."""

    system: str
    workload: str
    nemeses: tuple[str, ...]
    provider: str
    registry: Registry


def said(
    params: Sequence[click.Parameter], args: Sequence[str]
) -> tuple[dict[str, Any], list[str]]:
    """The flags in ``args`` by the known ``params``, and the words beside them; all others pass."""
    lenient = click.Command(
        "test",
        params=list(params),
        add_help_option=False,
        context_settings={
            "ignore_unknown_options": True,
            "allow_extra_args": True,
            "auto_envvar_prefix": ENVIRONMENT_PREFIX,
        },
    )
    context = lenient.make_context("test", list(args), resilient_parsing=True)
    given = {name: value for name, value in context.params.items() if value}
    words = [str(given.pop("system", "")), *context.args]
    return given, [word for word in words if word and word[0] != "-"]


def choose(params: Sequence[click.Parameter], args: Sequence[str]) -> Chosen:
    """What ``args`` name, as far as they can be read without the flags that depend on it."""
    from harness.store.scenario import registry_of

    given, words = said(params, args)
    table = scenario_table(given.get("scenario")) | given
    registry = registry_of(table)
    known = [word for word in words if word in registry.names("systems")]
    told = [table["system"]] if table.get("system") else []  # a word may be a flag's value
    system = str((known or told or words or [""])[0])
    return Chosen(
        system=registry.name_of("systems", system),
        workload=str(table.get("workload", default("workload"))),
        nemeses=_with_mixes(names(table.get("nemesis", "")), registry.found("nemeses"))
        or _scheduled(table.get("schedule")),
        provider=str(table.get("provider") or _implied(args)),
        registry=registry,
    )


def _with_mixes(words: Sequence[str], known: Iterable[str]) -> tuple[str, ...]:
    """The faults whose flags there are: of a mix those of all, for any may be in it."""
    return tuple(known) if any(word in MIXES for word in words) else tuple(words)


def _implied(unread: Sequence[str]) -> str:
    """The provider where none is named: whoever names what runs already wants that."""
    named = any(word.partition("=")[0] == "--endpoint" for word in unread)
    named = named or bool(os.environ.get(f"{ENVIRONMENT_PREFIX}_ENDPOINT"))
    return "none" if named else str(default("provider"))


def known_flags(params: Sequence[click.Parameter], args: Sequence[str]) -> list[Flag] | None:
    """The flags of what ``args`` name, by :mod:`harness.cli.parts` alone: nothing is imported.

    ``None`` where something is named that did not come with Polygraph.
    """
    given, words = said(params, args)
    if given.get("plugin"):
        return None
    try:
        table = scenario_table(given.get("scenario")) | given
    except UsageError:
        table = given
    systems = [word for word in (*words, str(table.get("system", ""))) if word]
    other_words = ALSO_CALLED["systems"]
    chosen = {
        "systems": [other_words.get(name, name) for name in systems[:1]],
        "workloads": [str(table.get("workload", default("workload")))],
        "nemeses": list(_with_mixes(names(table.get("nemesis", "")), parts()["nemeses"])),
        "providers": [str(table.get("provider") or _implied(args))],
    }
    if any(name not in parts()[kind] for kind, found in chosen.items() for name in found):
        return None
    return [run_flag(option, heading) for heading, option in options_with(chosen)]


def scenario_table(name: str | Path | None) -> dict[str, Any]:
    """The flat table of a scenario file, or of a shipped scenario; empty where there is none.

    ``UsageError`` names the shipped scenarios where ``name`` is neither.
    """
    if not name:
        return {}
    path = Path(name)
    if path.exists() or path.suffix or len(path.parts) > 1:
        from harness.store.scenario import read_toml

        table = read_toml(path)
    else:
        found = shipped()
        if path.name not in found:
            known = list(found)
            raise UsageError(unknown_name("scenario file or shipped scenario", path.name, known))
        table = tomllib.loads(found[path.name].read_text("utf-8"))
        path = Path(str(found[path.name]))
    table.pop("finding", None)  # what is expected of it is for ``polygraph record`` alone
    if isinstance(table.get("schedule"), list):  # it stands in the file itself
        table["schedule"] = str(path.resolve())
    return table


def heading(owner: str) -> str:
    """The group of the flags of ``workload bank``, say, as :mod:`.parts` calls it."""
    kind, _, name = owner.partition(" ")
    return f"{WITH[f'{kind}s' if kind != 'nemesis' else 'nemeses']} {name}"


def _scheduled(path: str | None) -> tuple[str, ...]:
    """The faults in the schedule of a file."""
    from harness.run.schedule_file import read_lines

    return tuple(read_lines(Path(path)).faults) if path else ()


def declared_flags(chosen: Chosen, taken: Sequence[click.Parameter]) -> list[Flag]:
    """The flags of what was chosen; ``UsageError`` if one hides a flag of ours."""
    if not chosen.system:
        return []
    from harness.run.scenario import owned_options

    owners = owned_options(
        chosen.registry, chosen.system, chosen.workload, chosen.nemeses, chosen.provider
    )
    flags = {
        option.name: run_flag(option, heading(owner))
        for owner, options in owners.items()
        for option in with_files(options)
    }
    for hidden in (param.name for param in taken if param.name in flags):
        owner = next(
            o for o, options in owners.items() if hidden in {each.name for each in options}
        )
        raise UsageError(f"the {owner} redefines {flags[hidden].option.flag}")
    return list(flags.values())
