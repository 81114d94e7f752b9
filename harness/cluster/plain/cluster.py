"""A cluster of plain processes on loopback, where namespaces are forbidden.

::

    run process ── reaper (subreaper: what is orphaned falls to it)
                     ├─ links: a proxy port in front of every node's peer port
                     ├─ n1's agent ── daemons, clients at 127.0.0.1:PORT
                     └─ n2's agent ── daemons

The agents and daemons are those of :mod:`harness.cluster.namespaces.cluster`; there are no
addresses, host names, ``/tmp`` or process numbers of a node's own. For each port that its system
declared (``Ports``) a node has one of loopback, free when the cluster came up, given to no other
cluster while it is there (:mod:`harness.cluster.plain.ports`), and outside of the range that the
kernel gives out by itself, so that it is still free after a kill. The other nodes reach a port that
is for peers through a proxy alone (:mod:`harness.cluster.plain.links`), for which the system must
be able to tell them another address than it listens at (``Port.advertised``).

Whatever becomes of this process, the reaper kills all; of the reaper, its launcher does, and each
process ends with its parent. Cost: five nodes up in about 0.1 s.
"""

from __future__ import annotations

import os
import random
import socket
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from harness.cluster import folders
from harness.cluster.clocks import refusal_on_this_machine
from harness.cluster.host_names import check_names
from harness.cluster.links import dead, refuse_unknown
from harness.cluster.namespaces import wire
from harness.cluster.namespaces.agent_link import AgentLink
from harness.cluster.namespaces.cluster import control_channel, wait_for_end
from harness.cluster.namespaces.node import LocalNode
from harness.cluster.namespaces.steps import StepFailed, step
from harness.cluster.places import Moved, Places, joined, ports_of
from harness.cluster.plain.link_control import PEER, PROBE, LinkControl
from harness.cluster.plain.link_probe import LinkProber
from harness.cluster.plain.links import LOOPBACK
from harness.contract.node import ClockMethod, Grudge, Link, Port
from harness.contract.system import Ports, System, WithoutDaemons
from harness.errors import NodeError, SetupError

Place = tuple[str, Port]
"""A node by name, and a port that its system declared."""

PLAIN_STEPS = ("folders", "links", "agents", "node process", "ports", "proxies", "links carry")
ALLOWING_CUTS = (
    "namespaces allow it (local:root, local:userns), and so do --provider docker and ssh"
)

_FIRST_PORT = 10_000
_END_TIMEOUT_S = 30.0
_LINK_CHECKS = 20


