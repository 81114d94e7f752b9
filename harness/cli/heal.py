"""``polygraph heal``: undo every fault and end every process that dead runs left behind."""

from __future__ import annotations

from pathlib import Path

import click

from harness.cli.options import store_option
from harness.cli.speech import say
from harness.cli.verbs import Verb
from harness.errors import EXIT_INFRASTRUCTURE, EXIT_VALID


@click.command("heal", cls=Verb)
@store_option
def VERB(store: Path) -> int:
    """Undo what the runs in the store left. Exits 0 if nothing is left, also if nothing was."""
    from harness.cluster.leftovers import heal

    left = heal(store)
    for what in left:
        say(f"still there: {what}", err=True)
    if not left:
        say("nothing is left of any run")
    return EXIT_INFRASTRUCTURE if left else EXIT_VALID
