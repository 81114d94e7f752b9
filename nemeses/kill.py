"""Kill: end a node's processes with SIGKILL, and start them again on the same data.

A killed process answers nothing, flushes nothing and loses what it kept in memory alone; what
comes back must be what the system promised to keep. The proof of bite is the exit status of
exactly the processes that the ledger names; the proof of healing is that the system's processes
run on every target again.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from random import Random
from typing import Any

from harness.cluster.node import Cluster, Daemon
from harness.errors import NodeError
from harness.fault import Proof, Stage
from harness.system import System, SystemOption
from nemeses.targets import (
    TARGETS,
    choices,
    find_daemon,
    live_daemons,
    plan_targets,
    processes,
    resolve_targets,
    signal_if_alive,
)

END_S = 10.0
"""A process that SIGKILL has not ended by then hangs in the kernel."""


class Kill:
    """SIGKILL to the process group of each daemon of the targets; healed by ``System.start``."""

    name = "kill"
    options = (
        SystemOption(
            name="kill_targets",
            kind=str,
            default=",".join(TARGETS),
            help="whom to kill: a list of one, minority, majority, primaries, all",
        ),
    )

    def __init__(self, options: Mapping[str, Any]) -> None:
        self._words = choices(options, "kill_targets", TARGETS, "target")

    def refusal(self, cluster: Cluster, system: System) -> str | None:
        """Never refused: every system can be started again."""
        return None

    def plan(self, nodes: Sequence[str], rng: Random) -> dict[str, Any]:
        """A target word and the order in which nodes are taken."""
        return plan_targets(self._words, nodes, rng)

    def resolve(self, plan: Mapping[str, Any], stage: Stage) -> tuple[list[str], dict[str, Any]]:
        """The targets that run now, and their processes."""
        return resolve_targets(plan, stage)

    def inject(self, stage: Stage, targets: Sequence[str], detail: Mapping[str, Any]) -> None:
        """Kill them all at once, then see each one end."""
        doomed = [
            (node, daemon)
            for node, identity in processes(detail)
            if (daemon := find_daemon(stage, node, identity)) is not None
        ]
        trouble = []
        for node, daemon in doomed:
            trouble += _attempt(node, partial(signal_if_alive, daemon, signal.SIGKILL))
        for node, daemon in doomed:
            trouble += _attempt(node, partial(_wait_for_end, daemon))
        _raise_all(trouble)

    def bit(self, stage: Stage, targets: Sequence[str], detail: Mapping[str, Any]) -> Proof:
        """Whether every named process ended, by SIGKILL as far as its parent can tell."""
        ends: dict[str, list[dict[str, Any]]] = {node: [] for node in targets}
        for node, identity in processes(detail):
            ends.setdefault(node, []).append({"pid": identity.pid, **_end(stage, node, identity)})
        every = [end for of_node in ends.values() for end in of_node]
        holds = bool(every) and all(end["is_killed"] for end in every)
        count = sum(end["is_killed"] for end in every)
        what = f"{count} of {len(every)} processes on {' '.join(targets)} ended by SIGKILL"
        return Proof(holds=holds, what=what, figures={"processes": ends})

    def heal(self, stage: Stage, targets: Sequence[str], detail: Mapping[str, Any]) -> None:
        """Start the system again on each target that does not run whole."""
        trouble = []
        for node in targets:
            trouble += _attempt(node, partial(_restart, stage, node))
        _raise_all(trouble)

    def healed(self, stage: Stage, targets: Sequence[str], detail: Mapping[str, Any]) -> Proof:
        """Whether the daemons of every target run."""
        up = {node: [d.identity.pid for d in live_daemons(stage, node)] for node in targets}
        down = [node for node in targets if not _is_whole(stage, node)]
        what = f"no process of {' '.join(down)} runs" if down else "every target runs again"
        return Proof(holds=not down, what=what, figures={"running": up})


def _end(stage: Stage, node: str, identity: Any) -> dict[str, Any]:
    daemon = find_daemon(stage, node, identity)
    if daemon is None:
        return {"status": None, "state": "gone", "is_killed": True}
    status, state = daemon.exit_status(), daemon.state()
    is_killed = status == -signal.SIGKILL or (status is None and state == "gone")
    return {"status": status, "state": state, "is_killed": is_killed}


def _is_whole(stage: Stage, node: str) -> bool:
    daemons = stage.daemons.get(node, [])
    return bool(daemons) and all(daemon.alive() for daemon in daemons)


def _restart(stage: Stage, node: str) -> None:
    """Start ``node`` again unless it runs whole; a part that survived is ended first."""
    if _is_whole(stage, node):
        return
    for daemon in stage.daemons.get(node, []):
        if daemon.alive():
            signal_if_alive(daemon, signal.SIGKILL)
            _wait_for_end(daemon)
    cluster = stage.cluster
    stage.daemons[node] = list(stage.system.start(cluster.node(node), cluster))


def _wait_for_end(daemon: Daemon) -> None:
    daemon.wait(END_S)
    if daemon.alive():
        raise NodeError(
            f"{daemon.name}: process {daemon.identity.pid} outlived SIGKILL by {END_S:g} s"
        )


def _attempt(node: str, step: Callable[[], None]) -> list[str]:
    """Run ``step``; what went wrong, so that one node's trouble does not keep others waiting."""
    try:
        step()
    except Exception as error:
        return [f"{node}: {error}" if str(error) else f"{node}: {error!r}"]
    return []


def _raise_all(trouble: Sequence[str]) -> None:
    if trouble:
        raise NodeError("; ".join(trouble))


NEMESES = {"kill": Kill}
