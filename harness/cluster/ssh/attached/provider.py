"""The provider ``ssh:attach``: ``--provider ssh --nodes-file FILE --attach``.

Every host is looked at and what is meant there named, and asked about, before anything is made;
looking makes nothing. From then on it is the ssh provider, but that what runs there is not ours:
what a killed run did is undone by the keeper that it left, or by the next that reads its folder.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.cluster import bare
from harness.cluster.adopted import refuse_unless_it_adopts
from harness.cluster.provider import PROVIDER_VARIABLE, Request, RunProcess
from harness.cluster.ssh.provider import SshProvider, facts_of
from harness.contract.system import System, roles_of
from harness.errors import NodeError, PolygraphError, SetupError, UsageError

if TYPE_CHECKING:
    from harness.cluster.ssh.attached.cluster import AttachedCluster
    from harness.cluster.ssh.attached.meant import Wanted
    from harness.cluster.ssh.hosts import Host
    from harness.contract.finding import Finding
    from harness.store.registration import Registration

_LATER = "polygraph heal, once {places} answer"
_LOOK_TIMEOUT_S = 20.0


class AttachedProvider(SshProvider):
    """What runs on hosts already, as nodes (``Provider``, ``BringsNodes``, ``AsksFirst``)."""

    proof_of_end = "what was done on the hosts is undone: the keeper of each said so"

    def settle(self, options: Mapping[str, Any], nodes: int | None) -> tuple[dict[str, Any], int]:
        """As over ssh, and what is attached to is said."""
        if not options.get("attach"):
            raise UsageError("nobody says what to attach to", "--attach port:2379")
        return super().settle(options, nodes)

    def choose(self, request: Request) -> str:
        """``ssh:attach``, for a system that keeps a run's keys apart, if it runs on every host."""
        from harness.cluster.ssh.attached.logs import meant

        refuse_unless_it_adopts(request)
        meant(request.options.get("server_logs"), roles_of(request.system, request.nodes))
        _looked_at(request)
        return "ssh:attach"

    def warning(self, request: Request) -> str:
        """Every process that will be touched, and what will be made on its host."""
        told = [f"{node} = {what}" for node, what in _looked_at(request).items()]
        faults = f"; it will do to them {', '.join(request.faults)}" if request.faults else ""
        cut = ", its firewall table polygraph_…" if request.faults else ""
        return (
            f"{request.system.name} runs already on {len(told)} hosts: {'; '.join(told)}. This run"
            " will write there, under a name of its own that it removes at its end, and load"
            f" them{faults}. On each host it makes a folder and a keeper process of its"
            f" own{cut}, and removes them"
        )

    def spawn(
        self,
        argv: Sequence[str],
        *,
        request: Request,
        run_dir: Path,
        pass_fds: Sequence[int],
        env: Mapping[str, str],
    ) -> RunProcess:
        """Start the run process; the run is registered with its hosts."""

        def clean_up(run_dir: Path, registered: Registration) -> list[str]:
            return self._undo(run_dir, registered, request.system)

        return bare.spawn(
            argv,
            provider="ssh:attach",
            run_dir=run_dir,
            clean_up=clean_up,
            pass_fds=pass_fds,
            env={**env, PROVIDER_VARIABLE: "ssh:attach"},
            facts={**facts_of(request), "system": request.system.name},
        )

    def cluster(self, request: Request, run_dir: Path) -> AttachedCluster:
        """The hosts, not yet connected."""
        from harness.cluster.ssh.attached.cluster import AttachedCluster
        from harness.cluster.ssh.attached.logs import meant
        from harness.cluster.ssh.hosts import hosts_of

        facts = facts_of(request)
        return AttachedCluster(
            run_dir,
            hosts_of(facts),
            facts["host_dir"],
            request.system,
            roles_of(request.system, request.nodes),
            _wanted(request),
            request.options.get("start_command"),
            meant(request.options.get("server_logs"), roles_of(request.system, request.nodes)),
        )

    def believed(
        self, run_dir: Path, registered: Registration, options: Mapping[str, Any]
    ) -> dict[str, Any]:
        """The hosts, as over ssh; and the system by its name."""
        found = super().believed(run_dir, registered, options)
        return {**found, "system": str(registered.facts.get("system"))}

    def is_up(self, run_dir: Path, registered: Registration) -> bool:
        """Nothing of ours is ever left up."""
        return False

    def clean_up(self, run_dir: Path, registered: Registration) -> list[str]:
        """Undo what a dead run did on its hosts, and remove its keys."""
        from harness.plugins import Registry

        name = registered.facts["system"]
        try:
            system: System = Registry().get("systems", name)({})
        except PolygraphError as error:
            return [f"the keys of the run are {name}'s to remove: {error.message}"]
        return self._undo(run_dir, registered, system)

    def examine(self, folder: Path) -> list[Finding]:
        """As ssh itself, which says it."""
        return []

    def _undo(self, run_dir: Path, registered: Registration, system: System) -> list[str]:
        left = super().clean_up(run_dir, registered)
        return left or _clear_keys(run_dir, registered.facts, system)


