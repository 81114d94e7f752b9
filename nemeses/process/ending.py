"""What faults have in common that end processes on purpose and start them again on the same data.

The proof of bite is the exit status of exactly the processes that the ledger names, or, where
nobody could learn it, that a process which lived when it was told to end is gone, and that nothing
is left of any of them; one that ended by itself before is not the fault's. The heal starts the
roles whose processes were named, in the order in which roles start, and touches no other: of a node
whose Alpha was ended the Zero runs on. The proof of healing is that they run whole again.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from random import Random
from typing import Any

from harness.contract.fault import Effects, Ended, Proof, Stage
from harness.contract.node import Cluster, Daemon, HasProcesses, MayRefuseSignals
from harness.contract.roles import Place, Role
from harness.contract.system import System
from harness.linux.identity import ProcessIdentity
from nemeses.process.starting import runs_again, start_again
from nemeses.targets import (
    PRIMARIES,
    TARGETS,
    Aim,
    check_roles,
    choices,
    find_daemon,
    members,
    no_processes,
    not_signalled,
    places,
    plan_targets,
    processes,
    resolve_targets,
)


@dataclass(frozen=True, kw_only=True)
class End:
    """How one process ended: exit status if known, state, and whether it ended as it was to.

    ``left`` is how many processes that it had started run on.
    """

    status: int | None
    state: str
    as_meant: bool
    left: int = 0


class EndsProcesses(ABC):
    """Targets, effects, proofs and heal; how they are ended (``inject``) is what differs.

    ``key`` is the option that says whom, ``how`` says in words how they end.
    """

    needs_processes = True
    needs: Sequence[type] = (HasProcesses,)
    key = ""
    how = ""
    politely = False

    def __init__(self, options: Mapping[str, Any]) -> None:
        self._words = choices(options, self.key, TARGETS, "target", roles=True)
        self._told: set[ProcessIdentity] = set()
        self._ends: dict[ProcessIdentity, End] = {}

    @abstractmethod
    def statuses(self, stage: Stage, role: str) -> Sequence[int]:
        """The exit statuses (minus a signal) with which a daemon of ``role`` is to end."""

    def may_end_with(self, stage: Stage, role: str) -> Sequence[int]:
        """These, and those of a way that it takes only to get rid of what does not obey."""
        return self.statuses(stage, role)

    def aim(self, roles: Sequence[Role]) -> None:
        """Refuses roles that there are not."""
        check_roles(self._words, self.key, roles)

    def refusal(self, cluster: Cluster, system: System) -> str | None:
        """Where the system says that it has no processes, or they are not ours to end."""
        return no_processes(system) or not_signalled(cluster) or self._nobody_starts(cluster)

    def _nobody_starts(self, cluster: Cluster) -> str | None:
        if isinstance(cluster, MayRefuseSignals):
            return cluster.end_refusal(self.politely)
        return None

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
        """Each named process ends so."""
        return Effects(
            ends=tuple(
                Ended(node, process, tuple(map(int, self.may_end_with(stage, role))))
                for (node, role), named in places(detail, stage).items()
                for process in named
            )
        )

    def bit(self, stage: Stage, targets: Sequence[str], detail: Mapping[str, Any]) -> Proof:
        """Whether every named process ended as it was to, and all that was of it with it."""
        ends: dict[str, list[dict[str, Any]]] = {node: [] for node in targets}
        for (node, role), named in places(detail, stage).items():
            for identity in named:
                end = asdict(self._end(stage, (node, role), identity))
                ends.setdefault(node, []).append({"pid": identity.pid, **end})
        every = [end for of_node in ends.values() for end in of_node]
        count, left = sum(end["as_meant"] for end in every), sum(end["left"] for end in every)
        holds = bool(every) and count == len(every) and not left
        what = f"{count} of {len(every)} processes on {' '.join(targets)} {self.how}"
        what += f"; {left} that they had started run on" if left else ""
        return Proof(holds=holds, what=what, figures={"processes": ends})

    def heal(self, stage: Stage, targets: Sequence[str], detail: Mapping[str, Any]) -> None:
        """Start again the roles of which it ended processes, where they do not run whole."""
        start_again(stage, detail, self._told)
        for _, process in processes(detail):
            stage.note_spared(process)

    def healed(self, stage: Stage, targets: Sequence[str], detail: Mapping[str, Any]) -> Proof:
        """Whether every role of which it ended processes runs whole again."""
        return runs_again(stage, targets, detail)

    def begin(self, stage: Stage, detail: Mapping[str, Any]) -> None:
        """Have no other fault aimed at what is ended now."""
        for _, process in processes(detail):
            stage.note_ending(process)

    def named(self, stage: Stage, detail: Mapping[str, Any]) -> list[tuple[str, str, Daemon]]:
        """(node, role, daemon) of what the ledger names and nobody has replaced."""
        return [
            (node, role, daemon)
            for (node, role), named in places(detail, stage).items()
            for identity in named
            if (daemon := find_daemon(stage, node, identity)) is not None
        ]

    def told(self, daemon: Daemon) -> None:
        """Note that this daemon lived and was told to end."""
        self._told.add(daemon.identity)

    def note_end(self, stage: Stage, role: str, daemon: Daemon) -> None:
        """Keep how it ended, because a restart puts another daemon in its place."""
        self._ends[daemon.identity] = self._end_of(stage, role, daemon)

    def _end(self, stage: Stage, place: Place, identity: ProcessIdentity) -> End:
        """How the process ended, as far as that is known by now."""
        daemon = find_daemon(stage, place[0], identity)
        if daemon is not None:
            return self._end_of(stage, place[1], daemon)
        return self._ends.get(identity, End(status=None, state="replaced", as_meant=False))

    def _end_of(self, stage: Stage, role: str, daemon: Daemon) -> End:
        status, state = daemon.exit_status(), daemon.state()
        was_ours = status is None and state == "gone" and daemon.identity in self._told
        as_meant = was_ours or (status is not None and status in self.statuses(stage, role))
        left = 0 if status is None and state != "gone" else len(members(daemon))
        return End(status=status, state=state, as_meant=as_meant, left=left)
