"""``polygraph doctor``: what this machine can do, what not, why, and what would change that."""

from __future__ import annotations

import dataclasses
import json

import click

from harness.cli.options import json_option
from harness.cli.verbs import Verb
from harness.errors import EXIT_INFRASTRUCTURE, EXIT_VALID


@click.command("doctor", cls=Verb)
@json_option
def VERB(as_json: bool) -> int:
    """Probe this machine. Exits 0 if at least one provider works, else 3."""
    from harness.cluster.doctor import examine

    findings = examine()
    if as_json:
        click.echo(json.dumps([dataclasses.asdict(finding) for finding in findings], indent=2))
    else:
        for finding in findings:
            click.echo(finding)
    return EXIT_VALID if findings else EXIT_INFRASTRUCTURE
