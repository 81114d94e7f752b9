"""``polygraph test SYSTEM``: one run, from set-up to the exit code.

The flags become one flat table (scenario file first, then environment and command line), which
:mod:`harness.run.scenario` completes and checks; :mod:`harness.run.front` does the run.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.cli.declared import choose, declared_flags, known_flags, scenario_table
from harness.cli.flags import Command, attached, completes, flag, run_flag
from harness.cli.options import json_option, store_option
from harness.cli.parts import WITH
from harness.cli.session import Session
from harness.cli.speech import say
from harness.cli.table import HELP_OPTIONS
from harness.cli.verbs import Verb
from harness.errors import EXIT_VALID, UsageError
from harness.linux.standard_streams import NotTold, silence_output
from harness.store.run_options import RUN_OPTIONS

if TYPE_CHECKING:
    from harness.plugins import Registry
    from harness.run.front import Outcome
    from harness.store.scenario import Scenario

RUN = "The run"
OWN = ("scenario", "store", "as_json", "print_config", "yes")
"""Flags that say how to run, not what: they are no part of the scenario."""


class SystemVerb(Verb):
    """``test``, with the flags that the chosen system, workload, nemeses and provider declare."""

    part_kinds = tuple(WITH)

    def make_context(
        self,
        info_name: str | None,
        args: list[str],
        parent: click.Context | None = None,
        **extra: Any,
    ) -> click.Context:
        """Find out what is chosen, then parse for good with its flags added.

        To show help or to complete, nothing of ours is imported to find out.
        """
        declared = known_flags(self.params, args) if is_quick(args, extra) else None
        if declared is None and not extra.get("resilient_parsing"):
            declared = declared_flags(choose(self.params, args), self.params)
        params = [*self.params, *(declared or ())]
        full = SystemVerb(self.name, params=params, callback=self.callback, help=self.help)
        full.part_kinds = self.part_kinds
        return super(SystemVerb, full).make_context(info_name, args, parent, **extra)


def is_quick(args: Sequence[str], extra: Mapping[str, Any]) -> bool:
    """Whether a command line is only to be completed, or its help to be shown."""
    return bool(extra.get("resilient_parsing")) or any(word in HELP_OPTIONS for word in args)


def run_flags(command: Command) -> Command:
    """The flags that every run has."""
    for group, options in reversed(list(RUN_OPTIONS.items())):
        for option in reversed(options):
            if option.name != "system":
                attached(run_flag(option, group))(command)
    return command


@click.command("test", cls=SystemVerb)
@click.argument("system", required=False, shell_complete=completes("system"))
@run_flags
@flag("scenario", group=RUN, help="a TOML file of these flags, or a shipped one; flags win")
@flag("print_config", bool, group=RUN, help="print the complete scenario, run nothing")
@flag("yes", bool, group=RUN, help="agree to what a run does to what runs already")
@store_option
@json_option
@click.pass_context
def VERB(context: click.Context, /, **flags: Any) -> int:
    """Run a workload on SYSTEM under faults, and judge what happened.

    Exits 0 if the verdict is valid, 1 invalid, 2 unknown, 3 if there is none.
    """
    from harness.store.scenario import registry_of

    if "matrix" in scenario_table(flags["scenario"]):
        raise UsageError(f"{flags['scenario']} has a [matrix], of many runs", "polygraph soak")
    scenario = scenario_of(flags)
    if flags["print_config"]:
        say(scenario.to_toml({}), end="")
        return EXIT_VALID
    registry = registry_of(scenario.flat())
    session = context.ensure_object(Session)
    outcome = _run(scenario, flags["store"], registry, session, agreement(flags["yes"]))
    with told_or_kept():
        _show(scenario, outcome, flags["as_json"])
    return outcome.exit_code


def agreement(given: bool) -> Callable[[str], bool]:
    """Whether the user agrees to what a warning says: ``given``, or asked for on a terminal."""

    def agrees(warning: str) -> bool:
        can_be_asked = sys.stdin.isatty() and sys.stderr.isatty()
        if given or can_be_asked:
            say(f"polygraph: {warning}", err=True)
        return given or (can_be_asked and click.confirm("Go on?", default=False, err=True))

    return agrees


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
    from harness.run.scenario import resolve
    from harness.store.scenario import registry_of
    from harness.verdict.consistency import known_models

    table = scenario_table(flags["scenario"])
    table.pop("matrix", None)  # which is a soak's
    table |= _given(flags)
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


def _run(
    scenario: Scenario,
    store: Path,
    registry: Registry,
    session: Session,
    agrees: Callable[[str], bool],
) -> Outcome:
    """The run with its progress shown; the session learns where it is as soon as it is anywhere."""
    from harness.cli.progress import progress
    from harness.run.front import run

    with progress() as show:

        def on_event(event: Mapping[str, Any]) -> None:
            if event.get("run_dir"):
                session.run_dir = Path(event["run_dir"])
            show(event)

        return run(scenario, store, on_event, registry, agrees)


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
