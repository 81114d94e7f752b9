"""``polygraph heal``: undo every fault and end every process that dead runs left behind."""

from __future__ import annotations

from pathlib import Path

import click

from harness.cli.options import endpoint_option, ssh_config_option, store_option
from harness.cli.speech import on_one_line, say
from harness.cli.verbs import Verb
from harness.errors import EXIT_INFRASTRUCTURE, EXIT_VALID


@click.command("heal", cls=Verb)
@store_option
@ssh_config_option
@endpoint_option
def VERB(store: Path, ssh_config: str | None, endpoint: str | None) -> int:
    """Undo what the runs in the store left. Exits 0 if nothing is left, also if nothing was.

    A run is healed by what stands in its folder only if that folder is your own and nobody else
    can write it; what does not prove to be the run's is told and not touched.
    """
    from harness.cluster.leftovers import heal

    left = heal(store, {"ssh_config": ssh_config, "endpoint": endpoint})
    for what in left:
        say(f"still there: {on_one_line(what)}", err=True)
    if not left:
        say("nothing is left of any run")
    return EXIT_INFRASTRUCTURE if left else EXIT_VALID