def _wanted(request: Request) -> Wanted:
    from harness.cluster.ssh.attached.meant import wanted

    roles = roles_of(request.system, request.nodes)
    return wanted(request.options["attach"], roles, request.system)


def _looked_at(request: Request) -> dict[str, str]:
    """What is meant on each host, in words; ``SetupError`` tells all that is wrong with any."""
    from concurrent.futures import ThreadPoolExecutor

    from harness.cluster.ssh.cluster import worded
    from harness.cluster.ssh.hosts import hosts_of

    wanted, hosts = _wanted(request), hosts_of(facts_of(request))
    roles = roles_of(request.system, request.nodes)
    found: dict[str, str] = {}
    trouble: dict[str, NodeError] = {}

    def look(host: Host) -> None:
        here = {role.name: wanted[role.name] for role in roles if host.node in role.nodes}
        try:
            found[host.node] = _look(host, here)
        except NodeError as error:
            trouble[host.node] = error

    with ThreadPoolExecutor(len(hosts)) as pool:
        list(pool.map(look, hosts))
    if trouble:
        raise SetupError(*worded(trouble))
    return {host.node: found[host.node] for host in hosts}


def _look(host: Host, wanted: Wanted) -> str:
    """Log in, and find what is meant there without making anything."""
    from harness.cluster import hands
    from harness.cluster.hands.looking import NEEDED
    from harness.cluster.ssh.connection import connect

    folder = Path(hands.__file__).parent
    files = {f"{name}.py": (folder / f"{name}.py").read_text("utf-8") for name in NEEDED}
    settings = {"wanted": list(wanted.values()), "files": files}
    connection = connect(host)
    try:
        channel = connection.execute("looking.py", settings, _LOOK_TIMEOUT_S)
        answer, _ = connection.answer(channel)
    finally:
        connection.close()
    refused = [each["refused"] for each in answer["found"] if "refused" in each]
    if refused:
        raise NodeError(
            f"{host.node}: {host}: {'; '.join(refused)}",
            "--attach port:N, program:NAME or pidfile:PATH says what is meant",
        )
    told = [f"{each['command']} (pid {each['pid']})" for each in answer["found"]]
    return f"{', '.join(told)} on {host}"


def _clear_keys(run_dir: Path, facts: Mapping[str, Any], system: System) -> list[str]:
    from harness.cluster.existing.cluster import ExistingCluster
    from harness.cluster.places import ports_of
    from harness.cluster.ssh.hosts import hosts_of, resolved
    from harness.cluster.ssh.node import places_of

    try:
        found = {
            host.node: places_of(
                host, resolved(host, host.peer or host.address), ports_of(system)
            ).client_address()
            for host in hosts_of(facts)
        }
        ExistingCluster(run_dir, found, system, _LATER).clear()
    except PolygraphError as error:
        return [error.message]
    return []


PROVIDER = AttachedProvider()
