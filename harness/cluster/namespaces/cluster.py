"""A cluster of nodes on this machine, each in namespaces of its own, without docker.

Used inside the run process, which lives in the run's network namespace beside the bridge::

    run process ── reaper (forks the agents)
       │ 10.77.0.254
    [switch] ── n1 10.77.0.1 ── agent ── daemons
            └── n2 10.77.0.2 ── agent ── daemons

The run process talks to each agent, wires the nodes up by netlink, and cuts links in each node's
own nftables. Nothing of the machine's network is touched, no program is needed, and whatever
becomes of this process, the reaper's end takes all of it down.

Cost: five nodes up in about 0.15 s, and down in 0.1 s.
"""

from __future__ import annotations

import os
import socket
import sys
import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.cluster import folders
from harness.cluster.clocks import refusal_on_this_machine
from harness.cluster.hands import disk
from harness.cluster.host_names import check_names
from harness.cluster.links import (
    answering,
    answering_here,
    counts_by_link,
    dead,
    places_for,
    refuse_unknown_ports,
    sources_of,
)
from harness.cluster.namespaces import wire
from harness.cluster.namespaces.agent_link import AgentLink
from harness.cluster.namespaces.firewall import Firewall, cut_at_once
from harness.cluster.namespaces.link_meter import LinkMeter
from harness.cluster.namespaces.netlink import Packed, in_network, need_pyroute2
from harness.cluster.namespaces.node import NodeWithDisk, with_real_paths
from harness.cluster.namespaces.reachability import Prober
from harness.cluster.namespaces.reaper import CONTROL_FD_VARIABLE
from harness.cluster.namespaces.shaping import Shaping, refusal_of_queues
from harness.cluster.namespaces.steps import DATA_DIR, StepFailed, step
from harness.cluster.namespaces.switch import Switch, join
from harness.cluster.places import Hosts, Places
from harness.contract.node import ClockMethod, Grudge, Link, LinkShape, Measured, Port
from harness.contract.shot import Shot, shoot
from harness.errors import NodeError, SetupError
from harness.linux import identity

CLUSTER_STEPS = ("folders", "agents", "switch", "node links", "firewalls", "links carry")
CONTROLLER_ADDRESS = "10.77.0.254"

_END_TIMEOUT_S = 30.0
_LINK_CHECKS = 20


