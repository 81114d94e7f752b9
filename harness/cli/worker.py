"""``polygraph worker ADDRESS``: this machine makes runs for the soaks of a scheduler.

What it can do (which providers work here, how many cores) is looked at and offered, so that only
runs come that are possible here.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import click

from harness.cli.flags import flag
from harness.cli.speech import say
from harness.cli.verbs import Verb
from harness.errors import EXIT_INTERRUPTED, EXIT_VALID, NeedsError
from harness.linux.stopping import how_stopped


@click.command("worker", cls=Verb)
@click.argument("address")
@flag("slots", int, least=1, default=1, group="Worker", help="how many runs it makes at once")
def VERB(address: str, slots: int) -> int:
    """Make runs for the soaks of the scheduler at ADDRESS (polygraph soak --scheduler ADDRESS).

    Ends with the scheduler, or with Ctrl-C, which stops its runs cleanly: they are made again
    elsewhere. Exits 130 if stopped, 3 if no scheduler answers.
    """
    refuse_without_dask()
    from harness.soak.worker import serve

    stopped_by = serve(address, slots, working_providers(), lambda line: say(line))
    if stopped_by is None:
        return EXIT_VALID
    say(f"polygraph: {how_stopped(stopped_by)}", err=True)
    return EXIT_INTERRUPTED


def working_providers() -> list[str]:
    """The names of the providers that work on this machine."""
    from harness.cluster import providers
    from harness.cluster.doctor import examine

    found = [each.name for each in examine(Path(tempfile.gettempdir())) if each.ok]
    working = [name for name in found if name in providers.NAMES]
    return [*working, *(["local"] if any(name.startswith("local:") for name in working) else [])]


def refuse_without_dask() -> None:
    """``NeedsError`` where dask is not installed."""
    from importlib.util import find_spec

    if find_spec("distributed") is None:
        raise NeedsError(
            "a scheduler needs dask.distributed, which is not installed",
            "pip install 'polygraph-db[scheduler]'",
        )
