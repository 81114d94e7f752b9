"""Existing hosts as the nodes of a run: over ssh, with a keeper of ours on each while it lasts.

    run process ─ssh─ relay ─socket─ keeper ── daemons, cuts, probes      n1
              ├─ssh─ …                                                    n2

All nodes are spoken to at once, and a cluster that cannot be brought up says everything that is
wrong with every host in one message. Nothing is installed and nothing of a host's own changed:
what a run makes on a host is one folder, its keeper's processes and one firewall table, and
:func:`harness.cluster.ssh.node.end_keeper` undoes all of it, now or later from another process.
"""

from __future__ import annotations

import hashlib
import socket
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from harness.cluster import folders
from harness.cluster.hands.cuts import PROBE_PORT
from harness.cluster.links import (
    all_links,
    answering,
    answering_here,
    carrying,
    counts_by_link,
    dead,
    places_for,
    refuse_unknown_ports,
    sources_of,
)
from harness.cluster.ssh.hosts import Host, resolved
from harness.cluster.ssh.link import KeeperLink, on_all
from harness.cluster.ssh.node import SshNode, SshNodeWithDisk, ask_clock, end_keeper, places_of
from harness.contract.node import ClockMethod, Grudge, Link, Port
from harness.errors import NodeError, SetupError
from harness.store import registration

T = TypeVar("T")

_REQUESTS = 5
"""A round of probes waits so many times what a request takes, beside its own time."""

_LINK_CHECKS = 5


