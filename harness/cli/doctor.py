"""``polygraph doctor``: what this machine can do, what not, why, and what would change that."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import click

from harness.cli.flags import flag
from harness.cli.options import json_option, plugin_option, store_option
from harness.cli.speech import say
from harness.cli.verbs import Verb
from harness.errors import EXIT_INFRASTRUCTURE, EXIT_VALID
from harness.option import Duration


@click.command("doctor", cls=Verb)
@flag(
    "clock",
    dest="system",
    metavar="SYSTEM",
    group="Clock",
    help="trace SYSTEM's system calls: does it come by the time as it declares?",
)
@flag("provider", default="local", group="Clock", help="where, with --clock")
@flag("seconds", Duration, default=5.0, group="Clock", help="how long, with --clock")
@plugin_option
@store_option
@json_option
def VERB(
    system: str | None,
    provider: str,
    seconds: float,
    plugin: tuple[str, ...],
    store: Path,
    as_json: bool,
) -> int:
    """Probe this machine. Exits 0 if at least one provider works, else 3.

    With --clock SYSTEM: exits 0 if nothing speaks against SYSTEM's clock path as declared, else 3.
    """
    if system is not None:
        return _clock(system, provider, seconds, plugin, as_json)
    from harness.cluster.doctor import any_provider_works, examine

    findings = examine(_existing(store))
    if as_json:
        say(json.dumps([dataclasses.asdict(finding) for finding in findings], indent=2))
    else:
        for finding in findings:
            say(str(finding))
    return EXIT_VALID if any_provider_works(findings) else EXIT_INFRASTRUCTURE


def _clock(
    system: str, provider: str, seconds: float, plugins: tuple[str, ...], as_json: bool
) -> int:
    from harness.run.clock_check import examine

    found = examine(system, provider, seconds, plugins)
    lines = [json.dumps(found.as_json(), indent=2)] if as_json else found.lines()
    for line in lines:
        say(line)
    return EXIT_VALID if found.is_as_declared else EXIT_INFRASTRUCTURE


def _existing(folder: Path) -> Path:
    """The folder, or the nearest one above it that is there: where it would be made."""
    return next(place for place in (folder.resolve(), *folder.resolve().parents) if place.is_dir())
