"""``polygraph conform SYSTEM``: does its client ever repeat a request, or say what is not so?

Two kits, as far as they can be had: a scripted server, where the system brings a speaker of its
protocol, and the real server behind a proxy that spoils one request at a time.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from harness.cli.declared import choose
from harness.cli.flags import completes, flag
from harness.cli.options import json_option, names, plugin_option
from harness.cli.speech import say
from harness.cli.test import SystemVerb, is_quick
from harness.cluster.providers import NAMES
from harness.contract.command import abilities_of
from harness.errors import NeedsError, UsageError
from harness.option import defaults_of
from harness.plugins import Registry
from harness.run.scenario import resolve
from harness.store.scenario import Scenario, registry_of
from harness.wording import shown

if TYPE_CHECKING:
    from harness.conformance.findings import Findings

MOST_NODES = 9
"""With fewer than these every system can be started."""
OWN = ("as_json", "only", "server", "workload", "nemesis")
SERVERS = ("scripted", "real", "both")


class ConformVerb(SystemVerb):
    """``conform``: where the plug-ins have one system, it need not be named."""

    part_kinds = ("systems", "providers")

    def make_context(
        self,
        info_name: str | None,
        args: list[str],
        parent: click.Context | None = None,
        **extra: Any,
    ) -> click.Context:
        """Name the system of the plug-ins, so that its flags are known."""
        if is_quick(args, extra):
            return super().make_context(info_name, args, parent, **extra)
        chosen = choose(self.params, args)
        own = set(chosen.registry.names("systems")) - set(Registry().names("systems"))
        if not chosen.system and len(own) == 1:
            args = [own.pop(), *args]
        return super().make_context(info_name, args, parent, **extra)


@click.command("conform", cls=ConformVerb)
@click.argument("system", required=False, shell_complete=completes("system"))
@flag("only", help="operations to try, with commas: write,transaction (default: all)")
@flag(
    "server",
    default="both",
    choices=SERVERS,
    help="scripted needs a speaker, and no cluster; real starts the system, behind a proxy",
)
@flag("provider", default="local", help=f"how nodes come to exist: {', '.join(NAMES)}")
@flag("client", help="a program that is the client, in place of the system's own", metavar="CMD")
@plugin_option
@json_option
def VERB(**flags: Any) -> int:
    """Try SYSTEM's client under servers that fail in every way that there is.

    It must send each request once, say fail only of what certainly did not happen and ok only of
    what did, close its connection after a time-out, and never take a late answer for the next
    one's. Exits 0 if it does, 1 if it did wrong, 2 if something could not be tried.
    """
    scenario, registry = _scenario(flags)
    findings = _tried(scenario, registry, flags["server"], names(flags["only"] or ""))
    if flags["as_json"]:
        say(json.dumps(findings.as_json()))
    else:
        for line in findings.lines():
            say(line)
    return findings.exit_code


def _scenario(flags: dict[str, Any]) -> tuple[Scenario, Registry]:
    """The least of the system that there can be, under any workload that its clients can do."""
    given = {k: v for k, v in flags.items() if k not in OWN and v not in (None, ())}
    given["plugin"] = [str(path) for path in flags["plugin"]]
    registry = registry_of(given)
    if "system" not in given:
        raise UsageError("which system's client?", "polygraph conform etcd, or --plugin FILE")
    factory = registry.get("systems", given["system"])
    system = factory(defaults_of(factory))
    nodes, has = _least_nodes(system), set(system.abilities())
    if given.get("client"):
        has = set(abilities_of(given["client"])[1])
    for name in sorted(registry.names("workloads"), key=lambda name: name != Scenario.workload):
        needs = registry.get("workloads", name).needs
        if set(needs) <= has:
            table = {**given, "workload": name, "nodes": nodes, "nemesis": "none"}
            return resolve(table, registry), registry
    raise UsageError(
        f"the clients of {shown(given['system'])} can do nothing that is tried",
        "polygraph list --matrix",
    )


def _least_nodes(system: Any) -> int:
    """How many nodes the system must have, so that each of its roles has one."""
    from harness.contract.system import roles_of

    for count in range(1, MOST_NODES):
        try:
            roles_of(system, [f"n{number}" for number in range(1, count + 1)])
        except UsageError:
            continue
        return count
    return MOST_NODES


def _note(line: str) -> None:
    say(f"polygraph: {line}", err=True)


def _tried(scenario: Scenario, registry: Registry, server: str, only: tuple[str, ...]) -> Findings:
    from harness.conformance.apart import try_real_server
    from harness.conformance.findings import Findings, note_proxied, try_scripted
    from harness.conformance.kit import cases
    from harness.conformance.trial import TRIALS
    from harness.contract.speaker import Spoken
    from harness.run.preparation import prepare

    known = [trial.name for trial in TRIALS]
    if strange := [name for name in only if name not in known]:
        raise UsageError(f"no operation {shown(strange[0])} is tried", f"one of {', '.join(known)}")
    system = prepare(scenario, registry).system
    findings = Findings(system.name)
    speaker = system.speaker() if isinstance(system, Spoken) else None
    if server != "real" and speaker is not None:
        every = cases(client=system.client, speaker=speaker, wait_s=5.0)
        try_scripted(findings, [c for c in every if not only or c.trial.name in only])
    elif server == "scripted":
        raise UsageError(
            f"the system {shown(system.name)} brings no speaker of its protocol",
            "--server real, or speaker() of the system: harness.contract.speaker",
        )
    if server != "scripted":
        try:
            findings.versions = dict(system.versions())
        except NeedsError:
            if not findings.rows:
                raise
        findings.provider, tried = try_real_server(scenario, registry, only, _note)
        note_proxied(findings, tried)
    return findings
