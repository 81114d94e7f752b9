"""A cluster of docker containers, made and driven by the SDK alone.

What it looks like is in :mod:`harness.cluster.docker.layout`. All nodes are worked on in
parallel; whatever goes wrong on the way up, all that was made goes again. Cuts are made, counted
and proved from the side-cars, as in the local provider: nftables drop on input at the
destination, and a datagram over each link tells which links carry.

Cost: five nodes up in about 2 s, a cut in 30 ms, a matrix of reachable links in 10 ms (0.3 s
where links are cut), down in about 1 s.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Collection, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from harness.cluster import folders
from harness.cluster.docker import clocks, engine, link, shaping, trying
from harness.cluster.docker.layout import (
    DATA_DIR,
    LOG_DIR,
    NUMBER_DIR,
    PROGRAMS_DIR,
    Layout,
    subnets_to_try,
)
from harness.cluster.docker.link import SidecarLink
from harness.cluster.docker.node import DockerNode, Programs
from harness.cluster.hands.cuts import PROBE_PORT, TABLE
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
from harness.cluster.places import Hosts, Moved, Places, joined
from harness.contract.node import ClockMethod, Grudge, Link, LinkShape, Measured
from harness.errors import NodeError, PolygraphError, SetupError
from harness.store import registration

T = TypeVar("T")

_ROUNDS_S = (0.05, 0.05, 0.1, 0.15)
"""How long each round of probes waits; a link is called cut after losing all of them."""

_LINK_CHECKS = 20
_CONNECT_TIMEOUT_S = 1.0
_PREPARE = (
    f"mkdir -p {DATA_DIR} {LOG_DIR} {NUMBER_DIR} && chmod 1777 {DATA_DIR} {LOG_DIR} {NUMBER_DIR}"
)


class DockerCluster:
    """Containers as nodes (``Cluster``, ``Partitionable`` and ``Losable``).

    ``subnet`` of ``None``: the first free one. ``database_image`` of ``None``: the node image.
    ``published``: reach the nodes by their published ports also where their addresses work.
    """

    provider = "docker"

    def __init__(
        self,
        run_dir: Path,
        layout: Layout,
        *,
        subnet: str | None = None,
        database_image: str | None = None,
        published: bool = False,
    ) -> None:
        self.nodes: list[DockerNode] = []
        self._layout = layout
        self._run_dir = run_dir.resolve()
        self._subnet = subnet
        self._image = database_image or layout.image
        self._published = published
        self._client: Any = None
        self._pool = ThreadPoolExecutor(2 * len(layout.names), thread_name_prefix="docker")
        self._links: dict[str, SidecarLink] = {}
        self._lock = threading.Lock()
        self._measuring = threading.Lock()
        self._round = 0
        self._cut: Grudge = {}

    def node(self, name: str) -> DockerNode:
        """The node of that name; ``KeyError`` if there is none."""
        return {node.name: node for node in self.nodes}[name]

    def controller_host(self) -> str:
        """The gateway of the nodes' network, which is the engine's machine (``ReachesController``).

        Nobody can listen there where the engine runs elsewhere, or this process in a container.
        """
        return f"{self._layout.subnet}.1"

    def up(self) -> None:
        """Bring all nodes up, or raise ``SetupError`` with nothing left behind."""
        self._client = engine.connect()
        try:
            with engine.complaints("the docker cluster did not come up"):
                self._bring_up()
        except BaseException:
            with contextlib.suppress(Exception):  # what matters is why it did not come up
                self.down()
            raise

    def down(self) -> None:
        """End everything that ``up`` made, faults included. Safe twice."""
        if self._client is None:
            return
        for channel in self._links.values():
            with contextlib.suppress(PolygraphError):
                channel.ask("sync", timeout_s=2.0)
            channel.close()
        self._links.clear()
        with engine.complaints("the docker cluster did not go down"):
            left = engine.remove_project(self._client, self._layout.project, self._layout.run)
        if left:
            raise NodeError("; ".join(left), "polygraph heal")

    def leave_running(self) -> None:
        """Have the cluster outlive this process and the front, until ``polygraph down``."""
        registration.mark_left_running(self._run_dir)

    def lost(self) -> list[str]:
        """A sentence for each node whose side-car, or engine, went by nobody's order."""
        links = dict(self._links)
        return [f"{name}: {link.GONE}" for name, channel in links.items() if channel.is_lost]

    def cut(self, grudge: Grudge) -> None:
        """Drop inbound packets as ``grudge`` says, replacing any earlier cut, atomically a node."""
        addresses = self._layout.addresses
        refuse_unknown_ports(grudge, addresses)

        def cut_node(name: str) -> None:
            sources = sources_of(grudge, name, addresses)
            self._links[name].ask("cut", table=TABLE, sources=sources, probe_port=PROBE_PORT)

        with self._lock:
            self._cut = dict(grudge)
            self._on_all(cut_node)

    @property
    def log_delay_s(self) -> float:
        """By how much later than it was written a line of a log has come, at most (``DelaysLogs``).

        As measured of every piece that came so far.
        """
        return max((link.log_delay_s for link in list(self._links.values())), default=0.0)

    def heal_cuts(self) -> None:
        """Let every packet pass again. Safe twice."""
        self.cut({})

    def dropped(self) -> Mapping[Link, int]:
        """Packets dropped by the present cut, per directed link, probes of the links apart."""
        with self._lock:
            cut = {name: sources for name, sources in self._cut.items() if sources}
            asked = self._on(cut, lambda name: self._ask_dropped(name, cut))
        dropped = {name: answer["dropped"] for name, answer in asked.items()}
        return counts_by_link(cut, dropped, self._layout.addresses)

    def _ask_dropped(self, name: str, cut: Grudge) -> Mapping[str, Any]:
        sources = sources_of(cut, name, self._layout.addresses)
        link = self._links[name]
        return link.ask("dropped", table=TABLE, sources=sources, probe_port=PROBE_PORT)

    def answering(self, port: int) -> frozenset[Link]:
        """The directed links over which that port answers (``CutsPorts``)."""
        places = places_for(self.nodes, port, "peer")
        with self._lock:
            return answering(places, lambda name, op, **more: self._links[name].ask(op, **more))

    def answering_clients(self, port: int) -> frozenset[str]:
        """The nodes that answer there whoever connects from here (``CutsClients``)."""
        return answering_here(places_for(self.nodes, port, "client"))

    def reachable(self) -> frozenset[Link]:
        """The directed links that carry packets now, by probing each one."""
        with self._lock:
            return carrying(all_links(self._layout.names), self._probe, _ROUNDS_S)

    def shape_refusal(self) -> str | None:
        """Why packets cannot be held back here (``Shapeable``)."""
        return shaping.refusal(engine.connect(), self._layout)

    def shape(self, shapes: Mapping[Link, LinkShape]) -> None:
        """Make these links slow or lossy, and no others."""
        with self._lock:
            self._shaping().shape(shapes)

    def shaped(self) -> Mapping[Link, Mapping[str, int]]:
        """What was done on each shaped link, counted."""
        with self._lock:
            return self._shaping().shaped()

    def measure(
        self, links: Collection[Link], count: int, wait_s: float
    ) -> Mapping[Link, Measured]:
        """Send so many datagrams over each link, and see what comes."""
        with self._measuring:
            self._round += 1
            return self._shaping().measure(links, count, wait_s, self._round)

    def _shaping(self) -> shaping.Shaping:
        def ask(name: str, op: str, **request: Any) -> dict[str, Any]:
            return self._links[name].ask(op, **request)

        return shaping.Shaping(self._layout.addresses, ask, self._on_all, seed=1)

    def clock_refusal(self, method: ClockMethod) -> str | None:
        """Why the clocks of nodes cannot be set here (``Clocks``)."""
        return clocks.refusal(engine.connect(), self._layout, method)

    def _probe(self, wanted: set[Link], round_s: float) -> set[Link]:
        """Send one datagram over each link; those that arrived within a round's time."""
        self._round += 1
        addresses = self._layout.addresses

        def send(name: str) -> None:
            to = [addresses[b] for a, b in wanted if a == name]
            self._links[name].ask("probe", round=self._round, addresses=to)

        def hear(name: str) -> set[Link]:
            sources = {addresses[a]: a for a, b in wanted if b == name}
            answer = self._links[name].ask(
                "heard", round=self._round, sources=list(sources), wait_s=round_s
            )
            return {(sources[address], name) for address in answer["heard"]}

        self._on_all(send)
        return set().union(*self._on_all(hear).values())

    # -- the way up ----------------------------------------------------------------------------

    def _bring_up(self) -> None:
        self.nodes.clear()
        engine.remove_project(
            self._client, self._layout.project, self._layout.run
        )  # what an earlier try left
        self._layout = replace(self._layout, subnet=self._make_network())
        for name in self._layout.names:
            folders.of_node(self._run_dir, name).mkdir(parents=True, exist_ok=True)
        for volume in {v for name in self._layout.names for v in self._layout.volumes(name)}:
            self._client.create_volume(volume, labels=self._layout.labels())
        sidecars = self._on_all(self._start_sidecar)
        first = sidecars[self._layout.names[0]]
        self._client.put_archive(first, PROGRAMS_DIR, trying.tools())
        self._on_all(lambda name: self._connect(name, sidecars[name]))
        self._on_all(self._furnish)
        self._links[self._layout.names[0]].ask(
            "run", argv=["cp", "/bin/busybox", PROGRAMS_DIR], env={}, cwd="/", limit_s=20
        )
        self._check_links()
        programs = Programs(self._client, first)
        self.nodes += self._on_all(lambda name: self._node(name, sidecars[name], programs)).values()

    def _make_network(self) -> str:
        """Make the network; the subnet that it got."""
        tries = [self._subnet] if self._subnet else subnets_to_try(self._layout.project)
        for subnet in tries:
            try:
                self._create_network(subnet)
                return subnet
            except SetupError as error:
                if "subnet is taken" not in error.message or subnet == tries[-1]:
                    raise
        raise AssertionError("there is always one subnet to try")

    def _create_network(self, subnet: str) -> None:
        from docker.types import IPAMConfig, IPAMPool

        pool = IPAMPool(subnet=f"{subnet}.0/24")
        with engine.complaints(f"the network {subnet}.0/24"):
            self._client.create_network(
                self._layout.project,
                driver="bridge",
                ipam=IPAMConfig(pool_configs=[pool]),
                labels=self._layout.labels(),
                check_duplicate=True,
            )

    def _start_sidecar(self, name: str) -> str:
        with engine.complaints(f"{name}: its side-car"):
            made = self._client.create_container(**self._layout.sidecar(self._client, name))
            self._client.start(made["Id"])
        return str(made["Id"])

    def _connect(self, name: str, sidecar: str) -> None:
        folder = folders.of_node(self._run_dir, name)

        def take_log(log: str, data: bytes) -> None:
            with (folder / log).open("ab") as file:
                file.write(data)

        self._links[name] = link.connect(self._client, sidecar, name, take_log)

    def _furnish(self, name: str) -> None:
        """Folders that the database may write, and a first proof that links can be cut here."""
        words = ["sh", "-c", _PREPARE]
        answer = self._links[name].ask("run", argv=words, env={}, cwd="/", limit_s=20)
        if answer["exit"] != 0:
            raise SetupError(f"{name}: its folders could not be made")
        self._links[name].ask("rehearse", table=TABLE)
        self._links[name].ask("listen", address=self._layout.addresses[name], port=PROBE_PORT)

    def _check_links(self) -> None:
        """Every link carries, by a probe of each."""
        silent = dead(self._layout.names, self.reachable, _LINK_CHECKS)
        if not silent:
            return
        raise SetupError(
            f"the new cluster's links do not carry packets: {silent}",
            "look for a firewall between containers: iptables -L FORWARD",
        )

    def _node(self, name: str, sidecar: str, programs: Programs) -> DockerNode:
        return DockerNode(
            name=name,
            client=self._client,
            layout=self._layout,
            sidecar=sidecar,
            link=self._links[name],
            programs=programs,
            image=self._image,
            log_dir=folders.of_node(self._run_dir, name),
            places=self._places(name, sidecar),
        )

    def _places(self, name: str, sidecar: str) -> Places:
        """Clients reach the node's address where that can be, else what is published of it."""
        address, ports = self._layout.addresses[name], self._layout.ports
        if not self._published and _answers(address):
            return Places(node=name, ports=ports, hosts=Hosts.same(address))
        found = self._client.inspect_container(sidecar)["NetworkSettings"]["Ports"]
        published = {
            port: Moved(
                listen=joined(address, port),
                client=joined("127.0.0.1", int(place["HostPort"])),
                peer=joined(address, port),
            )
            for port in self._layout.client_ports
            for place in (found.get(f"{port}/tcp") or [])[:1]
        }
        if not published:
            raise SetupError(
                f"{name}: {address} cannot be reached from here and no port of it is published",
                "run where the containers' addresses can be reached (Linux), or have the system "
                "declare the ports of its clients",
            )
        hosts = Hosts(listen=address, client="", peer=address)
        return Places(node=name, ports=ports, hosts=hosts, moved=published)

    def _on_all(self, work: Callable[[str], T]) -> dict[str, T]:
        """``work`` on every node at once; waits for all, then raises the first error."""
        return self._on(self._layout.names, work)

    def _on(self, names: Iterable[str], work: Callable[[str], T]) -> dict[str, T]:
        futures = {name: self._pool.submit(work, name) for name in names}
        errors = [error for future in futures.values() if (error := future.exception())]
        if errors:
            raise errors[0]
        return {name: future.result() for name, future in futures.items()}


def _answers(address: str) -> bool:
    """Whether packets come back from an address: a refusal of the connection is an answer."""
    try:
        socket.create_connection((address, PROBE_PORT), _CONNECT_TIMEOUT_S).close()
    except ConnectionRefusedError:
        return True
    except OSError:
        return False
    return True
