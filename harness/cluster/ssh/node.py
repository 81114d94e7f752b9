"""A node of an ssh cluster, and the daemons on it, as :mod:`harness.contract.node` promises them.

The host's keeper (:mod:`harness.cluster.hands.keeper`) starts everything and is its parent; it
outlives the connection, and the daemons with it. Logs are written on the host and fetched by
:meth:`SshNode.collect`, as far as they have not been fetched before.
"""

from __future__ import annotations

import base64
import hashlib
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.cluster.hands import machine_clock
from harness.cluster.places import Hosts, Moved, Placed, Places, joined
from harness.cluster.remote import RemoteClock, RemoteDaemon, RemoteDisk, checked, identity_in
from harness.cluster.ssh.connection import ANSWER_TIMEOUT_S, send
from harness.cluster.ssh.hosts import Host, resolved
from harness.cluster.ssh.link import KeeperLink
from harness.contract.node import ClockMethod, Completed, Daemon, Port, User
from harness.errors import NodeError, cannot_write
from harness.linux.identity import ProcessIdentity, boot_id

_TRANSFER_TIMEOUT_S = 30.0
_CLOCK_TIMEOUT_S = 30.0
_END_TIMEOUT_S = 30.0
_CHUNK_BYTES = 1 << 18


class SshDaemon(RemoteDaemon):
    """A daemon on an ssh host."""

    def __init__(self, name: str, link: KeeperLink, identity: ProcessIdentity) -> None:
        super().__init__(name, identity, link.ask)
        self._link = link

    def exit_status(self) -> int | None:
        """``None`` while it runs, its exit code, or minus the signal that ended it.

        What the keeper has told so far: ``None`` also while the host is out of reach.
        """
        return self._link.exits.of(self.identity.pid)

    def wait(self, timeout_s: float) -> int | None:
        """Wait for the end; the exit status, or ``None`` at the time-out."""
        return self._link.exits.wait(self.identity.pid, timeout_s)


class SshNode(RemoteClock, Placed):
    """One host. ``places`` has how it is reached and how the others see it."""

    def __init__(self, link: KeeperLink, places: Places, log_dir: Path) -> None:
        self.name = places.node
        self.places = places
        self.log_dir = log_dir
        self._link = link
        self._clock_method: ClockMethod = "process"
        self._brought: dict[Path, str] = {}
        self._bringing = threading.Lock()

    @property
    def data_dir(self) -> str:
        """The folder ``data`` of the run's folder on the host."""
        return f"{self._link.root}/data"

    def run(
        self,
        argv: Sequence[str],
        *,
        timeout_s: float = 30.0,
        check: bool = True,
        user: User | None = None,
    ) -> Completed:
        """Run a short command; ``NodeError`` at the time-out or, if ``check``, on a bad exit.

        At the time-out its whole process group is killed.
        """
        answer = self._link.ask(
            "run",
            timeout_s + ANSWER_TIMEOUT_S,
            argv=list(map(str, argv)),
            cwd=self.data_dir,
            limit_s=timeout_s,
            user=user,
        )
        done = Completed(
            exit_code=answer["exit_code"],
            stdout=base64.b64decode(answer["stdout"]),
            stderr=base64.b64decode(answer["stderr"]),
        )
        words = list(map(str, argv))
        return checked(self.name, words, None if answer["late"] else done, timeout_s, check)

    def start(
        self,
        argv: Sequence[str],
        *,
        name: str,
        env: Mapping[str, str] | None = None,
        cwd: str | None = None,
        user: User | None = None,
    ) -> Daemon:
        """Start a daemon; its outputs come to ``log_dir/<name>.log`` when logs are collected.

        ``env`` is added to the login's environment; ``cwd`` is the data folder unless given.
        """
        answer = self._link.ask(
            "start",
            argv=list(map(str, argv)),
            env=dict(env or {}),
            cwd=cwd or self.data_dir,
            log=f"{self._link.root}/logs/{name}.log",
            user=user,
        )
        identity = identity_in(answer)
        return SshDaemon(name, self._link, identity)

    def bring(self, program: Path) -> str:
        """The program's path on the host: its own if the host has the very same file there."""
        with self._bringing:
            if program not in self._brought:
                self._brought[program] = self._bring(program)
            return self._brought[program]

    def upload(self, source: Path, destination: str) -> None:
        """Copy a file of the controller to the node, its permissions too."""
        found = source.stat()
        settings = {"path": destination, "put": found.st_size, "mode": found.st_mode & 0o7777}
        channel = self._link.execute("transfer.py", settings, _TRANSFER_TIMEOUT_S)
        try:
            with source.open("rb") as file:
                while not channel.closed and (data := file.read(_CHUNK_BYTES)):
                    send(channel, data)
            answer, _ = self._link.answer(channel)
        except OSError as error:
            raise NodeError(f"{self.name}: upload of {source}: {error or 'time-out'}") from error
        finally:
            channel.close()
        if "error" in answer:
            raise NodeError(f"{self.name}: {answer['error']}")

    def download(self, source: str, destination: Path) -> None:
        """Copy a file of the node to the controller."""
        with destination.open("wb") as file:
            self.fetch({"path": source, "get": 0}, file.write)

    def collect(self) -> None:
        """Fetch what the daemons wrote since the last time into ``log_dir``."""
        listed = self.run(["ls", f"{self._link.root}/logs"]).stdout.decode(errors="replace")
        try:
            self.log_dir.mkdir(parents=True, exist_ok=True)
            for name in listed.split():
                with (self.log_dir / name).open("ab") as file:
                    settings = {"path": f"{self._link.root}/logs/{name}", "get": file.tell()}
                    self.fetch(settings, file.write)
        except OSError as error:
            raise cannot_write(f"cannot write into {self.log_dir}", error) from error

    def set_clock(self, program: Mapping[str, Any], method: ClockMethod) -> Mapping[str, Any]:
        """Set the clock that the node's processes read, or the host's own (``ClockSettable``)."""
        self._clock_method = method
        return self._clock(do="set", program=dict(program))

    def _ask(self, op: str, **request: Any) -> Mapping[str, Any]:
        return self._link.ask(op, **request)

    def _clock(self, **request: Any) -> Mapping[str, Any]:
        told: Mapping[str, Any] = ask_clock(self._link, self._clock_method, **request)["clock"]
        return told

    def _bring(self, program: Path) -> str:
        digest = hashlib.sha256(program.read_bytes()).hexdigest()
        channel = self._link.execute("transfer.py", {"path": str(program)}, _TRANSFER_TIMEOUT_S)
        try:
            answer, _ = self._link.answer(channel)
        finally:
            channel.close()
        if answer.get("sha256") == digest:
            return str(program)
        path = f"{self._link.root}/{program.name}-{digest[:8]}"
        self.upload(program, path)
        return path

    def fetch(
        self, settings: dict[str, Any], write: Callable[[bytes], object]
    ) -> Mapping[str, Any]:
        """Have what :mod:`harness.cluster.hands.transfer` gets written; its answer."""
        source = settings["path"] if "path" in settings else " ".join(settings["argv"])
        channel = self._link.execute("transfer.py", settings, _TRANSFER_TIMEOUT_S)
        try:
            answer, data = self._link.answer(channel)
            if "error" in answer:
                raise NodeError(f"{self.name}: {answer['error']}")
            left: int = answer["size"]
            while left:
                data = data or channel.recv(_CHUNK_BYTES)
                if not data:
                    raise NodeError(f"{self.name}: the connection ended in the middle of {source}")
                write(data)
                left -= len(data)
                data = b""
            return answer
        except TimeoutError as error:
            raise NodeError(f"{self.name}: {source} does not come: time-out") from error
        finally:
            channel.close()


