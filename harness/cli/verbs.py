"""The group that imports a verb's module only when it is used, and what every verb is.

A verb is a module of this package with a ``VERB``: a :class:`click.Command` whose callback
returns an exit code. The table holds the one-line help too, so that ``polygraph --help``
answers without importing any of them.
"""

from __future__ import annotations

import importlib
import shutil
from typing import Any

import click

from harness.cli.table import HELP_OPTIONS, VERBS
from harness.errors import UsageError
from harness.option import ENVIRONMENT_PREFIX

WIDEST = 100


class Escaped(Exception):
    """Carries an exception past click, which would turn some into exits of its own."""

    def __init__(self, original: BaseException) -> None:
        super().__init__(str(original))
        self.original = original


class VerbGroup(click.Group):
    """``polygraph`` itself; verbs are found in :data:`VERBS` and imported when used."""

    def __init__(self, **settings: Any) -> None:
        context = {"auto_envvar_prefix": ENVIRONMENT_PREFIX, "help_option_names": HELP_OPTIONS}
        super().__init__(context_settings=context, no_args_is_help=False, **settings)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Every verb, in the order of the table."""
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The verb's command, or ``None``."""
        if cmd_name not in VERBS:
            return None
        verb: click.Command = importlib.import_module(VERBS[cmd_name][0]).VERB
        return verb

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click's, but an unknown verb names the nearest ones."""
        if args[0] not in VERBS and not args[0].startswith("-"):
            from harness.errors import unknown_name

            raise UsageError(unknown_name("verb", args[0], list(VERBS)), "polygraph --help")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The verbs with their lines from the table: no module is imported."""
        with formatter.section("Verbs"):
            formatter.write_dl([(verb, line) for verb, (_, line) in VERBS.items()])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[Any]:
        """The verbs with their lines from the table, or the flags that come before them."""
        from click.shell_completion import CompletionItem

        if incomplete.startswith("-"):
            return click.Command.shell_complete(self, ctx, incomplete)
        found = [(verb, line) for verb, (_, line) in VERBS.items() if verb.startswith(incomplete)]
        return [CompletionItem(verb, help=line) for verb, line in found]

    def invoke(self, ctx: click.Context) -> Any:
        """Run the verb. click takes a truncated input (``EOFError``) for Ctrl-C, and a broken
        pipe for exit code 1, which here means invalid: both pass it in a wrapper.
        """
        try:
            return super().invoke(ctx)
        except (EOFError, OSError) as error:
            raise Escaped(error) from error


class Verb(click.Command):
    """A verb whose flags have their twins in the environment without the verb's name."""

    part_kinds: tuple[str, ...] = ()
    """The kinds of parts whose flags it takes where they are named (:mod:`.parts`)."""

    def get_help(self, ctx: click.Context) -> str:
        """The verb's page."""
        from harness.cli.page import as_text
        from harness.cli.verb_pages import page_of

        return as_text(page_of(str(self.name), self), terminal_width()).rstrip("\n")

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        own = {"auto_envvar_prefix": ENVIRONMENT_PREFIX, "help_option_names": HELP_OPTIONS}
        settings["context_settings"] = own | (settings.get("context_settings") or {})
        super().__init__(*arguments, **settings)


def terminal_width() -> int:
    """The columns that help may take: those of the terminal, as far as people like to read."""
    return max(60, min(shutil.get_terminal_size((80, 24)).columns, WIDEST))
