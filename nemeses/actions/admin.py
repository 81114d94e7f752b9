"""Admin: what the system can be asked for by an operator, while clients work and other faults bite.

The system says what that is (:class:`harness.contract.action.Admin`); which of it, and of which
node, is drawn. The first node of the drawn order whose processes run is asked, and answers or
refuses.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from random import Random
from typing import Any, Final, cast

from harness.contract.action import Admin, EndsByAdmin, Outcome
from harness.contract.node import Cluster
from harness.contract.option import Duration, SystemOption
from harness.contract.system import Stage, System
from harness.errors import unknown_name
from harness.history.effects import Effects
from nemeses.targets import live_daemons

TIMEOUT_S: Final = 5.0


class AdminAction:
    """One of the system's own actions on one node."""

    name = "admin"
    needs = (Admin,)
    options = (
        SystemOption(
            name="admin_actions",
            kind=str,
            default=None,
            help="what the system is asked for: a list of what it can (default: all of that)",
        ),
        SystemOption(
            name="admin_timeout",
            kind=Duration,
            default=TIMEOUT_S,
            above=0,
            help="how long its answer is waited for",
        ),
    )

    def __init__(self, options: Mapping[str, Any]) -> None:
        given = options.get("admin_actions") or ""
        words = given.split(",") if isinstance(given, str) else given
        self._timeout_s = float(options.get("admin_timeout") or TIMEOUT_S)
        self._words = list(dict.fromkeys(word.strip() for word in words if word.strip()))

    def refusal(self, cluster: Cluster, system: System) -> str | None:
        """Where the system cannot be asked for anything, or not for this."""
        if not isinstance(system, Admin):
            return f"{system.name} does not say what it can be asked for (Admin)"
        known = list(system.admin_actions())
        for word in self._words:
            if word not in known:
                return f"--admin-actions: {unknown_name('action', word, known)}"
        return None if known else f"{system.name} can be asked for nothing"

    def plan(self, nodes: Sequence[str], rng: Random) -> dict[str, Any]:
        """Where the action stands among those there are (as a number), and an order of nodes."""
        action: dict[str, Any] = {"number": rng.randrange(1 << 30)}
        if self._words:
            action = {"action": rng.choice(self._words)}
        return {**action, "order": rng.sample(list(nodes), len(nodes))}

    def resolve(self, plan: Mapping[str, Any], stage: Stage) -> tuple[list[str], dict[str, Any]]:
        """The first node of the order that runs; the first of all where none does."""
        order: list[str] = list(plan["order"])
        running = [node for node in order if live_daemons(stage, node)]
        target = (running or order)[0]
        known = list(cast(Admin, stage.system).admin_actions())
        action = plan.get("action") or known[plan["number"] % len(known)]
        return [target], {"action": action, "what": f"{target}: {action}"}

    def effects(self, stage: Stage, targets: Sequence[str], detail: Mapping[str, Any]) -> Effects:
        """What the system says that this ends; else there are none."""
        if not isinstance(stage.system, EndsByAdmin):
            return Effects()
        node = stage.cluster.node(targets[0])
        return Effects(ends=tuple(stage.system.admin_ends(stage, node, detail["action"])))

    def act(self, stage: Stage, targets: Sequence[str], detail: Mapping[str, Any]) -> Outcome:
        """Ask for it, once."""
        node = stage.cluster.node(targets[0])
        system = cast(Admin, stage.system)
        return system.administer(stage, node, detail["action"], self._timeout_s)


NEMESES = {"admin": AdminAction}
