"""What an operator asks of PostgreSQL while it serves: checkpoint, vacuum, promote a standby."""

from __future__ import annotations

from typing import Final

from harness.contract.action import Outcome
from harness.contract.node import Node
from harness.contract.system import Stage
from systems.drivers.sql.members import NotAnswered
from systems.drivers.sql.promotion import PROMOTE, PROMOTION_S, Promotion
from systems.postgresql import members

CHECKPOINT, VACUUM = "checkpoint", "vacuum"
ACTIONS: Final = (CHECKPOINT, VACUUM, PROMOTE)
"""What PostgreSQL can be asked for."""


class PgServers:
    """PostgreSQL's words for a promotion (``Servers``)."""

    def is_leading(self, node: Node) -> bool:
        """By ``pg_is_in_recovery``."""
        return members.is_leading(node)

    def before_it_stops(self, old: Node, to: Node) -> None:
        """Nothing: a server that is shut down sends its standbys all that it has."""

    def promote(self, node: Node) -> None:
        """By ``pg_promote``, which waits."""
        promote = f"SELECT pg_promote(true, {round(PROMOTION_S)})"
        if not members.ask(node, promote, PROMOTION_S + 1)[0][0]:
            raise NotAnswered("it goes on following")

    def follow(self, node: Node, primary: Node) -> None:
        """By ``primary_conninfo``."""
        members.follow(node, primary)

    def is_back(self, node: Node, primary: Node) -> None:
        """Nothing: a copy of the primary is made to follow it."""


def administer(promotion: Promotion, stage: Stage, node: Node, action: str) -> Outcome:
    """Do one of :data:`ACTIONS`; ``NotAnswered`` where nobody can know whether it was done."""
    if action == PROMOTE:
        return promotion.promote(stage, node)
    if action == VACUUM and not members.is_leading(node):
        return Outcome(is_done=False, what=f"{node.name} is a standby, which vacuums nothing")
    members.ask(node, action.upper(), PROMOTION_S)
    return Outcome(is_done=True, what=f"{action} on {node.name}")
