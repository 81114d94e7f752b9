"""MariaDB's words for a promotion (:mod:`systems.drivers.sql.promotion`), with GTIDs.

A server that is shut down does not wait for its replicas. So one that is fenced *before* is made
read-only first, which waits for the commits under way, and stopped once the other has executed all
that it wrote. Whoever comes back with data that nobody else has (fenced *after*) begins anew, with
a server id that it never had (a replica skips what its own id wrote): the new primary's binary log
goes back to the first transaction.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from harness.contract.node import Node
from systems.drivers.sql.members import NotAnswered
from systems.drivers.sql.promotion import PROMOTION_S
from systems.mariadb import members

_POLL_S: Final = 0.1
_CATCH_UP_S: Final = 5.0
"""How long nobody may write while the other executes what there is."""


class MariadbServers:
    """The servers of a run (``Servers``)."""

    def is_leading(self, node: Node) -> bool:
        """By ``read_only``."""
        return members.is_leading(node)

    def before_it_stops(self, old: Node, to: Node) -> None:
        """``old`` takes no more writes, and ``to`` has executed all that there were."""
        members.ask(old, "SET GLOBAL read_only = ON", PROMOTION_S)
        try:
            place = str(members.ask(old, "SELECT @@global.gtid_binlog_pos")[0][0])
            wait = f"SELECT MASTER_GTID_WAIT('{place}', {round(_CATCH_UP_S)})"
            waited = members.ask(to, wait, _CATCH_UP_S + 1)[0][0]
        except NotAnswered:
            members.ask(old, "SET GLOBAL read_only = OFF", PROMOTION_S)
            raise
        if waited is None or int(waited) != 0:
            members.ask(old, "SET GLOBAL read_only = OFF", PROMOTION_S)
            raise NotAnswered("it has not executed what the primary wrote")

    def promote(self, node: Node) -> None:
        """What it has received is executed; then it follows nobody, and takes writes."""
        members.ask(node, "STOP SLAVE IO_THREAD", PROMOTION_S)
        _until(lambda: members.has_executed_all(node), "it has not executed what it received")
        members.ask(node, "STOP SLAVE", PROMOTION_S)
        members.ask(node, "RESET SLAVE ALL", PROMOTION_S)
        members.ask(node, "SET GLOBAL read_only = OFF", PROMOTION_S)

    def follow(self, node: Node, primary: Node) -> None:
        """By ``CHANGE MASTER``, from where it is."""
        members.follow(node, primary)

    def is_back(self, node: Node, primary: Node) -> None:
        """By the same, once it answers; if it never does, readiness sees to it."""
        deadline = time.monotonic() + PROMOTION_S
        while time.monotonic() < deadline:
            try:
                members.follow(node, primary)
                return
            except NotAnswered:
                time.sleep(_POLL_S)


def _until(is_so: Callable[[], bool], otherwise: str) -> None:
    deadline = time.monotonic() + PROMOTION_S
    while not is_so():
        if time.monotonic() >= deadline:
            raise NotAnswered(otherwise)
        time.sleep(_POLL_S)
