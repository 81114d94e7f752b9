"""``polygraph help [VERB]``: the page of a verb, or of all as a manual page."""

from __future__ import annotations

import click

from harness.cli.flags import completes, flag
from harness.cli.speech import say
from harness.cli.table import VERBS
from harness.cli.verbs import Verb, terminal_width
from harness.errors import EXIT_VALID, UsageError, unknown_name


@click.command("help", cls=Verb)
@click.argument("verb", required=False, shell_complete=completes("verb"))
@flag("man", bool, help="all verbs, as a manual page: polygraph help --man | man -l -")
@click.pass_context
def VERB(context: click.Context, /, verb: str | None, man: bool) -> int:
    """Show what VERB does and every flag that it has; without VERB, what there is."""
    if man:
        from harness.cli.verb_pages import manual

        say(manual(), end="")
    elif verb is None:
        assert context.parent is not None
        say(context.parent.get_help())
    else:
        say(page_text(verb), end="")
    return EXIT_VALID


def page_text(verb: str) -> str:
    """The page of ``verb`` for this terminal; ``UsageError`` names the nearest verbs."""
    from harness.cli.page import as_text
    from harness.cli.verb_pages import page_of

    if verb not in VERBS:
        raise UsageError(unknown_name("verb", verb, list(VERBS)), "polygraph help")
    return as_text(page_of(verb), terminal_width())
