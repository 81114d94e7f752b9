"""``polygraph doctor``: what this machine can do, what not, why, and what would change that."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import click

from harness.cli.options import json_option, store_option
from harness.cli.verbs import Verb
from harness.errors import EXIT_INFRASTRUCTURE, EXIT_VALID


@click.command("doctor", cls=Verb)
@store_option
@json_option
def VERB(store: Path, as_json: bool) -> int:
    """Probe this machine. Exits 0 if at least one provider works, else 3."""
    from harness.cluster.doctor import any_provider_works, examine

    findings = examine(_existing(store))
    if as_json:
        click.echo(json.dumps([dataclasses.asdict(finding) for finding in findings], indent=2))
    else:
        for finding in findings:
            click.echo(str(finding))
    return EXIT_VALID if any_provider_works(findings) else EXIT_INFRASTRUCTURE


def _existing(folder: Path) -> Path:
    """The folder, or the nearest one above it that is there: where it would be made."""
    return next(place for place in (folder.resolve(), *folder.resolve().parents) if place.is_dir())
