"""A fault: something that goes wrong on purpose, proved to bite and proved to be healed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any, Protocol, runtime_checkable

from harness.contract.node import Cluster
from harness.contract.roles import Role
from harness.contract.shot import Shot as Shot
from harness.contract.system import Stage as Stage
from harness.contract.system import System
from harness.history.effects import Effects as Effects
from harness.history.effects import Ended as Ended


@dataclass(frozen=True, kw_only=True)
class Proof:
    """A measurement: whether the thing is so, in a sentence, with the figures (JSON)."""

    holds: bool
    what: str
    figures: Mapping[str, Any] = field(default_factory=dict)


class Fault(Protocol):
    """One kind of fault. A module exposes ``NEMESES: dict[str, Factory]``, ``Factory(options)``.

    ``name`` is the word given to ``--nemesis``. Calls block and are made from a worker thread.
    """

    name: str

    def refusal(self, cluster: Cluster, system: System) -> str | None:
        """Why this cluster or system cannot take the fault, or ``None``. Asked before set-up."""
        ...

    def plan(self, nodes: Sequence[str], rng: Random) -> dict[str, Any]:
        """Draw the next shape and targets from ``rng`` alone (JSON; the seed fixes it)."""
        ...

    def resolve(self, plan: Mapping[str, Any], stage: Stage) -> tuple[list[str], dict[str, Any]]:
        """Turn a plan into node names and details now (``primaries`` are known only now)."""
        ...

    def inject(self, stage: Stage, targets: Sequence[str], detail: Mapping[str, Any]) -> None:
        """Do it. Called after the ledger holds the intention on disk."""
        ...

    def bit(self, stage: Stage, targets: Sequence[str], detail: Mapping[str, Any]) -> Proof:
        """Measure whether it bites now. May be asked again until the heal."""
        ...

    def heal(self, stage: Stage, targets: Sequence[str], detail: Mapping[str, Any]) -> None:
        """Undo it. Safe twice, and where nothing was injected."""
        ...

    def healed(self, stage: Stage, targets: Sequence[str], detail: Mapping[str, Any]) -> Proof:
        """Measure whether it is gone."""
        ...


@runtime_checkable
class HasEffects(Protocol):
    """A fault that declares what it does (:mod:`harness.history.effects`).

    Ends of processes, lines of logs and late recoveries are excused by effects alone. A fault
    without may have done anything to its targets: what ends there while it is in force makes the
    run ``unknown``, neither its fault's doing nor a crash.
    """

    def effects(self, stage: Stage, targets: Sequence[str], detail: Mapping[str, Any]) -> Effects:
        """What :meth:`Fault.inject` is about to do. Asked once, before it; nothing is done yet."""
        ...


@runtime_checkable
class Prepares(Protocol):
    """A fault whose injection can be made ready."""

    def prepare(self, stage: Stage, targets: Sequence[str], detail: Mapping[str, Any]) -> Shot:
        """What ``inject`` would do, made ready. Nothing is done yet; may be asked again.

        The state of the cluster may be another by the time it is fired.
        """
        ...


@runtime_checkable
class ResolvesLate(Protocol):
    """A fault (or action) some of whose plans name targets that only the moment itself tells.

    Such a plan (whoever leads after the change of leaders that it waits for) is not armed ahead.
    """

    def resolves_late(self, plan: Mapping[str, Any]) -> bool:
        """Whether this plan is one of them."""
        ...


@runtime_checkable
class ChoosesDuration(Protocol):
    """A fault that may last otherwise than others do, unless a schedule's file says how long."""

    def lasts_s(self, asked_s: float | None) -> float | None:
        """Seconds, or ``None`` where it has no wish; ``asked_s`` is ``--nemesis-duration``."""
        ...


@runtime_checkable
class AimsAtRoles(Protocol):
    """A fault that can be aimed at a role: ``--kill-targets alpha:one``."""

    def aim(self, roles: Sequence[Role]) -> None:
        """Take note of the system's roles; called once, before anything is planned or set up.

        ``UsageError``, with the roles that there are, where it was aimed at none of them.
        """
        ...


@runtime_checkable
class HasNeeds(Protocol):
    """A fault that says which abilities it stands on.

    ``needs`` are protocols of :mod:`harness.contract.node` (of a cluster, its nodes or daemons) and
    :mod:`harness.contract.system`. ``polygraph list --matrix`` tells by them where the fault is
    possible; :meth:`Fault.refusal` then asks whether it is here and now.
    """

    needs: Sequence[type]


@runtime_checkable
class Damages(Protocol):
    """A fault that destroys what a system was given to keep (bits flipped, an old snapshot).

    No system promises to survive that, so it is done where it is named, and is in no mix
    (``--nemesis all``); what follows of it is judged as what it is.
    """

    damages: bool


@runtime_checkable
class NeedsProcesses(Protocol):
    """A fault that hits a system's processes, and so makes no sense where it starts none."""

    needs_processes: bool