class LocalCluster:
    """Nodes in namespaces (``Cluster``, ``Partitionable`` and ``Clocks``).

    ``names`` become host names, folders under ``run_dir/nodes`` and addresses 10.77.0.1 and on,
    where every port is found under its own number; ``ports`` are those that the system declared.
    ``keep_data`` keeps the data folders after ``down``. ``show`` are paths under ``/tmp`` or
    ``/dev/shm`` that nodes must see beside the run folder, this program and what they execute.
    ``fail_at`` names a step that fails on request.
    """

    ends_with_run = True
    """The kernel ends it with the run process, however that ends."""

    def __init__(
        self,
        run_dir: Path,
        names: Sequence[str],
        mode: str,
        *,
        ports: Sequence[Port] = (),
        keep_data: bool = False,
        show: Sequence[str] = (),
        fail_at: str | None = None,
    ) -> None:
        check_names(names)
        self.provider = f"local:{mode}"
        self.nodes: list[NodeWithDisk] = []
        self._run_dir = run_dir.resolve()
        self._addresses = {name: f"10.77.0.{i}" for i, name in enumerate(names, 1)}
        self._ports = ports
        self._keep_data = keep_data
        self._show = show
        self._fail_at = fail_at
        self._control = control_channel()
        self._lock = threading.Lock()
        self._links: dict[str, AgentLink] = {}
        self._namespace_fds: dict[str, int] = {}
        self._firewalls: dict[str, Firewall] = {}
        self._prober = Prober(self._addresses)
        self._meter = LinkMeter(self._addresses)
        self._shaping = Shaping(self._addresses, self._within, seed=1)
        self._switch: Switch | None = None
        self._cut: Grudge = {}
        self._has_disks = False

    def node(self, name: str) -> NodeWithDisk:
        """The node of that name; ``KeyError`` if there is none."""
        return {node.name: node for node in self.nodes}[name]

    def up(self) -> None:
        """Bring all nodes up, or raise ``SetupError`` with nothing left behind."""
        need_pyroute2()
        try:
            self._bring_up()
        except StepFailed as failure:
            self.down()
            raise SetupError(f"the cluster did not come up: {failure}") from failure
        except BaseException:
            self.down()
            raise

    def down(self) -> None:
        """End everything that ``up`` made. Safe twice, and where ``up`` is not through yet."""
        links = dict(self._links)  # a run that is stopped leaves ``up`` to add to it meanwhile
        for link in links.values():
            link.tell_to_exit_once_up()
        stuck = [name for name, link in links.items() if not wait_for_end(link)]
        for link in links.values():
            link.close()
        self._prober.close()
        self._meter.close()
        self._shaping.close()
        for firewall in list(self._firewalls.values()):
            firewall.close()
        for fd in list(self._namespace_fds.values()):
            os.close(fd)
        for kept in (self._links, self._firewalls, self._namespace_fds):
            kept.clear()
        if self._switch is not None:
            self._switch.close()
            self._switch = None
        folders.remove_data(self._run_dir)
        if stuck:
            raise NodeError(f"{', '.join(stuck)}: processes do not end ({_END_TIMEOUT_S:.0f} s)")

    def leave_running(self) -> None:
        """Have the cluster outlive this process and the front, until ``polygraph down``."""
        with self._lock:
            wire.send(self._control, {"op": "stay"})
            if wire.receive(self._control) is None:
                raise SetupError("the reaper is gone, so the cluster cannot be left running")

    def cut(self, grudge: Grudge) -> None:
        """Drop inbound packets as ``grudge`` says, replacing any earlier cut, atomically a node."""
        shoot(self.prepare_cut(grudge))

    def prepare_cut(self, grudge: Grudge) -> Shot:
        """The same, made ready (``PreparesCuts``): one message a node, packed."""
        refuse_unknown_ports(grudge, self._addresses)
        return _Cut(self, dict(grudge))

    def _begin_cut(self, grudge: Grudge, packed: Mapping[str, Packed]) -> Callable[[], None]:
        with self._lock:
            self._cut = grudge
            return cut_at_once([(self._firewalls[name], each) for name, each in packed.items()])

    def _pack_cut(self, grudge: Grudge) -> dict[str, Packed]:
        return {
            name: firewall.prepare(sources_of(grudge, name, self._addresses))
            for name, firewall in self._firewalls.items()
        }

    def heal_cuts(self) -> None:
        """Let every packet pass again. Safe twice."""
        self.cut({})

    def dropped(self) -> Mapping[Link, int]:
        """Packets dropped by the present cut, per directed link, probes of the links apart."""
        with self._lock:
            cut = self._cut
            dropped = {
                name: self._firewalls[name].dropped(sources_of(cut, name, self._addresses))
                for name in cut
            }
            return counts_by_link(cut, dropped, self._addresses)

    def reachable(self) -> frozenset[Link]:
        """The directed links that carry packets now, by probing each one."""
        return self._prober.reachable()

    def answering(self, port: int) -> frozenset[Link]:
        """The directed links over which that port answers (``CutsPorts``)."""
        places = places_for(self.nodes, port, "peer")
        return answering(places, lambda name, op, **more: self._links[name].ask(op, **more))

    def answering_clients(self, port: int) -> frozenset[str]:
        """The nodes that answer there whoever connects from here (``CutsClients``)."""
        return answering_here(places_for(self.nodes, port, "client"))

    def shape_refusal(self) -> str | None:
        """Why packets cannot be held back here, tried in the run's own network namespace."""
        return refusal_of_queues()

    def shape(self, shapes: Mapping[Link, LinkShape]) -> None:
        """Make these links slow or lossy, and no others (``Shapeable``)."""
        self._shaping.shape(shapes)

    def shaped(self) -> Mapping[Link, Mapping[str, int]]:
        """What was done on each shaped link, counted."""
        return self._shaping.shaped()

    def measure(
        self, links: Collection[Link], count: int, wait_s: float
    ) -> Mapping[Link, Measured]:
        """Send so many datagrams over each link, and see what comes."""
        return self._meter.measure(links, count, wait_s)

    def clock_refusal(self, method: ClockMethod) -> str | None:
        """Why the clocks of nodes cannot be set here (``Clocks``)."""
        return refusal_on_this_machine(method)

    def controller_host(self) -> str:
        """The address of this process on the bridge (``ReachesController``)."""
        return CONTROLLER_ADDRESS

    def disk_refusal(self) -> str | None:
        """Why nodes cannot have disks of their own here (``Disks``)."""
        return disk.why_not()

    def provide_disks(self) -> None:
        """Have every node that comes up have one."""
        self._has_disks = True

    def _bring_up(self) -> None:
        self.nodes.clear()
        with step("folders", self._fail_at):
            self._make_folders()
        with step("agents", self._fail_at):
            for name in self._addresses:
                self._links[name] = self._ask_for_node(name)
        with step("switch", self._fail_at):
            self._switch = Switch(CONTROLLER_ADDRESS)
        for number, name in enumerate(self._addresses, 1):
            self._wire_up(number, name, self._switch)
        with step("links carry", self._fail_at):
            self._check_links()
        for name, address in self._addresses.items():
            places = Places(node=name, ports=self._ports, hosts=Hosts.same(address))
            folder, link = self._folder(name), self._links[name]
            self.nodes.append(NodeWithDisk(places, folder, DATA_DIR, link))
        for seed, node in enumerate(self.nodes if self._has_disks else ()):
            node.start_disk(DATA_DIR, seed)

    def _make_folders(self) -> None:
        lines = ["127.0.0.1\tlocalhost", "::1\tip6-localhost"]
        lines += [f"{address}\t{name}" for name, address in self._addresses.items()]
        if self._keep_data:
            folders.keep_data(self._run_dir)
        hosts = "\n".join([*lines, f"{CONTROLLER_ADDRESS}\tcontroller", ""])
        for name in self._addresses:
            (self._folder(name) / "data").mkdir(parents=True, exist_ok=True)
            (self._folder(name) / "hosts").write_text(hosts, encoding="ascii")

    def _ask_for_node(self, name: str) -> AgentLink:
        program = [sys.executable, sys.prefix, sys.base_prefix, str(Path(__file__).parents[3])]
        path = os.environ.get("PATH", "").split(os.pathsep)
        spec = {
            "op": "node",
            "name": name,
            "hosts": str(self._folder(name) / "hosts"),
            "data": str(self._folder(name) / "data"),
            "show": with_real_paths([str(self._run_dir), *program, *path, *self._show]),
            "fail_at": self._fail_at,
        }
        wire.send(self._control, spec)
        answer = wire.receive(self._control)
        if answer is None:
            raise SetupError(f"{name}: the reaper is gone")
        return AgentLink(name, socket.socket(fileno=answer.fds[0]))

    def _wire_up(self, number: int, name: str, switch: Switch) -> None:
        self._links[name].wait_until_up()
        with step("node links", self._fail_at):
            fd = os.open(f"/proc/{self._links[name].pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
            self._namespace_fds[name] = fd
            address = self._addresses[name]
            others = [*self._addresses.values(), CONTROLLER_ADDRESS]
            switch.connect(number, fd, address)
            join(fd, address, [other for other in others if other != address])
        with step("firewalls", self._fail_at):
            self._firewalls[name] = in_network(fd, Firewall)
            self._firewalls[name].cut([])
            in_network(fd, lambda: self._prober.open_socket(name))
            in_network(fd, lambda: self._meter.open_socket(name))

    def _check_links(self) -> None:
        """Every link carries, by a probe of each."""
        silent = dead(self._addresses, self.reachable, _LINK_CHECKS)
        if silent:
            raise SetupError(f"the new cluster's links do not carry packets: {silent}")

    def _within(self, name: str, action: Callable[[], Any]) -> Any:
        return in_network(self._namespace_fds[name], action)

    def _folder(self, name: str) -> Path:
        return folders.of_node(self._run_dir, name)


class _Cut:
    """A cut of all nodes at once, made ready."""

    def __init__(self, cluster: LocalCluster, grudge: Grudge) -> None:
        self._cluster = cluster
        self._grudge = grudge
        self._packed = cluster._pack_cut(grudge)
        self._settle: Callable[[], None] = lambda: None

    def fire(self) -> None:
        """Every node's kernel drops from now on."""
        self._settle = self._cluster._begin_cut(self._grudge, self._packed)

    def settle(self) -> None:
        """``NodeError`` where a kernel refused."""
        try:
            self._settle()
        except OSError as error:
            raise NodeError(f"the cut was refused: {error.strerror}") from error


def wait_for_end(link: AgentLink) -> bool:
    """Whether a node whose agent was told to exit has ended in time."""
    if link.pid == 0:
        return True
    try:
        pidfd = os.pidfd_open(link.pid)
    except ProcessLookupError:
        return True
    try:
        return identity.wait_for_end(pidfd, _END_TIMEOUT_S)
    finally:
        os.close(pidfd)


def control_channel() -> socket.socket:
    """The run process's channel to its reaper."""
    fd = os.environ.get(CONTROL_FD_VARIABLE)
    if fd is None:
        raise SetupError(
            "a local cluster can be made only in a run process that was started in namespaces",
            "start it by harness.cluster.namespaces.enter.spawn",
        )
    os.set_inheritable(int(fd), False)
    return socket.socket(fileno=os.dup(int(fd)))