class SshCluster:
    """Hosts reached by ssh (``Cluster``, ``Partitionable``, ``Clocks``)."""

    provider = "ssh"

    def __init__(
        self, run_dir: Path, hosts: Sequence[Host], base: str = "", ports: Sequence[Port] = ()
    ) -> None:
        self.nodes: list[SshNode] = []
        self._ports = ports
        self._run_dir = run_dir.resolve()
        self._links = {
            host.node: KeeperLink(
                host, folder_name(self._run_dir, host.node), base, mark(self._run_dir)
            )
            for host in hosts
        }
        self._addresses: dict[str, str] = {}
        self._table = f"polygraph_{hashlib.sha256(str(self._run_dir).encode()).hexdigest()[:8]}"
        self._lock = threading.Lock()
        self._probing = threading.Lock()
        self._round = time.time_ns() % 2**40
        self._slack_s = 0.0
        self._cut: Grudge = {}
        self._maybe_cut: set[str] = set()
        self._is_ending = False

    def node(self, name: str) -> SshNode:
        """The node of that name; ``KeyError`` if there is none."""
        return {node.name: node for node in self.nodes}[name]

    def cut_refusal(self) -> str | None:
        """Why links cannot be cut on these hosts; ``None`` if they can be. Connects."""
        self._connect()
        _, trouble = on_all(self._links, lambda name, link: link.ask("rehearse", table=self._table))
        if trouble:
            hint = (
                "install nftables there, or let the login do it without a password: in sudoers "
                "USER ALL=(root) NOPASSWD: /usr/sbin/nft"
            )
            return f"{_joined(trouble)}; to change that: {hint}"
        try:
            self._check_links()
        except SetupError as error:
            return error.message
        return None

    def clock_refusal(self, method: ClockMethod) -> str | None:
        """Why the clocks of these hosts' processes cannot be set (``Clocks``). Connects."""
        self._connect()
        found, trouble = on_all(
            self._links, lambda name, link: ask_clock(link, method, do="try")["why"]
        )
        if trouble:
            return _joined(trouble)
        return "; ".join(f"{name}: {why}" for name, why in found.items() if why) or None

    def up(self) -> None:
        """Connect to all hosts, or raise ``SetupError`` with nothing left behind."""
        try:
            self._connect()
            self.nodes = [self._node(name, link) for name, link in self._links.items()]
            for node in self.nodes:
                node.log_dir.mkdir(parents=True, exist_ok=True)
        except BaseException:
            # A host that was not reached holds nothing; what went wrong is told, not this.
            made = [name for name, link in self._links.items() if link.is_open()]
            self._on(made, lambda name, link: end_keeper(link))
            raise

    def down(self) -> None:
        """End everything that was made on the hosts. Safe twice.

        ``NodeError`` names the hosts where something is left or that cannot be reached; then
        the run stays registered, and ``polygraph heal`` finishes it.
        """
        self._is_ending = True
        self.collect()
        left, trouble = on_all(self._links, lambda name, link: end_keeper(link))
        said = [f"{name}: {what}" for name, whats in left.items() for what in whats]
        said += [error.message for error in trouble.values()]
        if said:
            raise NodeError("; ".join(said), "polygraph heal")
        registration.remove(self._run_dir)

    def leave_running(self) -> None:
        """Have the cluster outlive this process, until ``polygraph down``."""
        self.collect()
        registration.mark_left_running(self._run_dir)
        for link in self._links.values():
            link.close()

    def collect(self) -> list[str]:
        """Fetch the nodes' logs; a sentence for each node whose logs do not come."""
        nodes = {node.name: node for node in self.nodes}
        open_links = {name: self._links[name] for name in nodes}
        _, trouble = on_all(open_links, lambda name, link: nodes[name].collect())
        return [f"its logs are not here: {error.message}" for error in trouble.values()]

    def lost(self) -> list[str]:
        """Why nodes are lost for good by nobody's order (rebooted), a sentence for each."""
        return [f"{name}: {link.gone}" for name, link in self._links.items() if link.gone]

    # -- links ---------------------------------------------------------------------------------

    def cut(self, grudge: Grudge) -> None:
        """Drop inbound packets as ``grudge`` says, replacing any earlier cut, atomically a node."""
        refuse_unknown_ports(grudge, self._addresses)
        with self._lock:
            if self._is_ending and any(grudge.values()):
                raise NodeError("the cluster is being taken down")
            self._cut = dict(grudge)
            concerned = self._maybe_cut | {name for name, sources in grudge.items() if sources}
            self._maybe_cut = concerned
            _, trouble = self._on(concerned, self._cut_node)
            self._maybe_cut = {name for name in concerned if name in trouble or grudge.get(name)}
        if trouble:
            raise NodeError(f"not everything could be cut or healed: {_joined(trouble)}")

    def heal_cuts(self) -> None:
        """Let every packet pass again. Safe twice."""
        self.cut({})

    def dropped(self) -> Mapping[Link, int]:
        """Packets dropped by the present cut, per directed link, probes of the links apart."""
        with self._lock:
            cut = {name: sources for name, sources in self._cut.items() if sources}
            found, trouble = self._on(
                cut, lambda name, link: self._ask_dropped(name, link, cut)["dropped"]
            )
        if trouble:
            raise NodeError(_joined(trouble))
        return counts_by_link(cut, found, self._addresses)

    def _ask_dropped(self, name: str, link: KeeperLink, cut: Grudge) -> Mapping[str, Any]:
        sources = sources_of(cut, name, self._addresses)
        return link.ask("dropped", table=self._table, sources=sources, probe_port=PROBE_PORT)

    def answering(self, port: int) -> frozenset[Link]:
        """The directed links over which that port answers (``CutsPorts``)."""
        places = places_for(self.nodes, port, "peer")
        with self._probing:
            return answering(places, lambda name, op, **more: self._links[name].ask(op, **more))

    def reachable(self) -> frozenset[Link]:
        """The directed links that carry packets now, by a datagram on each.

        One is called cut only after four probes in four rounds were lost.
        """
        with self._probing:
            return carrying(
                all_links(self._links),
                lambda awaited, round_s: self._probe(awaited, round_s + self._slack_s),
            )

    def _cut_node(self, name: str, link: KeeperLink) -> None:
        sources = sources_of(self._cut, name, self._addresses)
        link.ask("cut", table=self._table, sources=sources, probe_port=PROBE_PORT)

    def _probe(self, awaited: set[Link], round_s: float) -> set[Link]:
        """Send one datagram over each link; those that arrived within a round's time."""
        self._round += 1
        targets: dict[str, list[str]] = {}
        for source, destination in awaited:
            targets.setdefault(source, []).append(self._addresses[destination])
        deadline = time.monotonic() + round_s
        _, trouble = self._on(
            targets,
            lambda name, link: link.ask("probe", round=self._round, addresses=targets[name]),
        )
        names = {address: name for name, address in self._addresses.items()}
        receivers = {destination for _, destination in awaited}
        while True:
            is_last = time.monotonic() >= deadline
            heard, more = self._on(
                receivers, lambda name, link: link.ask("heard", round=self._round)["heard"]
            )
            if trouble or more:
                raise NodeError(_joined({**trouble, **more}))
            arrived = {
                (names[address], destination)
                for destination, addresses in heard.items()
                for address in addresses
                if address in names
            }
            if is_last or awaited <= arrived:
                return arrived & awaited
            time.sleep(min(round_s / 10, max(0.0, deadline - time.monotonic())))

    def _on(
        self, names: Iterable[str], work: Callable[[str, KeeperLink], T]
    ) -> tuple[dict[str, T], dict[str, NodeError]]:
        return on_all({name: self._links[name] for name in names}, work)

    # -- coming up -----------------------------------------------------------------------------

    def _node(self, name: str, link: KeeperLink) -> SshNode:
        places = places_of(link.host, self._addresses[name], self._ports)
        return SshNode(link, places, folders.of_node(self._run_dir, name))

    def _connect(self) -> None:
        """Reach every host; one ``SetupError`` for all that is wrong. Safe twice."""
        if self._addresses:
            return
        addresses, trouble = on_all(self._links, _open)
        if trouble:
            raise SetupError(*worded(trouble))
        by_address: dict[str, str] = {}
        for name in self._links:
            other = by_address.setdefault(addresses[name], name)
            if other != name:
                raise SetupError(
                    f"{other} and {name} have the same address {addresses[name]}: "
                    "each node needs a host of its own"
                )
        self._addresses = {name: addresses[name] for name in self._links}

    def _check_links(self) -> None:
        """Every probe arrives, under the address by which the cut will know its sender."""
        _, trouble = self._on(self._links, self._listen)
        if trouble:
            raise SetupError(*worded(trouble))
        begun = time.monotonic()
        self._on(self._links, lambda name, link: link.ask("look", processes=[]))
        self._slack_s = _REQUESTS * (time.monotonic() - begun)
        silent = dead(self._links, self.reachable, _LINK_CHECKS)
        if not silent:
            return
        raise SetupError(
            f"no probe comes from {silent}: a partition could not be proved; to change that: let "
            f"UDP port {PROBE_PORT} pass between the hosts, and where they see each other under "
            "other addresses write peer=ADDRESS behind each in the nodes file"
        )

    def _listen(self, name: str, link: KeeperLink) -> None:
        address = self._addresses[name]
        try:
            link.ask("listen", address=address, port=PROBE_PORT)
        except NodeError as error:
            raise NodeError(
                f"{name}: cannot listen for probes at {address}: {error.message}",
                "peer=ADDRESS behind the host in the nodes file, an address of the host itself",
            ) from error


