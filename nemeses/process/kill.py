"""Kill: end a node's processes with SIGKILL, and start them again on the same data.

A killed process answers nothing, flushes nothing and loses what it kept in memory alone; what
comes back must be what the system promised to keep. With a daemon ends all that it started, in
whatever session or group (PostgreSQL's backends, what was forked twice). The proof of bite is the
exit status of exactly the processes that the ledger names, or, where nobody could learn it, that a
process which lived when our signal went out to it is gone, and that nothing is left of any of
them; one that ended by itself before was not killed. The heal starts the roles whose processes were
named, in the order in which roles start, and touches no other: of a node whose Alpha was killed the
Zero runs on. The proof of healing is that they run whole again.
"""

from __future__ import annotations

import signal
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from random import Random
from typing import Any

from harness.contract.fault import Effects, Ended, Proof, Stage
from harness.contract.node import Cluster, Daemon, HasProcesses
from harness.contract.option import SystemOption
from harness.contract.roles import Role
from harness.contract.system import System
from harness.linux.identity import ProcessIdentity
from nemeses.process.starting import attempt, raise_all, runs_again, start_again, wait_for_end
from nemeses.targets import (
    PRIMARIES,
    TARGETS,
    Aim,
    check_roles,
    choices,
    find_daemon,
    members,
    no_processes,
    plan_targets,
    processes,
    resolve_targets,
)

_KEY = "kill_targets"


@dataclass(frozen=True, kw_only=True)
class _End:
    """How one process ended: exit status if known, state, and whether our signal did it.

    ``left`` is how many processes that it had started run on.
    """

    status: int | None
    state: str
    is_killed: bool
    left: int = 0


class Kill:
    """SIGKILL to all that is of each daemon of the targets; healed by ``System.start``."""

    name = "kill"
    needs_processes = True
    needs = (HasProcesses,)
    options = (
        SystemOption(
            name=_KEY,
            kind=str,
            default=",".join(TARGETS),
            help="whom to kill: a list of one, minority, majority, primaries, all, or alpha:one"
            " for the role alpha alone",
        ),
    )

    def __init__(self, options: Mapping[str, Any]) -> None:
        self._words = choices(options, _KEY, TARGETS, "target", roles=True)
        self._shot: set[ProcessIdentity] = set()
        self._ends: dict[ProcessIdentity, _End] = {}

    def aim(self, roles: Sequence[Role]) -> None:
        """Refuses roles that there are not."""
        check_roles(self._words, _KEY, roles)

    def refusal(self, cluster: Cluster, system: System) -> str | None:
        """Only where the system says that it has no processes."""
        return no_processes(system)

    def plan(self, nodes: Sequence[str], rng: Random) -> dict[str, Any]:
        """A target word and the order in which nodes are taken."""
        return plan_targets(self._words, nodes, rng)

    def resolves_late(self, plan: Mapping[str, Any]) -> bool:
        """Where the leaders are meant: who they are is known at the moment only."""
        return Aim.of(plan["target"]).word == PRIMARIES

    def resolve(self, plan: Mapping[str, Any], stage: Stage) -> tuple[list[str], dict[str, Any]]:
        """The targets that run now, and their processes."""
        return resolve_targets(plan, stage)

    def effects(self, stage: Stage, targets: Sequence[str], detail: Mapping[str, Any]) -> Effects:
        """Each named process ends by SIGKILL."""
        statuses = (-int(signal.SIGKILL),)
        named = processes(detail)
        return Effects(ends=tuple(Ended(node, each, statuses) for node, each in named))

    def inject(self, stage: Stage, targets: Sequence[str], detail: Mapping[str, Any]) -> None:
        """Kill them all at once, then see each one end."""
        doomed = [
            (node, daemon)
            for node, identity in processes(detail)
            if (daemon := find_daemon(stage, node, identity)) is not None
        ]
        trouble = []
        for node, daemon in doomed:
            trouble += attempt(node, partial(self._shoot, daemon))
        for node, daemon in doomed:
            trouble += attempt(node, partial(wait_for_end, daemon))
            # Kept, because a restart puts another daemon in its place.
            self._ends[daemon.identity] = self._end_of(daemon)
        raise_all(trouble)

    def bit(self, stage: Stage, targets: Sequence[str], detail: Mapping[str, Any]) -> Proof:
        """Whether every named process ended by SIGKILL, and all that was of it with it."""
        ends: dict[str, list[dict[str, Any]]] = {node: [] for node in targets}
        for node, identity in processes(detail):
            end = asdict(self._end(stage, node, identity))
            ends.setdefault(node, []).append({"pid": identity.pid, **end})
        every = [end for of_node in ends.values() for end in of_node]
        count, left = sum(end["is_killed"] for end in every), sum(end["left"] for end in every)
        holds = bool(every) and count == len(every) and not left
        what = f"{count} of {len(every)} processes on {' '.join(targets)} ended by SIGKILL"
        what += f"; {left} that they had started run on" if left else ""
        return Proof(holds=holds, what=what, figures={"processes": ends})

    def heal(self, stage: Stage, targets: Sequence[str], detail: Mapping[str, Any]) -> None:
        """Start again the roles of which it ended processes, where they do not run whole."""
        start_again(stage, detail)

    def healed(self, stage: Stage, targets: Sequence[str], detail: Mapping[str, Any]) -> Proof:
        """Whether every role of which it ended processes runs whole again."""
        return runs_again(stage, targets, detail)

    def _shoot(self, daemon: Daemon) -> None:
        """SIGKILL; noted only if the process lived and the signal went out."""
        was_alive = daemon.alive()
        try:
            daemon.signal(signal.SIGKILL)
        except Exception:
            if daemon.alive():
                raise
            return
        if was_alive:
            self._shot.add(daemon.identity)

    def _end(self, stage: Stage, node: str, identity: ProcessIdentity) -> _End:
        """How the process ended, as far as that is known by now."""
        daemon = find_daemon(stage, node, identity)
        if daemon is not None:
            return self._end_of(daemon)
        return self._ends.get(identity, _End(status=None, state="replaced", is_killed=False))

    def _end_of(self, daemon: Daemon) -> _End:
        status, state = daemon.exit_status(), daemon.state()
        was_ours = status is None and state == "gone" and daemon.identity in self._shot
        is_killed = status == -signal.SIGKILL or was_ours
        left = 0 if status is None and state != "gone" else len(members(daemon))
        return _End(status=status, state=state, is_killed=is_killed, left=left)


NEMESES = {"kill": Kill}
