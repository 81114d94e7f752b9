"""``polygraph test SYSTEM``: one run, from set-up to the exit code.

The flags become one flat table (scenario file first, then environment and command line), which
:mod:`harness.run.scenario` completes and checks; :mod:`harness.run.front` does the run.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.cli.declared import choose, declared_flags, scenario_table
from harness.cli.options import Command, json_option, plugin_option, store_option
from harness.cli.session import Session
from harness.cli.speech import say
from harness.cli.verbs import ENVIRONMENT_PREFIX, Verb
from harness.cluster.providers import NAMES
from harness.errors import EXIT_VALID
from harness.linux.standard_streams import NotTold, silence_output
from harness.plugins import Registry
from harness.run.scenario import resolve
from harness.store.scenario import Scenario, registry_of
from harness.verdict.consistency import known_models

if TYPE_CHECKING:
    from harness.run.front import Outcome

OWN = ("scenario", "store", "as_json", "print_config")
"""Flags that say how to run, not what: they are no part of the scenario."""


class SystemVerb(Verb):
    """``test``, with the flags that the chosen system, workload and nemeses declare."""

    def make_context(
        self,
        info_name: str | None,
        args: list[str],
        parent: click.Context | None = None,
        **extra: Any,
    ) -> click.Context:
        """Find out what is chosen, then parse for good with its flags added."""
        chosen = choose(self.params, args, ENVIRONMENT_PREFIX)
        params = [*self.params, *declared_flags(chosen, self.params)]
        full = Verb(self.name, params=params, callback=self.callback, help=self.help)
        return full.make_context(info_name, args, parent, **extra)


def _option(flag: str, kind: Any, text: str) -> Callable[[Command], Command]:
    """A flag of the scenario: unset unless given, its default told in its help."""
    name = flag.removeprefix("--").split("/")[0].replace("-", "_")
    default = getattr(Scenario, name, None)
    if default not in (None, (), False):
        shown = f"{default:g}" if isinstance(default, float) else default
        text += f"  [default: {shown}]"
    return click.option(flag, name, type=kind, default=None, help=text)


@click.command("test", cls=SystemVerb)
@click.argument("system", required=False)
@_option("--workload", str, "What the clients do, and what it is judged by.")
@_option("--nemesis", str, "Faults, by name and with commas, e.g. partition,kill,pause.")
@_option("--nodes", int, "How many nodes.")
@_option("--concurrency", str, "Clients: a number, or a multiple of the nodes like 3n.")
@_option("--rate", float, "Operations a second over all clients.")
@_option("--time-limit", float, "Seconds of operations.")
@_option("--nemesis-interval", float, "Seconds from the beginning of a fault to the next.")
@_option("--nemesis-duration", float, "Seconds that a fault lasts.  [default: half the interval]")
@_option("--op-timeout", float, "Seconds until an operation without answer is given up (info).")
@_option("--recovery-timeout", float, "Seconds that the healed cluster has to get ready.")
@_option(
    "--consistency-models", str, "Judge against these models instead of the system's own claim."
)
@_option("--budget", float, "Seconds that each checker may take.")
@_option("--provider", str, f"How nodes come to exist: {', '.join(NAMES)}.")
@_option("--leave-db-running/--no-leave-db-running", bool, "Keep the cluster; see polygraph down.")
@_option("--journal", click.Choice(["buffered", "sync"]), "sync: one write for each record.")
@_option("--seed", int, "Fixes the fault schedule and every generator's random stream.")
@plugin_option
@click.option("--scenario", help="A TOML file of these flags, or a shipped one; flags win.")
@click.option("--print-config", is_flag=True, help="Print the complete scenario, run nothing.")
@store_option
@json_option
@click.pass_context
def VERB(context: click.Context, /, **flags: Any) -> int:
    """Run a workload on SYSTEM under faults, and judge what happened.

    Exits 0 if the verdict is valid, 1 invalid, 2 unknown, 3 if there is none. Further flags
    depend on SYSTEM and --workload: see polygraph test SYSTEM --help.
    """
    scenario = scenario_of(flags)
    if flags["print_config"]:
        say(scenario.to_toml({}), end="")
        return EXIT_VALID
    registry = registry_of(scenario.flat())
    outcome = _run(scenario, flags["store"], registry, context.ensure_object(Session))
    with told_or_kept():
        _show(scenario, outcome, flags["as_json"])
    return outcome.exit_code


@contextlib.contextmanager
def told_or_kept() -> Iterator[None]:
    """An answer that standard output does not take costs no verdict that a folder holds."""
    from harness.cli.failure import say_not_told

    try:
        yield
        sys.stdout.flush()
    except NotTold as error:
        silence_output()
        say_not_told(error)


def scenario_of(flags: Mapping[str, Any]) -> Scenario:
    """The complete scenario of the flags: its file first, then what was said beside it."""
    table = scenario_table(flags["scenario"]) | _given(flags)
    scenario = resolve(table, registry_of(table))
    claims = known_models(scenario.consistency_models)
    return dataclasses.replace(scenario, consistency_models=claims)


def _given(flags: Mapping[str, Any]) -> dict[str, Any]:
    """What the user said, as keys of a scenario."""
    return {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in flags.items()
        if name not in OWN and value not in (None, ())
    }


def _run(scenario: Scenario, store: Path, registry: Registry, session: Session) -> Outcome:
    """The run with its progress shown; the session learns where it is as soon as it is anywhere."""
    from harness.cli.progress import progress
    from harness.run.front import run

    with progress() as show:

        def on_event(event: Mapping[str, Any]) -> None:
            if event.get("run_dir"):
                session.run_dir = Path(event["run_dir"])
            show(event)

        return run(scenario, store, on_event, registry)


def _show(scenario: Scenario, outcome: Outcome, as_json: bool) -> None:
    """The end: the verdict on standard output, and how to go on from it."""
    from harness.cli.ending import say_verdict

    if as_json:
        say(json.dumps(outcome.verdict))
    elif outcome.verdict is not None:
        say_verdict(outcome.verdict)
    if outcome.message:
        say(f"polygraph: {outcome.message}", err=True)
    report = outcome.run_dir / "report.html"
    say(f"run     {outcome.run_dir}", err=as_json)
    if outcome.verdict is None:
        say(f"log     {outcome.run_dir / 'run.log'}", err=as_json)
    if report.exists():
        say(f"report  {report}", err=as_json)
    say(f"repeat  {scenario.command()}", err=as_json)
