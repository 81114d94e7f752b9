"""Promotes a standby of an SQL database, with the old primary fenced before or after.

A promotion makes a standby take writes, and the old primary its standby. What it is worth depends
on when the old primary is *fenced*, which is here: stopped.

* ``--fencing before`` (right): the old primary is shut down, and has sent all that it had to its
  standbys by then; only after that the other is promoted. If it does not end, nothing is promoted.
* ``--fencing after`` (wrong, and common): the standby is promoted at once, and the old primary is
  found out about some seconds later. Until then both take writes; clients that were opened on the
  old primary's node stay with it. All that it acknowledged meanwhile is lost.

Whoever is fenced comes back as a copy of the new primary. What is asked of the servers for that is
the vendor's (:class:`Servers`).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import Final, Protocol

from harness.contract.action import Outcome
from harness.contract.node import Node
from harness.contract.option import Option
from harness.contract.system import Stage
from harness.history.effects import Ended
from systems.drivers.sql.members import NotAnswered

PROMOTE: Final = "promote"
BEFORE, AFTER = "before", "after"
UNFENCED_S: Final = 3.0
PROMOTION_S: Final = 15.0
"""How long a promotion may take."""

FENCING: Final = Option(
    name="fencing",
    choices=(BEFORE, AFTER),
    default=BEFORE,
    help="whether the old primary is stopped before another is promoted, or seconds after",
)


class Servers(Protocol):
    """What a promotion asks of the servers of one vendor; ``NotAnswered`` where one is silent."""

    def is_leading(self, node: Node) -> bool:
        """Whether the server on ``node`` takes writes."""
        ...

    def before_it_stops(self, old: Node, to: Node) -> None:
        """See that ``to`` will have all that ``old`` acknowledges before it is stopped."""
        ...

    def promote(self, node: Node) -> None:
        """Have the server on ``node`` follow nobody, and take writes."""
        ...

    def follow(self, node: Node, primary: Node) -> None:
        """Have the standby on ``node`` follow another primary, from now on."""
        ...

    def is_back(self, node: Node, primary: Node) -> None:
        """Have the server on ``node``, which was just started again, follow ``primary``."""
        ...


class Leadership:
    """Who is the primary, as far as clients are told. Safe from any thread."""

    def __init__(self) -> None:
        self.primary: str | None = None
        self.moving = threading.Lock()
        """Held while a standby is promoted: meanwhile nobody who was fenced is started."""
        self._addresses: dict[str, str] = {}
        self._left_behind: str | None = None

    def note(self, node: Node, port: int) -> None:
        """Where clients reach the server on ``node``."""
        self._addresses[node.name] = node.reach(port, "client")

    def primary_of(self, stage: Stage) -> Node:
        """Who leads; the first node at first. Waits while that is being changed."""
        with self.moving:
            if self.primary is None:
                self.primary = stage.cluster.nodes[0].name
            return stage.cluster.node(self.primary)

    def address_for(self, node: str | None) -> str | None:
        """The address of the primary that a client of ``node`` is led to."""
        leader = node if node is not None and node == self._left_behind else self.primary
        return self._addresses.get(leader or "")

    def move(self, to: str, *, leaving: str | None) -> None:
        """From now on ``to`` is the primary; clients of ``leaving`` have not heard of it."""
        self.primary, self._left_behind = to, leaving

    def all_have_heard(self) -> None:
        """Nobody is led to the old primary any more."""
        self._left_behind = None


class Promotion:
    """Promotes one standby, with the old primary fenced before or after."""

    def __init__(self, servers: Servers, leadership: Leadership, fencing: str) -> None:
        self._servers = servers
        self._leadership = leadership
        self._fences_first = fencing == BEFORE
        self.strayed: set[str] = set()
        """Who may have followed the old primary further than the new one knows of."""

    def ends(self, stage: Stage, node: Node) -> Sequence[Ended]:
        """The servers that are stopped: the old primary, and who may have followed it too far."""
        to = self._candidate(stage, node)
        return [
            Ended(name, daemon.identity, (0,))
            for name in (() if to is None else self._fenced(stage, to))
            for daemon in stage.daemons[name]
            if daemon.alive()
        ]

    def promote(self, stage: Stage, node: Node) -> Outcome:
        """Promote the server on ``node``, or the next one where that leads already.

        Refused where it is silent, or alone.
        """
        old, to = self._leadership.primary, self._candidate(stage, node)
        if old is None or to is None:
            return Outcome(is_done=False, what=f"there is no standby but {node.name}")
        node = to
        if not self._leadership.moving.acquire(blocking=False):
            return Outcome(is_done=False, what="another promotion is under way")
        stopped = list[str]()
        try:
            if self._servers.is_leading(node):
                return Outcome(is_done=False, what=f"{node.name} leads already")
            self._move(stage, node, old, stopped)
        except NotAnswered as error:
            return Outcome(is_done=False, what=f"{node.name} was not promoted: {error}")
        finally:
            self._leadership.moving.release()
            for name in stopped:
                self._on_its_role(name, stage, stage.start)
                self.strayed.discard(name)
                if self._leadership.primary not in (None, name):
                    leader = stage.cluster.node(str(self._leadership.primary))
                    self._servers.is_back(stage.cluster.node(name), leader)
        fenced = "before" if self._fences_first else "after"
        what = f"{node.name} was promoted; {old} was fenced {fenced} that, and follows it"
        return Outcome(is_done=True, what=what, figures={"from": old, "to": node.name})

    def _move(self, stage: Stage, node: Node, old: str, stopped: list[str]) -> None:
        """Promote; notes in ``stopped`` whom it has stopped, and who is to be started again."""
        if self._fences_first:
            self._servers.before_it_stops(stage.cluster.node(old), node)
            stopped.append(old)
            self._on_its_role(old, stage, stage.stop)
        self._servers.promote(node)
        self._leadership.move(node.name, leaving=None if self._fences_first else old)
        if self._fences_first:
            for other in stage.cluster.nodes:
                if other.name not in (old, node.name):
                    self._servers.follow(other, node)
            return
        time.sleep(UNFENCED_S)
        for name in self._fenced(stage, node, old):
            stopped.append(name)
            self.strayed.add(name)
            self._on_its_role(name, stage, stage.stop)
        self._leadership.all_have_heard()

    def _candidate(self, stage: Stage, node: Node) -> Node | None:
        nodes = list(stage.cluster.nodes)
        at = [each.name for each in nodes].index(node.name)
        in_turn = nodes[at:] + nodes[:at]
        return next((n for n in in_turn if n.name != self._leadership.primary), None)

    def _fenced(self, stage: Stage, node: Node, old: str | None = None) -> list[str]:
        """Who is stopped and copied anew: unfenced, others may have followed too far, too."""
        if self._fences_first:
            leader = old or self._leadership.primary
            return [] if leader in (None, node.name) else [str(leader)]
        return [each.name for each in stage.cluster.nodes if each.name != node.name]

    def _on_its_role(self, node: str, stage: Stage, do: Callable[[str, str], object]) -> None:
        for role in stage.roles_on(node):
            do(node, role)
