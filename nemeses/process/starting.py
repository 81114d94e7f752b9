"""Starting again what a fault has ended, role by role and in their order, and nothing else."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any
from weakref import WeakKeyDictionary

from harness.contract.fault import Proof
from harness.contract.node import Cluster, Daemon
from harness.contract.roles import Place, in_waves
from harness.contract.system import Stage
from harness.errors import NodeError
from harness.linux.identity import ProcessIdentity
from harness.wording import named
from nemeses.targets import members, places, signal_if_alive

END_S = 10.0
"""A process that SIGKILL has not ended by then hangs in the kernel."""

_POLL_S = 0.02


def start_again(
    stage: Stage, detail: Mapping[str, Any], told: Collection[ProcessIdentity] = ()
) -> None:
    """Start each role on each node that ``detail`` names processes of, unless it runs again.

    What is left of them is ended first, and so is what was ``told`` to end and still runs; daemons
    of other roles are not touched. One node's trouble does not keep the others waiting;
    ``NodeError`` tells all of it. Safe twice.
    """
    named = places(detail, stage)
    trouble: list[str] = []
    for wave in in_waves(stage.roles, named):
        steps = {place: partial(_start_one, stage, place, told) for place in wave}
        trouble += attempt_all(steps)
    raise_all(trouble)


def runs_again(stage: Stage, targets: Sequence[str], detail: Mapping[str, Any]) -> Proof:
    """Whether each role on each node that ``detail`` names processes of runs whole."""
    named = places(detail, stage)
    down = [place for place in named if not _is_whole(stage, place)]
    running = {
        node: [
            d.identity.pid for of, role in named if of == node for d in _alive(stage, node, role)
        ]
        for node in targets
    }
    told = ", ".join(f"{role} on {node}" if stage.has_roles else node for node, role in down)
    what = f"does not run whole: {told}" if down else "every target runs again"
    return Proof(holds=not down, what=what, figures={"running": running})


def wait_for_end(daemon: Daemon) -> None:
    """Return once nothing of it is left; ``NodeError`` if that takes too long."""
    deadline = time.monotonic() + END_S
    daemon.wait(END_S)
    if daemon.alive():
        raise NodeError(
            f"{daemon.name}: process {daemon.identity.pid} outlived SIGKILL by {END_S:g} s"
        )
    while left := members(daemon):
        if time.monotonic() > deadline:
            numbers = " ".join(map(str, sorted(left)))
            raise NodeError(f"{daemon.name}: its processes {numbers} outlived SIGKILL")
        time.sleep(_POLL_S)


def attempt_all(steps: Mapping[Place, Callable[[], None]]) -> list[str]:
    """Do all steps, beside each other; what went wrong, each with its node."""
    if not steps:
        return []
    with ThreadPoolExecutor(len(steps), thread_name_prefix="process-fault") as pool:
        tried = [pool.submit(attempt, place[0], step) for place, step in steps.items()]
        return [said for each in tried for said in each.result()]


def attempt(node: str, step: Callable[[], None]) -> list[str]:
    """Run ``step``; what went wrong, so that one node's trouble does not keep others waiting."""
    try:
        step()
    except Exception as error:
        said = str(error) or named(error)
        return [said if said.startswith(f"{node}:") else f"{node}: {said}"]
    return []


def raise_all(trouble: Sequence[str]) -> None:
    """``NodeError`` if there is any trouble."""
    if trouble:
        raise NodeError("; ".join(trouble))


def _alive(stage: Stage, node: str, role: str) -> list[Daemon]:
    return [daemon for daemon in stage.daemons_of(node, role) if daemon.alive()]


def _is_whole(stage: Stage, place: Place) -> bool:
    daemons = stage.daemons_of(*place)
    return bool(daemons) and all(daemon.alive() for daemon in daemons)


def _start_one(stage: Stage, place: Place, told: Collection[ProcessIdentity]) -> None:
    """Start it unless it runs whole; of two faults that ended parts of it only one does."""
    with starting_of(stage, place):
        daemons = stage.daemons_of(*place)
        if _is_whole(stage, place) and not any(daemon.identity in told for daemon in daemons):
            return
        for daemon in daemons:
            if daemon.alive() or members(daemon):
                signal_if_alive(daemon, signal.SIGKILL)
                wait_for_end(daemon)
        stage.start(*place)


_STARTING: WeakKeyDictionary[Cluster, dict[Place, threading.Lock]] = WeakKeyDictionary()
_LOCK = threading.Lock()


def starting_of(stage: Stage, place: Place) -> threading.Lock:
    """Held while this role of this node is started again, or must not be."""
    with _LOCK:
        of_cluster = _STARTING.setdefault(stage.cluster, {})
        return of_cluster.setdefault(place, threading.Lock())
