"""A container of somebody else's as a node, and its first process as the daemon on it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness.cluster.adopted import Theirs
from harness.cluster.docker.attached.lives import Lives
from harness.cluster.docker.attached.members import Member
from harness.cluster.docker.link import SidecarLink
from harness.cluster.places import Placed, Places
from harness.cluster.remote import RemoteClock, RemoteDaemon
from harness.contract.node import ClockMethod
from harness.linux.identity import ProcessIdentity


class AttachedDaemon(RemoteDaemon):
    """One life of a container: its id, and when that began by the engine's clock.

    ``node`` is asked about it whichever side-car is beside it by then; all see the same processes.
    """

    def __init__(
        self, node: AttachedNode, identity: ProcessIdentity, lives: Lives, life: tuple[str, int]
    ) -> None:
        super().__init__(node.member.name, identity, node.ask)
        self._lives = lives
        self._life = life

    def exit_status(self) -> int | None:
        """``None`` while it runs, its exit code, or minus the signal that ended it."""
        return self._lives.status(*self._life)

    def wait(self, timeout_s: float) -> int | None:
        """Wait for the end; the exit status, or ``None`` at the time-out."""
        return self._lives.wait(*self._life, timeout_s)


class AttachedNode(Theirs, RemoteClock, Placed):
    """``link`` is the line to the side-car beside it, another one after each start of it."""

    def __init__(
        self, name: str, member: Member, id: str, places: Places, link: SidecarLink, log_dir: Path
    ) -> None:
        self.name = name
        self.member = member
        self.id = id
        self.places = places
        self.link = link
        self.log_dir = log_dir
        self.program: Mapping[str, Any] | None = None
        """The clock as it was last set, which a process that is started again is set to, too."""

    @property
    def client_address(self) -> str:
        """Where a client is led first."""
        return self.places.client_address()

    def set_clock(self, program: Mapping[str, Any], method: ClockMethod) -> Mapping[str, Any]:
        """Set the clock that the container's processes read (``ClockSettable``)."""
        told = super().set_clock(program, method)
        self.program = told["program"]
        return told

    def heal_clock(self) -> Mapping[str, Any]:
        """Have every process of the container read the true time again."""
        self.program = None
        return super().heal_clock()

    def ask(self, op: str, **request: Any) -> Mapping[str, Any]:
        """Ask whoever is beside it now."""
        return self.link.ask(op, **request)

    def _ask(self, op: str, **request: Any) -> Mapping[str, Any]:
        return self.ask(op, **request)
