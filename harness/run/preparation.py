"""Everything a scenario names, found and checked before anything is started.

Impossible combinations are refused here, with the reason, while there is nothing to clean up:
a workload whose abilities the system lacks, a time limit that leaves a fault without its turn,
a concurrency that the workload cannot use, a claim that is no model's name.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from harness.cluster import providers
from harness.cluster.provider import PlacesRoles, Request
from harness.contract.action import Action
from harness.contract.command import CommandClient, abilities_of
from harness.contract.fault import AimsAtRoles, ChoosesDuration, Fault
from harness.contract.roles import Role, checked
from harness.contract.system import FaultDurations, OfRoles, System, roles_of
from harness.contract.workload import Workload, WorkloadOptions
from harness.errors import UsageError
from harness.evidence.milestones import names_of
from harness.judge.claims import Claim
from harness.plugins import Registry
from harness.run.claims import claim_of, other_claim_of
from harness.run.schedule import Schedule, after_milestones, schedule
from harness.run.schedule_file import complete, read_lines
from harness.run.tracing import refuse_traces
from harness.store.scenario import Scenario
from harness.wording import shown


@dataclass(frozen=True)
class Parts:
    """The parts of one run, made but not started."""

    scenario: Scenario
    registry: Registry
    system: System
    workload: Workload
    roles: Sequence[Role]
    faults: Sequence[Fault | Action]
    schedule: Schedule | None
    claim: Claim
    """What the verdict is against."""
    other_claim: Claim | None = None
    """What is claimed besides, and not judged."""

    @property
    def claims(self) -> list[str]:
        """The models that the verdict is against, under their usual names."""
        return list(self.claim.models)

    @property
    def not_durable(self) -> str | None:
        """Why acknowledged writes may be lost with the options given, if they may."""
        return self.claim.not_durable


def prepare(scenario: Scenario, registry: Registry) -> Parts:
    """Make every part of ``scenario``; ``UsageError`` says why a combination is impossible."""
    system: System = registry.get("systems", scenario.system)(scenario.all_options)
    if scenario.client:
        _use_program(system, scenario.client)
    workload: Workload = registry.get("workloads", scenario.workload)(
        WorkloadOptions(
            nodes=scenario.nodes,
            concurrency=scenario.threads,
            seed=scenario.seed,
            extra=scenario.all_options,
            abilities=frozenset(system.abilities()),
        )
    )
    _refuse_missing_abilities(system, workload)
    registry.refuse_unowned("checkers", workload.checkers)
    _refuse_older_form(system)
    _refuse_incomplete(system)
    roles = _roles_of(system, scenario)
    if scenario.traces:
        refuse_traces(system)
    faults = [registry.get("nemeses", name)(scenario.all_options) for name in scenario.nemesis]
    for fault in faults:
        if isinstance(fault, AimsAtRoles):
            fault.aim(roles)
    claim = claim_of(system, workload, scenario.consistency_models, scenario.claims)
    return Parts(
        scenario,
        registry,
        system,
        workload,
        roles,
        faults,
        _schedule(scenario, system, faults),
        claim,
        other_claim_of(system, workload, claim),
    )


def _roles_of(system: System, scenario: Scenario) -> Sequence[Role]:
    """Who does what: as the system has it, or as those are that run already."""
    names = scenario.node_names
    roles, provider = roles_of(system, names), providers.of(scenario.provider)
    if isinstance(provider, PlacesRoles):
        return checked(system.name, provider.placed(scenario.all_options, names, roles), names)
    return roles


def request_of(parts: Parts, chosen: str | None = None) -> Request:
    """What the run asks of its provider; ``chosen`` is its full name where that is known."""
    scenario = parts.scenario
    return Request(
        provider=chosen or scenario.provider,
        nodes=scenario.node_names,
        system=parts.system,
        options=scenario.all_options,
        faults=[fault.name for fault in parts.faults],
    )


def _use_program(system: Any, command: str) -> None:
    """Let the clients of ``system`` be programs, which do what they say they can do."""
    argv, abilities = abilities_of(command)
    system.client = lambda op_timeout_s: CommandClient(argv, op_timeout_s, abilities)
    system.abilities = lambda: abilities


def _refuse_missing_abilities(system: System, workload: Workload) -> None:
    has = set(system.abilities())
    missing = [ability.__name__ for ability in workload.needs if ability not in has]
    if missing:
        raise UsageError(
            f"the workload {shown(workload.name)} needs {', '.join(missing)},"
            f" which the clients of {shown(system.name)} do not have",
            "polygraph list --matrix",
        )


METHODS: Final = ("abilities", "claims", "versions", "install", "start", "ready", "client")
"""What every system must have, with roles or without (:mod:`harness.contract.system`)."""


def _refuse_incomplete(system: System) -> None:
    """``UsageError`` for a system that lacks a method which every system has."""
    lacking = [name for name in METHODS if not callable(getattr(system, name, None))]
    if lacking:
        raise UsageError(
            f"the system {shown(system.name)} ({type(system).__name__}) lacks {', '.join(lacking)}",
            "harness/contract/system.py says what each promises; docs/tutorial.md has an example",
        )


def _refuse_older_form(system: System) -> None:
    """``UsageError`` for a system of contract 2, whose ``start`` got the node and the cluster."""
    start = getattr(system, "start", None)
    names = list(inspect.signature(start).parameters) if callable(start) else []
    if names[:1] == ["node"]:
        of_roles = ", role" if isinstance(system, OfRoles) else ""
        raise UsageError(
            f"{shown(system.name)} is written for an earlier contract: its"
            f" start({', '.join(names)}) is now start(stage, node{of_roles}),"
            " and ready, primaries and final_states get the"
            " stage too",
            "docs/plugins.md tells what changed in which version; stage.cluster is the cluster",
        )


def _schedule(
    scenario: Scenario, system: System, faults: Sequence[Fault | Action]
) -> Schedule | None:
    if scenario.nemesis_after and (scenario.schedule is not None or not faults):
        raise UsageError("--nemesis-after is of faults that --nemesis names, without a schedule")
    if not faults:
        return None
    longest = scenario.nemesis_duration
    least = {
        fault.name: system.least_duration_s(fault.name)
        for fault in faults
        if isinstance(system, FaultDurations)
    }
    own = {
        fault.name: lasts_s
        for fault in faults
        if isinstance(fault, ChoosesDuration) and (lasts_s := fault.lasts_s(longest)) is not None
    }
    if scenario.schedule is not None:
        usual_s = scenario.nemesis_interval / 2 if longest is None else longest
        found = read_lines(Path(scenario.schedule))
        return complete(
            found,
            faults,
            scenario.node_names,
            scenario.seed if found.seed is None else found.seed,
            lambda name: (
                own[name]
                if name in own
                else max(usual_s, least.get(name, 0.0) if longest is None else 0.0)
            ),
            scenario.time_limit,
            names_of(system),
        )
    return schedule(
        faults,
        nodes=scenario.node_names,
        seed=scenario.seed,
        interval_s=scenario.nemesis_interval,
        duration_s=scenario.nemesis_duration,
        time_limit_s=scenario.time_limit,
        least_duration_s=least if longest is None else {},
        own_duration_s=own,
        after=after_milestones(scenario.nemesis_after, scenario.nemesis, names_of(system)),
    )