class SshNodeWithDisk(SshNode, RemoteDisk):
    """One host, where the node's data folder may be a disk."""


def places_of(host: Host, peer: str, ports: Sequence[Port]) -> Places:
    """Where a host's ports are; ``peer`` is the address by which the others see it.

    A port that is for both and has two addresses is bound at all that the host has.
    """
    client = resolved(host, host.address)  # systems listen at it, and may want no name for that
    hosts = Hosts(listen=client, client=client, peer=peer)
    moved = {}
    for port in ports:
        listen = client if not port.peers else peer
        if port.peers and port.clients and client != peer:
            listen = "::" if ":" in client + peer else "0.0.0.0"
        moved[port.number] = Moved(
            listen=joined(listen, port.number),
            client=joined(client, port.number),
            peer=joined(peer, port.number),
        )
    return Places(node=host.node, ports=ports, hosts=hosts, moved=moved)


def ask_clock(link: KeeperLink, method: ClockMethod, **request: Any) -> dict[str, Any]:
    """Ask a keeper about its clock; the machine's is refused where it is the controller's own."""
    own = boot_id()
    if method == "machine" and link.boot_id == own:
        raise NodeError(f"{link.host.node}: {machine_clock.REFUSAL}")
    return link.ask("clock", _CLOCK_TIMEOUT_S, method=method, controller_boot_id=own, **request)


def end_keeper(link: KeeperLink) -> list[str]:
    """Have a keeper end its node and go; what is left, in words. Safe twice.

    ``NodeError`` if the host cannot be reached, so that nobody can tell.
    """
    try:
        return _end(link)
    except NodeError:
        if link.gone is None:
            raise
        # Rebooted, or it had ended and the word of that was lost: whoever is there now is asked.
        return _end(link)


def _end(link: KeeperLink) -> list[str]:
    if not link.is_open() and not link.open(must_exist=True, any_boot=True):
        return []
    left: list[str] = link.ask("end", 2 * ANSWER_TIMEOUT_S)["left"]
    if not left:  # it says so before its very end, which closes the connection
        link.await_end(_END_TIMEOUT_S)
    link.close()
    return left
