"""Containers that somebody else runs as a cluster whose processes, links and clocks can be broken.

Beside each container stands a side-car of ours (:mod:`.beside`) for as long as the run lasts;
nothing else is made, and of what was there nothing is changed but what a fault does and its heal
undoes. A container that was ended is started again by the engine, by its restart policy or because
``--start-command engine`` asks for it: it then has another network, another first process and
another side-car, and is cut and shifted again as it was.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from harness.cluster import folders
from harness.cluster.adopted import OwnKeys, refuse_silent
from harness.cluster.docker import engine
from harness.cluster.docker.attached import beside
from harness.cluster.docker.attached.lives import Lives, time_ns
from harness.cluster.docker.attached.logs import EngineLogs
from harness.cluster.docker.attached.members import (
    ENGINE,
    Member,
    details_of,
    end_refusal,
)
from harness.cluster.docker.attached.networks import addresses_of, common_networks, places_of
from harness.cluster.docker.attached.node import AttachedDaemon, AttachedNode
from harness.cluster.docker.attached.seat import Over, Seat
from harness.cluster.docker.link import GONE, SidecarLink
from harness.cluster.hands.cuts import PROBE_PORT
from harness.cluster.hands.machine_clock import REFUSAL
from harness.cluster.links import all_links, carrying, dead, refuse_unknown
from harness.cluster.places import ports_of
from harness.cluster.remote import identity_in
from harness.contract.node import ClockMethod, Daemon, Grudge, Link
from harness.contract.system import System
from harness.errors import NodeError, PolygraphError, SetupError
from harness.store import registration
from harness.wording import named

T = TypeVar("T")

_ROUNDS_S = (0.05, 0.05, 0.1, 0.15)
_LINK_CHECKS = 20
_BACK_S = 70.0
"""The engine waits up to a minute between two starts of a container that keeps ending."""
_POLL_S = 0.05
_LATER = "polygraph heal, once {places} answer"


class AttachedCluster:
    """Members of a project as nodes.

    ``Cluster``, ``RunsAlready``, ``Attached``, ``MayRefuseSignals``, ``Partitionable``,
    ``MayRefuseCuts``, ``Clocks``, ``Losable``, ``LogsElsewhere``, ``MayHaveLogs`` and
    ``TellsTrouble``. ``project`` is that of the containers, ``run``
    the label of ours.
    """

    provider = "docker:attach"

    def __init__(
        self,
        run_dir: Path,
        system: System,
        members: Mapping[str, Member],
        *,
        project: str,
        image: str,
        start_command: str | None = None,
    ) -> None:
        self.nodes: list[AttachedNode] = []
        self._run_dir = run_dir.resolve()
        self._system = system
        self._members = dict(members)
        self._project = project
        self._image = image
        self._start_command = start_command
        self._own = engine.project_of(run_dir)
        self._table = f"polygraph_{hashlib.sha256(str(self._run_dir).encode()).hexdigest()[:8]}"
        self._keys = OwnKeys(self._run_dir, self, system)
        self._client: Any = None
        self._lives: Lives | None = None
        self._details: dict[str, dict[str, Any]] = {}
        self._seats: dict[str, Seat] = {}
        self._numbers = itertools.count(1)
        self._daemons: dict[str, Daemon] = {}
        self._since_ns = 0
        self._addresses: dict[str, list[str]] = {}
        self._pool = ThreadPoolExecutor(2 * len(members), thread_name_prefix="attached")
        self._lock = threading.RLock()
        self._renewing = {name: threading.RLock() for name in members}
        self._probing = threading.Lock()
        self._round = 0
        self._cut: Grudge = {}
        self._probes = False
        self._is_ending = False
        self._logs = EngineLogs()
        self._tell_trouble: Callable[[str, str], None] = lambda node, what: None

    def node(self, name: str) -> AttachedNode:
        """The node of that name; ``KeyError`` if there is none."""
        return {node.name: node for node in self.nodes}[name]

    # -- the run's beginning and end -----------------------------------------------------------

    def up(self) -> None:
        """Attach, or raise ``SetupError``; what was made for that ends with ``down``."""
        self._connect()
        hint = "the containers' addresses, or published ports, must be reachable from here"
        refuse_silent(self.nodes, hint)
        for node in self.nodes:
            node.log_dir.mkdir(parents=True, exist_ok=True)
        self._logs.begin(self._client, self.nodes, self._since_ns)

    def adopt(self) -> Mapping[str, str]:
        """Have the system write under the run's own name from now on; what is under test."""
        return self._keys.adopt()

    def has_logs(self) -> bool:
        """Whether the engine lets any container's log be read (``MayHaveLogs``)."""
        return bool(self._logs)

    def collect(self) -> list[str]:
        """Fetch what the containers have said since (``LogsElsewhere``)."""
        return self._logs.fetch()

    def on_trouble(self, tell: Callable[[str, str], None]) -> None:
        """Who is told where a container's new life could not be attended (``TellsTrouble``)."""
        self._tell_trouble = tell

    def down(self) -> None:
        """Undo all that was done, and remove what was made. Safe twice.

        ``NodeError`` names what may be left; then the run stays registered.
        """
        if self._client is not None:
            self._is_ending = True
            left = self._let_go()
            if left:
                raise NodeError("; ".join(left), "polygraph heal")
        self._keys.clear(_LATER)
        registration.remove(self._run_dir)

    def leave_running(self) -> None:
        """As :meth:`down`: what is not ours runs on anyway."""
        self.down()

    def lost(self) -> list[str]:
        """A sentence for each node whose side-car, or engine, went by nobody's order.

        And for each that somebody else had the engine signal: what ended there is no crash.
        """
        if self._is_ending or self._lives is None:
            return []
        ordered = [(node, self._lives.ordered(node.id)) for node in self.nodes]
        return [
            f"{node.name}: somebody had the engine send signal {number} to {node.member.name}"
            for node, number in ordered
            if number is not None
        ] + [
            f"{node.name}: {GONE}"
            for node in self.nodes
            if node.link.is_lost and not self._renewing_now(node.name)
        ]

    # -- processes -----------------------------------------------------------------------------

    def signal_refusal(self) -> str | None:
        """Why the containers' processes cannot be signalled (``MayRefuseSignals``). Attaches."""
        self._connect()
        found = self._on_all(lambda name: self._ask(name, "may-signal")["why"])
        return "; ".join(f"{name}: {why}" for name, why in found.items() if why) or None

    def end_refusal(self, politely: bool) -> str | None:
        """Why nobody would start again what was ended (``MayRefuseSignals``). Attaches."""
        self._connect()
        why = {
            name: end_refusal(details, self._start_command, politely)
            for name, details in self._details.items()
        }
        said = "; ".join(f"{self._called(name)}: {each}" for name, each in why.items() if each)
        if not said:
            return None
        return (
            f"nobody would start it again ({said}); to change that: --start-command {ENGINE}, by"
            " which the engine is asked to; or docker update --restart unless-stopped"
        )

    def running(self, node: str, role: str) -> Sequence[Daemon]:
        """The container's first process (``Attached``)."""
        with self._lock:
            return (self._daemons[node],)

    def start_again(self, node: str, role: str) -> Sequence[Daemon]:
        """Have the engine start the container again, and know its new life (``Attached``)."""
        place, ended = self.node(node), self._daemons[node]
        deadline = time.monotonic() + _BACK_S
        with engine.complaints(f"{node}: start of {place.member.name} again"):
            while True:
                state = self._client.inspect_container(place.id)["State"]
                if state["Running"] and not state.get("Restarting"):
                    with contextlib.suppress(SetupError):  # it ends while it is looked at
                        self._renew(node)
                        if self._daemons[node] is not ended or ended.alive():
                            break
                elif self._start_command == ENGINE and state["Status"] == "exited":
                    self._client.start(place.id)
                if time.monotonic() > deadline:
                    raise NodeError(
                        f"{node}: the engine did not start {place.member.name} again in"
                        f" {_BACK_S:g} s: it is {state['Status']}",
                        f"docker start {place.member.name}",
                    )
                time.sleep(_POLL_S)
        return (self._daemons[node],)

    # -- links ---------------------------------------------------------------------------------

    def cut_refusal(self) -> str | None:
        """Why links between the containers cannot be cut (``MayRefuseCuts``). Attaches."""
        self._connect()
        for name, details in self._details.items():
            if not beside.has_own_network(details):
                mode = details["HostConfig"]["NetworkMode"]
                return f"{self._called(name)} has no network of its own (network_mode {mode})"
        if not common_networks(self._details.values()):
            return "the containers have no network in common"
        try:
            self._on_all(self._begin_probes)
        except PolygraphError as error:
            return error.message
        self._probes = True
        silent = dead(self._members, self.reachable, _LINK_CHECKS)
        return f"no packet of ours goes from {silent} by UDP {PROBE_PORT}" if silent else None

    def cut(self, grudge: Grudge) -> None:
        """Drop inbound packets as ``grudge`` says, replacing any earlier cut, atomically a node."""
        refuse_unknown(grudge, self._members)
        with self._lock:
            if self._is_ending and any(grudge.values()):
                raise NodeError("the cluster is being let go")
            concerned = set(self._cut) | set(grudge)
            self._cut = dict(grudge)
            self._on(concerned, self._cut_node)

    def heal_cuts(self) -> None:
        """Let every packet pass again. Safe twice."""
        self.cut({})

    def dropped(self) -> Mapping[Link, int]:
        """Packets dropped by the present cut, per directed link, probes of the links apart."""
        with self._lock:
            cut = {name: sources for name, sources in self._cut.items() if sources}
        asked = self._on(cut, lambda name: self._ask(name, "dropped", **self._told(name, cut)))
        return {
            (source, name): sum(
                asked[name]["dropped"].get(address, 0) for address in self._addresses[source]
            )
            for name, sources in cut.items()
            for source in sources
        }

    def reachable(self) -> frozenset[Link]:
        """The directed links that carry packets now, by probing each one."""
        with self._probing:
            return carrying(all_links(self._members), self._probe, _ROUNDS_S)

    # -- clocks --------------------------------------------------------------------------------

    def clock_refusal(self, method: ClockMethod) -> str | None:
        """Why the clocks of the containers' processes cannot be set (``Clocks``). Attaches.

        Each is seized for a moment, as it will be.
        """
        if method == "machine":
            return REFUSAL
        self._connect()
        try:
            self._on_all(lambda name: self._ask(name, "clock", do="rehearse"))
        except PolygraphError as error:
            return error.message
        return None

    # -- attaching -----------------------------------------------------------------------------

    def _connect(self) -> None:
        """Look at every member, and have a side-car beside each. Safe twice."""
        with self._lock:
            if self.nodes:
                return
            self._client = engine.connect()
            with engine.complaints(f"attaching to {self._project}"):
                self._details = self._on_all(
                    lambda name: details_of(self._client, self._members[name], self._project)
                )
                ids = {details["Id"]: name for name, details in self._details.items()}
                self._since_ns = time_ns(self._client.info()["SystemTime"])
                self._lives = Lives(self._client, list(ids), lambda id: self._started(ids[id]))
                networks = common_networks(self._details.values())
                self._addresses = {
                    name: addresses_of(details, networks) for name, details in self._details.items()
                }
                self._seats = self._on_all(lambda name: self._attend(name, self._details[name]))
                nodes = [self._node(name, self._seats[name].link) for name in self._members]
                for node in nodes:
                    self._daemons[node.name] = self._adopted(node, self._seats[node.name])
            self.nodes = nodes

    def _node(self, name: str, link: SidecarLink) -> AttachedNode:
        details = self._details[name]
        places = places_of(name, details, ports_of(self._system), self._client.base_url)
        folder = folders.of_node(self._run_dir, name)
        return AttachedNode(name, self._members[name], details["Id"], places, link, folder)

    def _attend(self, name: str, details: dict[str, Any]) -> Seat:
        """Make the side-car for the life of a container that ``details`` tell of."""
        labels = engine.labels(self._own, str(self._run_dir))
        sidecar = beside.make(
            self._client,
            details,
            image=self._image,
            name=f"{self._own}-{name}-{next(self._numbers)}",
            labels={**labels, engine.NODE_LABEL: name},
        )
        return Seat(sidecar, beside.attend(self._client, sidecar, name), details)

    def _adopted(self, node: AttachedNode, seat: Seat) -> Daemon:
        """The first process of the container's life, known to the side-car."""
        assert self._lives is not None
        details = seat.details
        found = seat.link.ask("adopt", pid=details["State"]["Pid"])
        now = self._client.inspect_container(details["Id"])["State"]
        if now["StartedAt"] != details["State"]["StartedAt"] or not now["Running"]:
            raise Over(f"{self._called(node.name)} ended while it was looked at")
        life = details["Id"], seat.began_ns
        return AttachedDaemon(node, identity_in(found), self._lives, life)

    # -- another life of a container -------------------------------------------------------------

    def _started(self, name: str) -> None:
        """The engine has started it: what was in force there is in force again, as soon as may be.

        In a thread; whoever starts it as a heal does the same, and finds it done. Else it is told.
        """
        try:
            self._renew(name)
        except Over:
            return
        except Exception as error:  # the thread's last word; a defect of ours is told alike
            if not self._is_ending:
                why = error.message if isinstance(error, PolygraphError) else named(error)
                self._tell_trouble(
                    name,
                    f"{self._called(name)} was started again, and what was in force on it may not"
                    f" be: {why}",
                )

    def _renew(self, name: str) -> None:
        """A side-car for the present life, if there is another one than is known."""
        with self._renewing[name]:
            place = self.node(name)
            details = self._client.inspect_container(place.id)
            if not details["State"]["Running"] or self._is_ending:
                raise Over(f"{self._called(name)} does not run")
            before = self._seats[name]
            if time_ns(details["State"]["StartedAt"]) == before.began_ns:
                return
            self._refuse_moved(name, details)
            seat = self._attend(name, details)
            try:
                self._take_seat(name, seat)
            except BaseException:
                seat.link.close()  # it undoes what it did, and is removed with all others
                raise
            before.link.close()
            beside.remove(self._client, before.sidecar)

    def _take_seat(self, name: str, seat: Seat) -> None:
        """Have this life be the known one, with what is in force on the node in force on it."""
        place = self.node(name)
        daemon = self._adopted(place, seat)
        if self._probes:
            self._probe_at(name, seat.link)
        if place.program is not None:
            seat.link.ask("clock", do="set", program=dict(place.program))
        with self._lock:
            place.link = seat.link
            if self._cut.get(name):
                self._cut_node(name)
            self._seats[name], self._daemons[name] = seat, daemon

    def _refuse_moved(self, name: str, details: dict[str, Any]) -> None:
        """``NodeError`` where it came back under another address: clients are led to the old."""
        networks = common_networks(self._details.values())
        places = places_of(name, details, ports_of(self._system), self._client.base_url)
        moved = places.client_address() != self.node(name).client_address
        if moved or addresses_of(details, networks) != self._addresses[name]:
            raise NodeError(
                f"{self._called(name)} came back under another address than it had",
                "give it a fixed one: ipv4_address in its compose file, or a published port",
            )

    def _renewing_now(self, name: str) -> bool:
        free = self._renewing[name].acquire(blocking=False)
        if free:
            self._renewing[name].release()
        return not free

    # -- inside ----------------------------------------------------------------------------------

    def _ask(self, name: str, op: str, **request: Any) -> dict[str, Any]:
        return self.node(name).link.ask(op, **request)

    def _cut_node(self, name: str) -> None:
        self._ask(name, "cut", **self._told(name, self._cut))

    def _told(self, name: str, cut: Grudge) -> dict[str, Any]:
        sources = sorted(a for each in cut.get(name, ()) for a in self._addresses[each])
        return {"table": self._table, "sources": sources, "probe_port": PROBE_PORT}

    def _begin_probes(self, name: str) -> None:
        self._probe_at(name, self.node(name).link)

    def _probe_at(self, name: str, link: SidecarLink) -> None:
        link.ask("rehearse", table=self._table)
        link.ask("listen", address=self._addresses[name][0], port=PROBE_PORT)

    def _probe(self, wanted: set[Link], round_s: float) -> set[Link]:
        """Send one datagram over each link; those that arrived within a round's time."""
        self._round += 1
        first = {name: addresses[0] for name, addresses in self._addresses.items()}

        def send(name: str) -> None:
            to = [first[b] for a, b in wanted if a == name]
            self._ask(name, "probe", round=self._round, addresses=to)

        def hear(name: str) -> set[Link]:
            sources = {first[a]: a for a, b in wanted if b == name}
            answer = self._ask(
                name, "heard", round=self._round, sources=list(sources), wait_s=round_s
            )
            return {(sources[address], name) for address in answer["heard"] if address in sources}

        self._on_all(send)
        return set().union(*self._on_all(hear).values())

    def _called(self, name: str) -> str:
        return f"{name} ({self._members[name].name})"

    def _let_go(self) -> list[str]:
        """Undo what was done beside every container, and remove the side-cars; what is left."""
        left: list[str] = []
        for node in self.nodes:
            with self._renewing[node.name], contextlib.suppress(PolygraphError):
                node.link.ask("undo")
            node.link.close()
        if self._lives is not None:
            self._lives.close()
        with engine.complaints("letting the containers go"):
            run = str(self._run_dir)
            for sidecar, name in beside.of_run(self._client, self._own, run).items():
                left += [f"{name}: {what}" for what in beside.undo(self._client, sidecar, name)]
            return left or engine.remove_project(self._client, self._own, run)

    def _on_all(self, work: Callable[[str], T]) -> dict[str, T]:
        """``work`` on every node at once; waits for all, then raises the first error."""
        return self._on(self._members, work)

    def _on(self, names: Iterable[str], work: Callable[[str], T]) -> dict[str, T]:
        futures = {name: self._pool.submit(work, name) for name in names}
        errors = [error for future in futures.values() if (error := future.exception())]
        if errors:
            raise errors[0]
        return {name: future.result() for name, future in futures.items()}
