"""A system's start: refused where it cannot be, installed, started role by role, and formed.

Nodes of one role start beside each other, and so do roles of which none is after another; a role
starts once all that it is after was started on all of their nodes. A daemon that ends meanwhile
ends the start at once, with its last words.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import TypeVar

from harness.cluster.abilities import ABILITIES, lacking, of_systems
from harness.contract.action import Action
from harness.contract.fault import Fault, HasNeeds
from harness.contract.node import Attached, Cluster, Disk, Disks
from harness.contract.roles import Place, in_waves
from harness.contract.system import Forms, Stage
from harness.errors import NotReady, UsageError
from harness.run.preparation import Parts
from harness.run.waits import all_of
from harness.wording import shown

T = TypeVar("T")

GRACE_S = 10.0
"""How long after its own limit a call of a system may take to return."""


def refuse_faults(parts: Parts, cluster: Cluster) -> None:
    """``UsageError`` for the first fault that the system or the cluster cannot take."""
    for fault in parts.faults:
        refusal = _lacks(fault, parts, cluster.provider) or fault.refusal(cluster, parts.system)
        if refusal:
            raise UsageError(f"the fault {shown(fault.name)} is not possible here: {refusal}")


def provide_disks(parts: Parts, cluster: Cluster) -> None:
    """Have nodes get disks of their own where a fault needs them, and only there."""
    if _needs_disks(parts) and isinstance(cluster, Disks):
        cluster.provide_disks()


def keep_disks(parts: Parts, cluster: Cluster) -> None:
    """Have them keep what is on them: nobody installs a system and cuts the power at once."""
    if _needs_disks(parts):
        for node in cluster.nodes:
            if isinstance(node, Disk):
                node.sync_disk()


def _needs_disks(parts: Parts) -> bool:
    return any(Disk in fault.needs for fault in parts.faults if isinstance(fault, HasNeeds))


def _lacks(fault: Fault | Action, parts: Parts, provider: str) -> str | None:
    """What the system or the provider must be able to do for the fault, and is not."""
    needs = fault.needs if isinstance(fault, HasNeeds) else ()
    missing = [need for need in of_systems(needs) if not isinstance(parts.system, need)]
    if missing:
        return f"the system {shown(parts.system.name)} lacks what it needs: {_told(missing)}"
    missing = lacking(needs, provider) if provider in ABILITIES else []
    if missing:
        return f"nodes of the provider {provider} lack what it needs: {_told(missing)}"
    return None


def _told(abilities: Iterable[type]) -> str:
    """Abilities by name, and by what they are."""
    return ", ".join(
        f"{each.__name__} ({(each.__doc__ or '').splitlines()[0].rstrip('.')})"
        for each in abilities
    )


async def install(stage: Stage) -> None:
    """Install every role on its nodes, the nodes beside each other."""
    await all_of(
        asyncio.to_thread(_install, stage, node.name, stage.roles_on(node.name))
        for node in stage.cluster.nodes
    )


async def start(stage: Stage, tell: Callable[[str, str], None]) -> None:
    """Start every role on its nodes, in order.

    ``tell`` gets a sentence and the node that it is about.
    """
    places = [(node, role.name) for role in stage.roles for node in role.nodes]
    for wave in in_waves(stage.roles, places):
        await all_of(asyncio.to_thread(_start, stage, place, tell) for place in wave)


def hold_running(stage: Stage) -> None:
    """Know what runs already of each role on each node, where the cluster can tell."""
    if isinstance(stage.cluster, Attached):
        for role in stage.roles:
            for node in role.nodes:
                stage.hold(node, role.name, stage.cluster.running(node, role.name))


def _install(stage: Stage, node: str, roles: Sequence[str]) -> None:
    for role in roles:
        stage.install(node, role)


def _start(stage: Stage, place: Place, tell: Callable[[str, str], None]) -> None:
    node, role = place
    daemons = stage.start(node, role)
    started = ", ".join(f"{daemon.name} (pid {daemon.identity.pid})" for daemon in daemons)
    of_role = f" for its role {role}" if stage.has_roles else ""
    tell(f"started {started or 'no process'}{of_role}", node)


async def form(stage: Stage, timeout_s: float) -> None:
    """Have a system that :class:`Forms` put together; ``NotReady`` if that never returns."""
    if isinstance(stage.system, Forms):
        work = asyncio.to_thread(stage.system.form, stage, timeout_s)
        await within(work, timeout_s, f"forming {stage.system.name}")


async def within(work: Awaitable[T], timeout_s: float, what: str) -> T:
    """What ``work`` gives; ``NotReady`` if it has not returned some time after its own limit."""
    try:
        return await asyncio.wait_for(work, timeout_s + GRACE_S)
    except TimeoutError as error:
        raise NotReady(
            f"{what} did not return in {timeout_s + GRACE_S:g} s",
            "look at the logs under nodes/ of the run's folder",
        ) from error