class OwnCluster(SshCluster):
    """Hosts where all that is the run's is ours (``CutsClients``, ``Disks``).

    What runs there it has started, and data folders can be disks.
    """

    _has_disks = False

    def answering_clients(self, port: int) -> frozenset[str]:
        """The nodes that answer there whoever connects from here."""
        return answering_here(places_for(self.nodes, port, "client"))

    def disk_refusal(self) -> str | None:
        """Why these hosts can give nodes no disks of their own. Connects."""
        self._connect()
        found, trouble = on_all(self._links, lambda name, link: link.ask("rehearse-disk")["why"])
        if trouble:
            return _joined(trouble)
        return "; ".join(f"{name}: {why}" for name, why in found.items() if why) or None

    def provide_disks(self) -> None:
        """Have every node that comes up have one."""
        self._has_disks = True

    def _node(self, name: str, link: KeeperLink) -> SshNode:
        places = places_of(link.host, self._addresses[name], self._ports)
        node = SshNodeWithDisk(link, places, folders.of_node(self._run_dir, name))
        if self._has_disks:
            node.start_disk(node.data_dir, sorted(self._links).index(name))
        return node


def folder_name(run_dir: Path, node: str) -> str:
    """The name of a node's folder on its host: another run's, or another node's, is another."""
    return f"{run_dir.name}-{hashlib.sha256(str(run_dir).encode()).hexdigest()[:6]}-{node}"


def mark(run_dir: Path) -> str:
    """What the folder of the run on a host says of whose it is: the run's folder, and where."""
    return f"{socket.gethostname()}:{run_dir}".encode("utf-8", "backslashreplace").decode()


def worded(trouble: Mapping[str, NodeError]) -> tuple[str, str | None]:
    """(message, hint) of what is wrong on several hosts."""
    hints = list(dict.fromkeys(error.hint for error in trouble.values() if error.hint))
    return _joined(trouble), "; or ".join(hints) or None


def _joined(trouble: Mapping[str, NodeError]) -> str:
    return "; ".join(trouble[name].message for name in sorted(trouble))


def _open(name: str, link: KeeperLink) -> str:
    """Connect; the address by which the other nodes see the host."""
    address = resolved(link.host, link.host.peer or link.host.address)
    link.open()
    return address
