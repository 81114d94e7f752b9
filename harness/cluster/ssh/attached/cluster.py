"""What runs already on hosts, as a cluster whose processes, links and clocks can be broken.

The keeper of a host is the same as where we start the daemons (:mod:`harness.cluster.ssh.cluster`),
but these are no children of its: it finds them, takes note of them, and undoes what it did
to them when it ends. What was ended is started again by a command that runs as if it were typed on
the host (:mod:`harness.cluster.hands.command`), or by whoever supervises it there. How a process
ended nobody tells: only that it did.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.cluster import folders
from harness.cluster.adopted import OwnKeys, Theirs, refuse_silent
from harness.cluster.places import ports_of
from harness.cluster.remote import RemoteDaemon, identity_in
from harness.cluster.ssh.attached.logs import HostLog, begun, fetched
from harness.cluster.ssh.attached.meant import Wanted, start_command
from harness.cluster.ssh.attached.systemd import starts_again
from harness.cluster.ssh.cluster import SshCluster, worded
from harness.cluster.ssh.hosts import Host
from harness.cluster.ssh.link import KeeperLink, on_all
from harness.cluster.ssh.node import SshNode, ask_clock, end_keeper, places_of
from harness.contract.node import ClockMethod, Daemon
from harness.contract.roles import Role
from harness.contract.system import System
from harness.errors import NodeError, SetupError
from harness.store import registration

_BACK_S = 60.0
_POLL_S = 0.05
_LATER = "polygraph heal, once {places} answer"
_START_HINT = (
    "--start-command 'systemctl start NAME' (or whatever starts it there); or --start-command"
    " itself, where a supervisor does"
)


class AttachedDaemon(RemoteDaemon):
    """A process that somebody else started on a host."""

    def exit_status(self) -> int | None:
        """Never known: who started it learns that."""
        return None

    def wait(self, timeout_s: float) -> int | None:
        """Wait for the end; ``None``, since nobody tells how it ended."""
        deadline = time.monotonic() + timeout_s
        while self.alive() and time.monotonic() < deadline:
            time.sleep(_POLL_S)
        return None


class AttachedNode(Theirs, SshNode):
    """A host on which nothing of ours runs but a keeper."""

    program: Mapping[str, Any] | None = None
    """The clock as it was last set, to which a process that is started again is set, too."""

    @property
    def client_address(self) -> str:
        """Where a client is led first."""
        return self.places.client_address()

    def set_clock(self, program: Mapping[str, Any], method: ClockMethod) -> Mapping[str, Any]:
        """Set the clock that those processes read (``ClockSettable``)."""
        told = super().set_clock(program, method)
        self.program = told["program"]
        return told

    def heal_clock(self) -> Mapping[str, Any]:
        """Have every one of them read the true time again."""
        self.program = None
        return super().heal_clock()

    def set_again(self) -> None:
        """Have what runs by now read the clock as it was set last."""
        if self.program is not None:
            self._clock(do="set", program=dict(self.program))


class AttachedCluster(SshCluster):
    """Hosts with what runs there.

    Also ``RunsAlready``, ``Attached``, ``MayHaveLogs`` and ``MayRefuseSignals``.
    """

    provider = "ssh:attach"

    def __init__(
        self,
        run_dir: Path,
        hosts: Sequence[Host],
        base: str,
        system: System,
        roles: Sequence[Role],
        wanted: Wanted,
        given_command: str | None = None,
        log_places: Mapping[str, tuple[str, str]] | None = None,
    ) -> None:
        super().__init__(run_dir, hosts, base, ports_of(system))
        self._system = system
        self._roles = roles
        self._wanted = wanted
        self._given_command = given_command
        self._log_places = log_places or {}
        self._logs: list[HostLog] = []
        self._keys = OwnKeys(self._run_dir, self, system)
        self._attaching = threading.Lock()
        self._theirs: dict[str, AttachedNode] = {}
        self._daemons: dict[tuple[str, str], Daemon] = {}

    # -- the run's beginning and end -----------------------------------------------------------

    def up(self) -> None:
        """Find what runs on every host, or raise ``SetupError``; ``down`` ends what was made."""
        self._attach()
        refuse_silent(self.nodes, "the hosts' ports for clients must be reachable from here")
        for node in self.nodes:
            node.log_dir.mkdir(parents=True, exist_ok=True)
        self._logs = begun(self._log_places, self._roles, self._theirs)

    def adopt(self) -> Mapping[str, str]:
        """Have the system write under the run's own name from now on; what is under test."""
        return self._keys.adopt()

    def down(self) -> None:
        """Undo all that was done on the hosts, and remove what was made. Safe twice.

        ``NodeError`` names the hosts where something is left or that cannot be reached; then
        the run stays registered, and ``polygraph heal`` finishes it.
        """
        self._is_ending = True
        left, trouble = on_all(self._links, lambda name, link: end_keeper(link))
        said = [f"{name}: {what}" for name, whats in left.items() for what in whats]
        said += [error.message for error in trouble.values()]
        if said:
            raise NodeError("; ".join(said), "polygraph heal")
        self._keys.clear(_LATER)
        registration.remove(self._run_dir)

    def has_logs(self) -> bool:
        """Whether somebody said where any log is (``MayHaveLogs``)."""
        return bool(self._logs)

    def collect(self) -> list[str]:
        """Fetch what is new of the logs that were named; a sentence for each that did not come."""
        return fetched(self._logs)

    def leave_running(self) -> None:
        """As :meth:`down`: what is not ours runs on anyway."""
        self.down()

    # -- processes -----------------------------------------------------------------------------

    def signal_refusal(self) -> str | None:
        """Why they cannot be signalled (``MayRefuseSignals``). Attaches."""
        self._attach()
        found, trouble = on_all(self._links, lambda name, link: link.ask("may-signal")["why"])
        if trouble:
            raise SetupError(*worded(trouble))
        why = "; ".join(f"{name}: {each}" for name, each in sorted(found.items()) if each)
        return f"{why}; to change that: log in as root, or as its user" if why else None

    def end_refusal(self, politely: bool) -> str | None:
        """Why nobody would start again what was ended (``MayRefuseSignals``). Attaches."""
        self._attach()
        nobody = [
            name
            for name in self._links
            for role in self._roles
            if name in role.nodes
            and self._command(name, role.name) is None
            and not self._is_supervised(name, role.name, politely)
        ]
        if not nobody:
            return None
        return (
            f"nobody says who starts again what was ended on {' '.join(dict.fromkeys(nobody))};"
            f" to change that: {_START_HINT}"
        )

    def running(self, node: str, role: str) -> Sequence[Daemon]:
        """The process that was found (``Attached``)."""
        return (self._daemons[node, role],)

    def start_again(self, node: str, role: str) -> Sequence[Daemon]:
        """Have it started on its host, and find it (``Attached``)."""
        link, ended = self._links[node], self._daemons[node, role]
        if not ended.alive():
            self._start(node, role)
        deadline = time.monotonic() + _BACK_S
        while True:
            try:
                daemon = self._found(link, role)
                if daemon.identity != ended.identity or ended.alive():
                    break
                why = "it is still ending"
            except NodeError as error:
                why = error.message
            if time.monotonic() > deadline:
                raise NodeError(
                    f"{node}: {role} does not run again after {_BACK_S:g} s: {why}",
                    f"start it on {link.host}, or {_START_HINT}",
                )
            time.sleep(_POLL_S)
        self._daemons[node, role] = daemon
        self._theirs[node].set_again()
        return (daemon,)

    def clock_refusal(self, method: ClockMethod) -> str | None:
        """Why the clocks of these processes cannot be set (``Clocks``). Attaches.

        Each is seized for a moment, as it will be.
        """
        if method == "machine":
            return super().clock_refusal(method)
        self._attach()
        _, trouble = on_all(self._links, lambda name, link: ask_clock(link, method, do="rehearse"))
        if not trouble:
            return None
        why = "; ".join(trouble[name].message for name in sorted(trouble))
        return f"{why}; to change that: log in as root"

    # -- attaching -----------------------------------------------------------------------------

    def _attach(self) -> None:
        """Reach every host and find what is meant there. Safe twice."""
        with self._attaching:
            if self._daemons:
                return
            self._connect()
            found, trouble = on_all(self._links, self._find)
            if trouble:
                raise SetupError(*worded(trouble))
            self._theirs = {
                name: AttachedNode(
                    link,
                    places_of(link.host, self._addresses[name], self._ports),
                    folders.of_node(self._run_dir, name),
                )
                for name, link in self._links.items()
            }
            self.nodes = list(self._theirs.values())
            self._daemons = {
                (name, role): daemon
                for name, of_node in found.items()
                for role, daemon in of_node.items()
            }

    def _find(self, name: str, link: KeeperLink) -> dict[str, Daemon]:
        """The process of each role that the host has."""
        return {
            role.name: self._found(link, role.name) for role in self._roles if name in role.nodes
        }

    def _found(self, link: KeeperLink, role: str) -> Daemon:
        how, what = self._wanted[role]
        found = link.ask("find", how=how, what=what)["found"]
        known = link.ask("adopt", pid=found["pid"], ticks=found["ticks"])
        return AttachedDaemon(role, identity_in(known), link.ask)

    def _command(self, node: str, role: str) -> list[str] | None:
        return start_command(self._given_command, self._system, node, role)

    def _is_supervised(self, node: str, role: str, politely: bool) -> bool:
        def run(argv: list[str]) -> str:
            said: list[bytes] = []
            self._theirs[node].fetch({"argv": argv}, said.append)
            return b"".join(said).decode(errors="replace")

        return starts_again(run, self._daemons[node, role].identity.pid, politely)

    def _start(self, node: str, role: str) -> None:
        """Run the command that starts it; nothing where it comes by itself."""
        link, argv = self._links[node], self._command(node, role)
        if not argv:
            return
        settings = {"argv": argv, "limit_s": _BACK_S}
        channel = link.execute("command.py", settings, _BACK_S + 10.0)
        try:
            answer, _ = link.answer(channel)
        finally:
            channel.close()
        if "error" in answer:
            raise NodeError(f"{node}: {answer['error']}", _START_HINT)
        if answer["exit"] != 0:
            how = "has not ended" if answer["exit"] is None else f"ended with {answer['exit']}"
            raise NodeError(f"{node}: {' '.join(argv)} {how}: {answer['said']}", _START_HINT)
