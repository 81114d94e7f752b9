"""The pages of the verbs, made of their own declarations: what ``polygraph help VERB`` shows."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Sequence
from typing import Final

import click

from harness.cli.flags import GENERAL, Flag
from harness.cli.page import Page, Row, Section, as_manual
from harness.cli.parts import WITH, options_of
from harness.cli.table import HELP_OPTIONS, VERBS, group_help
from harness.option import Duration, Option
from harness.quantities import spelled

SUMMARY: Final = "test whether a database keeps its promises while things go wrong"
HELP: Final = Row(", ".join(HELP_OPTIONS), "show this page")


def page_of(name: str, command: click.Command | None = None) -> Page:
    """The page of a verb; ``command`` is it as it was parsed, with the flags of plug-ins."""
    if command is None:
        command = importlib.import_module(VERBS[name][0]).VERB
    assert command is not None
    context = click.Context(command, info_name=f"polygraph {name}")
    usage = " ".join(["polygraph", name, *command.collect_usage_pieces(context)])
    sections = _sections(command)
    return Page(name, usage, VERBS[name][1], paragraphs(command.help or ""), sections)


def paragraphs(text: str) -> list[str]:
    """The paragraphs of a docstring, each on one line."""
    return [" ".join(each.split()) for each in inspect.cleandoc(text).split("\n\n")]


def _sections(command: click.Command) -> list[Section]:
    """The flags by group, in the order in which the groups come, the general ones last."""
    groups: dict[str, list[Row]] = {}
    for param in command.params:
        if isinstance(param, Flag) and not param.group.startswith(tuple(WITH.values())):
            groups.setdefault(param.group, []).append(row_of(param))
    general = [*groups.pop(GENERAL, []), HELP]
    found = [Section(title, rows) for title, rows in groups.items()]
    found += _of_parts(command, getattr(command, "part_kinds", ()))
    return [*found, Section(GENERAL, general)]


def _of_parts(command: click.Command, kinds: Sequence[str]) -> list[Section]:
    """The flags that depend on what is named: of all that we ship, and of plug-ins named here."""
    ours: dict[str, dict[Option, list[str]]] = {kind: options_of(kind) for kind in kinds}
    found = []
    for kind, title in ((kind, WITH[kind]) for kind in kinds):
        rows = [
            Row(written_flag(option), f"{', '.join(owners)}: {told(option)}")
            for option, owners in sorted(ours[kind].items(), key=lambda item: item[0].name)
        ]
        known = {option.name for option in ours[kind]}
        for param in command.params:
            if isinstance(param, Flag) and param.group.startswith(title):
                owner = param.group.removeprefix(title).strip()
                if param.option.name not in known:
                    row = row_of(param)
                    rows.append(Row(row.flag, f"{owner}: {row.text}"))
        if rows:
            found.append(Section(title, rows))
    return found


def row_of(flag: Flag) -> Row:
    """A flag as its verb has it."""
    words = ", ".join(flag.opts)
    if flag.secondary_opts:
        words += f" / {', '.join(flag.secondary_opts)}"
    if not flag.is_flag:
        words += f" {flag.metavar}"
    return Row(words, told(flag.option))


def written_flag(option: Option) -> str:
    """A flag of a run as it is written."""
    from harness.cli.flags import metavar_of

    if option.kind is bool:
        return f"{option.flag} / --no-{option.flag[2:]}"
    return f"{option.flag} {metavar_of(option)}"


def told(option: Option) -> str:
    """What an option sets, and what it is where nobody says it."""
    if option.default is None or option.default in (False, (), "") or "(default" in option.help:
        return option.help
    return f"{option.help} (default: {_default(option)})"


def _default(option: Option) -> str:
    value = option.default
    if option.kind is bool:
        return "on" if value else "off"
    if option.kind is Duration:
        return spelled(value)
    if isinstance(value, tuple | list):
        return ",".join(map(str, value))
    return f"{value:.15g}" if isinstance(value, float) else str(value)


def top_page() -> Page:
    """The page of the whole command, for the manual."""
    verbs = Section("Verbs", [Row(verb, line) for verb, (_, line) in VERBS.items()])
    told_ = paragraphs(group_help())
    return Page("polygraph", "polygraph VERB [OPTIONS] [ARGUMENTS]", SUMMARY, told_, [verbs])


def manual() -> str:
    """The manual page."""
    from harness import __version__

    return as_manual(top_page(), [page_of(name) for name in VERBS], __version__)
