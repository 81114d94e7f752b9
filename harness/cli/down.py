"""``polygraph down RUN``: end the cluster that ``--leave-db-running`` kept alive."""

from __future__ import annotations

from pathlib import Path

import click

from harness.cli.flags import completes
from harness.cli.options import ssh_config_option, store_option
from harness.cli.speech import say
from harness.cli.verbs import Verb
from harness.errors import EXIT_VALID


@click.command("down", cls=Verb)
@click.argument("run", shell_complete=completes("run"))
@store_option
@ssh_config_option
def VERB(run: str, store: Path, ssh_config: str | None) -> int:
    """End the cluster of RUN (a folder, or latest). Safe twice."""
    from harness.cluster.leftovers import down
    from harness.store.runs import find_run

    folder = find_run(store, run)
    down(folder, store, {"ssh_config": ssh_config})
    say(f"the cluster of {folder} is down")
    return EXIT_VALID
