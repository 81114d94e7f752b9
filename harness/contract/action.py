"""An action: a momentary thing that is done to the system, and that nobody heals.

A compaction, a move of leadership, a snapshot: the system is asked for it and does it, or refuses,
which is often the right answer (there was nothing to compact). So an action has no bite and no
heal; the ledger holds its intention and what became of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any, Protocol, runtime_checkable

from harness.contract.node import Cluster, Node
from harness.contract.system import Stage, System
from harness.history.effects import Ended


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """Whether it was done, or refused in the normal way; in a sentence, with figures (JSON)."""

    is_done: bool
    what: str
    figures: Mapping[str, Any] = field(default_factory=dict)


@runtime_checkable
class Action(Protocol):
    """One kind of action. It stands in the table ``NEMESES`` beside faults, and is planned as they.

    ``name`` is the word given to ``--nemesis``. Calls block and are made from a worker thread. It
    may declare effects (:class:`harness.contract.fault.HasEffects`); without, it has none.
    """

    name: str

    def refusal(self, cluster: Cluster, system: System) -> str | None:
        """Why it is not possible here, or ``None``. Asked before set-up."""
        ...

    def plan(self, nodes: Sequence[str], rng: Random) -> dict[str, Any]:
        """Draw what to do and to whom from ``rng`` alone (JSON; the seed fixes it)."""
        ...

    def resolve(self, plan: Mapping[str, Any], stage: Stage) -> tuple[list[str], dict[str, Any]]:
        """Turn a plan into node names and details now. May be asked again until it is done."""
        ...

    def act(self, stage: Stage, targets: Sequence[str], detail: Mapping[str, Any]) -> Outcome:
        """Do it, once. Called after the ledger holds the intention on disk.

        A normal refusal is an answer; whatever goes wrong is raised, and what happened is unknown.
        """
        ...


@runtime_checkable
class Admin(Protocol):
    """A system that can be asked to do things while it serves, by the action ``admin``."""

    def admin_actions(self) -> Sequence[str]:
        """What it can be asked for, e.g. ``compact``; the words of ``--admin-actions``."""
        ...

    def administer(self, stage: Stage, node: Node, action: str, timeout_s: float) -> Outcome:
        """Ask for ``action`` at (or in favour of) ``node``, once.

        A refusal that is normal is an :class:`Outcome`; raises where nobody answers in time.
        """
        ...


@runtime_checkable
class EndsByAdmin(Protocol):
    """An :class:`Admin` some of whose actions end processes of the system, which is no crash."""

    def admin_ends(self, stage: Stage, node: Node, action: str) -> Sequence[Ended]:
        """What ``administer`` may end, and how; nothing is done yet."""
        ...
