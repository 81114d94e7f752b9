"""Flags out of options: the one place where a :class:`harness.option.Option` meets click.

A verb declares its flags by :func:`flag`, runs and plug-ins by tables of options; either way the
same thing comes out, with its twin in the environment, its part of the help, and its completion.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar, Final, TypeVar

import click

from harness.errors import UsageError
from harness.option import Duration, Milliseconds, Option, Size

Command = TypeVar("Command", bound=Callable[..., Any])

GENERAL: Final = "Options"
"""The group of the flags that are in no other."""

METAVARS: Final = {
    int: "N",
    float: "NUMBER",
    str: "TEXT",
    Path: "PATH",
    Duration: "TIME",
    Milliseconds: "TIME",
    Size: "SIZE",
}


class Kind(click.ParamType[Any]):
    """Checks what is given to a flag as its option does, and completes it."""

    def __init__(self, option: Option) -> None:
        self.option = option
        self.name = option.name

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The value as the option has it; a list stays as it was given, for whoever joins lists.

        So does a path, which is told as the user wrote it.
        """
        try:
            found = self.option.value(value)
        except UsageError as error:
            raise click.UsageError(str(error), ctx) from error
        if self.option.kind is Path:
            return Path(value)
        return value if self.option.many else found

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[Any]:
        """What can be given here."""
        from harness.cli.completing import values_of

        return list(values_of(self.option, ctx, incomplete))


class Files(Kind):
    """Of several files, in the environment apart as in ``PATH``."""

    envvar_list_splitter: ClassVar[str] = os.pathsep


class Flag(click.Option):
    """A flag with the option that it stands for, and the group of the help that it is in."""

    def __init__(
        self, words: Sequence[str], *, option: Option, group: str = "", **settings: Any
    ) -> None:
        self.option, self.group = option, group or GENERAL
        super().__init__(list(words), envvar=option.twin, help=option.help, **settings)


def flag(
    name: str,
    kind: type = str,
    *,
    help: str,
    short: str = "",
    dest: str = "",
    group: str = "",
    metavar: str = "",
    multiple: bool = False,
    required: bool = False,
    **settings: Any,
) -> Callable[[Command], Command]:
    """A flag of a verb: ``--name``, given to its function as ``dest`` (else ``name``).

    ``settings`` are those of :class:`Option`. A ``bool`` is a switch without an opposite.
    ``multiple``: it may be given several times, and its function gets a tuple.
    """
    option = Option(name=name, kind=kind, help=help, **settings)
    words = [word for word in (short, option.flag) if word] + [dest or name]
    if kind is bool:
        return attached(Flag(words, option=option, group=group, is_flag=True, default=False))
    declared = Flag(
        words,
        option=option,
        group=group,
        type=(Files if kind is Path and multiple else Kind)(option),
        multiple=multiple,
        required=required,
        default=() if multiple else option.default,
        metavar=metavar or metavar_of(option),
    )
    return attached(declared)


def attached(parameter: click.Parameter) -> Callable[[Command], Command]:
    """A decorator that gives a verb's function this parameter, as click's own do."""

    def attach(command: Command) -> Command:
        command.__dict__.setdefault("__click_params__", []).append(parameter)
        return command

    return attach


def completes(what: str) -> Callable[[click.Context, click.Parameter, str], list[Any]]:
    """How an argument is completed: ``shell_complete=completes("run")``."""

    def complete(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[Any]:
        from harness.cli.completing import of_argument

        return list(of_argument(what, ctx, incomplete))

    return complete


def run_flag(option: Option, group: str) -> Flag:
    """A flag of a run: unset unless given, for a scenario's file may say it; yes and no apart."""
    words = [option.flag, option.name]
    if option.kind is bool:
        words[0] = f"{option.flag}/--no-{option.flag[2:]}"
        return Flag(words, option=option, group=group, default=None)
    several = option.many and option.kind is Path
    may_be_bare = {} if option.bare is None else {"is_flag": False, "flag_value": option.bare}
    return Flag(
        words,
        option=option,
        group=group,
        type=(Files if several else Kind)(option),
        multiple=several,
        default=None,
        metavar=metavar_of(option),
        **may_be_bare,
    )


def metavar_of(option: Option) -> str:
    """What stands for the value in the help."""
    if option.choices:
        words = "|".join(option.choices)
        return f"{words},…" if option.many else words
    if option.words:
        return f"{'|'.join(option.words)},…"
    if option.bare is not None:
        return "[TEXT]"
    one = METAVARS.get(option.kind, "TEXT")
    return f"{one},…" if option.many and option.kind is not Path else one
