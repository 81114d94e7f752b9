"""``polygraph report RUN``: write the page again from what the run's folder holds."""

from __future__ import annotations

from pathlib import Path

import click

from harness.cli.options import store_option
from harness.cli.speech import say
from harness.cli.verbs import Verb
from harness.errors import EXIT_VALID


@click.command("report", cls=Verb)
@click.argument("run", default="latest")
@store_option
def VERB(run: str, store: Path) -> int:
    """Write report.html of RUN (a folder, or latest) and print its path."""
    from harness.report import render
    from harness.run.store import find_run

    say(render(find_run(store, run)))
    return EXIT_VALID
