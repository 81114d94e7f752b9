"""``polygraph validate SCENARIO …``: would these files run? Nothing is started."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import click

from harness.cli.declared import scenario_table
from harness.cli.failure import exit_code_of
from harness.cli.flags import completes
from harness.cli.options import plugin_option
from harness.cli.session import Session
from harness.cli.speech import say
from harness.cli.verbs import Verb
from harness.errors import EXIT_USAGE, EXIT_VALID


@click.command("validate", cls=Verb)
@click.argument(
    "scenarios",
    nargs=-1,
    required=True,
    metavar="SCENARIO...",
    shell_complete=completes("scenario"),
)
@plugin_option
@click.pass_context
def VERB(context: click.Context, /, scenarios: tuple[str, ...], plugin: tuple[str, ...]) -> int:
    """Check scenario files as `polygraph test` would before it starts anything.

    Unknown keys, wrong values and impossible combinations are told with the nearest name or the
    reason. SCENARIO is a file, or the name of one that we ship. Plug-ins that it names are loaded
    where --plugin names them too. Exits 0 if all would run, else 4.
    """
    session = context.ensure_object(Session)
    failed = [name for name in scenarios if not _would_run(name, plugin, session)]
    return EXIT_USAGE if failed else EXIT_VALID


def _would_run(name: str, plugin: tuple[str, ...], session: Session) -> bool:
    try:
        command = _command(name, plugin)
    except Exception as error:
        say(f"{name}: not valid", err=True)
        exit_code_of(error, session)
        return False
    say(f"{name}: valid, the same as: {command}")
    return True


def _command(name: str, plugin: tuple[str, ...]) -> str:
    """The command that the scenario stands for; raises what is wrong with it."""
    from harness.plugins import Registry
    from harness.run.preparation import prepare
    from harness.run.scenario import resolve
    from harness.store.scenario import refuse_unnamed
    from harness.verdict.consistency import known_models

    table = scenario_table(name)
    files = [Path(path) for path in plugin]
    refuse_unnamed(table, files, f"the scenario {name}")
    registry = Registry(files)
    scenario = resolve(table, registry)
    known_models(scenario.consistency_models)
    prepare(scenario, registry)
    named = tuple(str(path.resolve()) for path in files)
    return replace(scenario, plugin=named or scenario.plugin).command()