class PlainCluster:
    """Nodes that are processes (``Cluster``, ``Partitionable`` and ``Clocks``).

    ``fail_at`` names a step that fails on request; ``ports`` yields ports to try.
    """

    provider = "local:plain"
    ends_with_run = True
    """The reaper ends it with the run process, however that ends."""

    cut_shows_as = "chunks of the database held"
    """What the counters of a cut count here."""

    def __init__(
        self,
        run_dir: Path,
        names: Sequence[str],
        system: System,
        *,
        ports: Iterator[int] | None = None,
        fail_at: str | None = None,
    ) -> None:
        check_names(names)
        self.nodes: list[LocalNode] = []
        self._run_dir = run_dir.resolve()
        self._names = list(names)
        self._system = system
        self._declared = ports_of(system)
        self._ports = ports or candidate_ports(random.Random())
        self._fail_at = fail_at
        self._control = control_channel()
        self._lock = threading.Lock()
        self._agents: dict[str, AgentLink] = {}
        self._links: LinkControl | None = None
        self._prober = LinkProber(self._names)

    def node(self, name: str) -> LocalNode:
        """The node of that name; ``KeyError`` if there is none."""
        return {node.name: node for node in self.nodes}[name]

    def controller_host(self) -> str:
        """All run on this machine (``ReachesController``)."""
        return LOOPBACK

    def up(self) -> None:
        """Bring all nodes up, or raise ``SetupError`` with nothing left behind."""
        try:
            self._bring_up()
        except StepFailed as failure:
            self.down()
            raise SetupError(f"the cluster did not come up: {failure}") from failure
        except BaseException:
            self.down()
            raise

    def down(self) -> None:
        """End everything that ``up`` made. Safe twice."""
        for link in self._agents.values():
            link.tell_to_exit_once_up()
        stuck = [name for name, link in self._agents.items() if not wait_for_end(link)]
        for link in self._agents.values():
            link.close()
        self._agents.clear()
        self._prober.close()
        if self._links is not None:
            self._links.end()
            self._links = None
        folders.remove_data(self._run_dir)
        if stuck:
            raise NodeError(f"{', '.join(stuck)}: processes do not end ({_END_TIMEOUT_S:.0f} s)")

    def leave_running(self) -> None:
        """Have the cluster outlive this process and the front, until ``polygraph down``."""
        with self._lock:
            wire.send(self._control, {"op": "stay"})
            if wire.receive(self._control) is None:
                raise SetupError("the reaper is gone, so the cluster cannot be left running")

    def cut_refusal(self) -> str | None:
        """Why links cannot be cut for this system, or ``None`` (``MayRefuseCuts``)."""
        return refusal_of_cuts(self._system)

    def cut(self, grudge: Grudge) -> None:
        """Hold what goes over the links of ``grudge``, replacing any earlier cut, all at once."""
        refuse_unknown(grudge, self._names)
        cut = {(source, target) for target, sources in grudge.items() for source in sources}
        self._carrier().cut(cut)

    def heal_cuts(self) -> None:
        """Let everything pass again, what was held first. Safe twice."""
        self.cut({})

    def delay(self, late_s: Mapping[Link, float]) -> None:
        """Have what passes exactly these links come so many seconds later, in order."""
        self._carrier().delay(late_s)

    def dropped(self) -> Mapping[Link, int]:
        """Chunks of database traffic held by the present cut, per directed link."""
        return {link: chunks for link, (chunks, _) in self._carrier().held().items()}

    def reachable(self) -> frozenset[Link]:
        """The directed links that carry bytes now, by probing each one."""
        return self._prober.reachable()

    def clock_refusal(self, method: ClockMethod) -> str | None:
        """Why the clocks of nodes cannot be set here (``Clocks``)."""
        return refusal_on_this_machine(method)

    def _carrier(self) -> LinkControl:
        if self._links is None:
            raise NodeError("the cluster is not up, so it has no links")
        return self._links

    def _bring_up(self) -> None:
        self.nodes.clear()
        with step("folders", self._fail_at):
            for name in self._names:
                (self._folder(name) / "data").mkdir(parents=True, exist_ok=True)
        with step("links", self._fail_at):
            self._links = LinkControl(self._control)
        with step("agents", self._fail_at):
            for name in self._names:
                self._agents[name] = self._ask_for_node(name)
        for link in self._agents.values():
            link.wait_until_up()
        self._links.wait_until_up()
        with step("ports", self._fail_at):
            reserve = self._links.reserve
            taken = {
                (name, port): free_port(self._ports, reserve)
                for port in self._declared
                for name in self._names
            }
        with step("proxies", self._fail_at):
            proxies = self._open_proxies(self._links, taken)
        with step("links carry", self._fail_at):
            self._check_links()
        for name in self._names:
            self._add_node(name, taken, proxies)

    def _ask_for_node(self, name: str) -> AgentLink:
        wire.send(
            self._control, {"op": "node", "plain": True, "name": name, "fail_at": self._fail_at}
        )
        answer = wire.receive(self._control)
        if answer is None:
            raise SetupError(f"{name}: the reaper is gone")
        return AgentLink(name, socket.socket(fileno=answer.fds[0]))

    def _open_proxies(self, links: LinkControl, taken: Mapping[Place, int]) -> Mapping[Place, int]:
        """Proxies in front of every node, for its peers and for our probes; the former's ports."""
        proxied = [place for place in taken if place[1].peers and place[1].advertised]
        probes = self._prober.listen()
        roots = {os.getpid(): "", **{link.pid: name for name, link in self._agents.items()}}
        asked = [(place[0], PEER, taken[place]) for place in proxied]
        asked += [(name, PROBE, probes[name]) for name in self._names]
        ports = links.open(roots, asked)
        count = len(proxied)
        self._prober.connect(links, dict(zip(self._names, ports[count:], strict=True)))
        return dict(zip(proxied, ports[:count], strict=True))

    def _check_links(self) -> None:
        """Every link carries. On a busy machine the process that carries them comes late."""
        silent = dead(self._names, self.reachable, _LINK_CHECKS)
        if silent:
            raise SetupError(f"the new cluster's links do not carry: {silent}")

    def _add_node(
        self, name: str, taken: Mapping[Place, int], proxies: Mapping[Place, int]
    ) -> None:
        moved = {}
        for port in self._declared:
            own = taken[name, port]
            peer = proxies.get((name, port), own)
            moved[port.number] = Moved(
                listen=joined(LOOPBACK, own),
                client=joined(LOOPBACK, own) if port.clients else "",
                peer=joined(LOOPBACK, peer) if port.peers else "",
            )
        places = Places(node=name, ports=self._declared, moved=moved)
        folder = self._folder(name)
        self.nodes.append(LocalNode(places, folder, str(folder / "data"), self._agents[name]))

    def _folder(self, name: str) -> Path:
        return folders.of_node(self._run_dir, name)


def refusal_of_cuts(system: System) -> str | None:
    """Why no link can be cut between plain processes of this system, or ``None``."""
    peers = [port for port in ports_of(system) if port.peers]
    if not peers:
        return (
            f"links between plain processes are cut by proxies, and {system.name} declares no "
            f"port by which its nodes speak to each other; {ALLOWING_CUTS}"
        )
    told = [str(port.number) for port in peers if not port.advertised]
    if told:
        return (
            f"links between plain processes are cut by proxies, and {system.name} cannot tell its "
            f"peers another address than it listens at (port {', '.join(told)}); {ALLOWING_CUTS}"
        )
    return None


def refusal_of_system(system: System) -> str | None:
    """Why this system cannot run as plain processes at all, or ``None``."""
    if isinstance(system, Ports):
        return None
    if isinstance(system, WithoutDaemons) and system.without_daemons():
        return None
    return (
        f"{system.name} does not say that it can listen on ports of the node's choosing "
        "(Ports), so plain processes on one machine would get in each other's way"
    )


def candidate_ports(rng: random.Random) -> Iterator[int]:
    """Ports that the kernel gives nobody by itself, in a random order."""
    with open("/proc/sys/net/ipv4/ip_local_port_range", encoding="ascii") as limits:
        low, high = map(int, limits.read().split())
    usual = [port for port in range(_FIRST_PORT, 1 << 16) if not low <= port <= high]
    yield from rng.sample(usual, len(usual))


def free_port(candidates: Iterator[int], reserve: Callable[[int], bool]) -> int:
    """The next of ``candidates`` that could be reserved for this cluster."""
    for port in candidates:
        if reserve(port):
            return port
    raise SetupError(
        "no port is free for the nodes: every port outside of the kernel's own range is taken",
        "sysctl net.ipv4.ip_local_port_range shows that range; leave room below or above it",
    )
