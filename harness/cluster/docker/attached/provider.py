"""The provider ``docker:attach``: ``--provider docker --attach PROJECT``.

What is there is looked at, named and asked about before anything is made. The run process is a
plain one; what it makes beside the containers carries the run's labels, and says beside whom it
stands, so that a run that was killed is undone by whoever looks for them.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.cluster import bare
from harness.cluster.adopted import refuse_unless_it_adopts
from harness.cluster.docker.attached.members import ATTACH, Member
from harness.cluster.provider import PROVIDER_VARIABLE, Request, RunProcess
from harness.contract.option import SystemOption
from harness.contract.roles import Role
from harness.errors import HealError, HistoryError, PolygraphError, UsageError

if TYPE_CHECKING:
    from harness.cluster.docker.attached.cluster import AttachedCluster
    from harness.contract.finding import Finding
    from harness.contract.system import System
    from harness.store.registration import Registration

_LATER = "polygraph heal, once {places} answer"


class AttachedProvider:
    """Containers of a compose project as nodes.

    ``Provider``, ``BringsNodes``, ``PlacesRoles`` and ``AsksFirst``.
    """

    options: tuple[SystemOption, ...] = ATTACH
    grace_s = 30.0
    proof_of_end = "what was done to the containers is undone, from beside each of them"

    def settle(self, options: Mapping[str, Any], nodes: int | None) -> tuple[dict[str, Any], int]:
        """The options, with the containers by name, and how many there are: each is a node."""
        from harness.cluster.docker import engine
        from harness.cluster.docker.attached.members import find, kept

        project = options.get("attach")
        if not project:
            raise UsageError("nobody says what to attach to", "--provider docker --attach PROJECT")
        members = find(engine.connect(), project, options.get("members"))
        if nodes is not None and nodes != len(members):
            called = ", ".join(each.name for each in members)
            raise UsageError(
                f"--nodes {nodes}, but {len(members)} containers are attached to: {called}",
                f"--nodes {len(members)}, or none; --members says which",
            )
        return {**options, "members": kept(members)}, len(members)

    def placed(
        self, options: Mapping[str, Any], nodes: Sequence[str], roles: Sequence[Role]
    ) -> Sequence[Role]:
        """The system's roles, each on the containers that are there for it."""
        from harness.cluster.docker import engine
        from harness.cluster.docker.attached.members import find, placed

        members = find(engine.connect(), options["attach"], options["members"])
        return placed(members, nodes, roles)

    def choose(self, request: Request) -> str:
        """``docker:attach``, for a system that keeps a run's keys apart, if all of them run."""
        refuse_unless_it_adopts(request)
        _looked_at(request)
        return "docker:attach"

    def warning(self, request: Request) -> str:
        """Every container that will be touched, and what will be made beside it."""
        from harness.cluster.docker import images

        told = [
            f"{node} = {details['Name'].lstrip('/')} ({details['Id'][:12]},"
            f" {details['Config']['Image']})"
            for node, details in _looked_at(request).items()
        ]
        faults = f"; it will do to them {', '.join(request.faults)}" if request.faults else ""
        return (
            f"{request.system.name} runs already in {len(told)} containers of"
            f" {request.options['attach']}: {'; '.join(told)}. This run will write there, under a"
            f" name of its own that it removes at its end, and load them{faults}. Beside each it"
            f" starts a container of its own ({images.node_image()}), which sees the processes of"
            " the engine's machine, touches those of that container alone, and is removed"
        )

    def prepare(self, request: Request, tell: Callable[[str], None]) -> None:
        """Build the node image, for the side-cars, if the engine lacks it."""
        from harness.cluster.docker import engine, images

        client = engine.connect()
        images.ensure_node_image(client, tell)
        client.close()

    def spawn(
        self,
        argv: Sequence[str],
        *,
        request: Request,
        run_dir: Path,
        pass_fds: Sequence[int],
        env: Mapping[str, str],
    ) -> RunProcess:
        """Start the run process as a plain one."""
        from harness.cluster.docker import engine

        url = engine.find()

        def clean_up(run_dir: Path, registered: Registration) -> list[str]:
            return _clean_up(run_dir, registered, request.system)

        return bare.spawn(
            argv,
            provider="docker:attach",
            run_dir=run_dir,
            clean_up=clean_up,
            pass_fds=pass_fds,
            env={**env, PROVIDER_VARIABLE: "docker:attach", "DOCKER_HOST": url},
            facts={
                "project": engine.project_of(run_dir),
                "engine": url,
                "system": request.system.name,
                "attach": request.options["attach"],
            },
        )

    def cluster(self, request: Request, run_dir: Path) -> AttachedCluster:
        """The containers, not yet attached to."""
        from harness.cluster.docker import images
        from harness.cluster.docker.attached.cluster import AttachedCluster

        return AttachedCluster(
            run_dir,
            request.system,
            _members(request),
            project=request.options["attach"],
            image=images.node_image(),
            start_command=request.options.get("start_command"),
        )

    def believed(
        self, run_dir: Path, registered: Registration, options: Mapping[str, Any]
    ) -> dict[str, Any]:
        """What follows from the run's folder, in the engine that the user uses."""
        from harness.cluster.docker import engine

        own = {"project": engine.project_of(run_dir), "engine": engine.find()}
        if registered.facts.get("project") != own["project"]:
            raise HealError(
                f"it names the project {registered.facts.get('project')}, but what a run in this"
                f" folder makes is of {own['project']}: nothing was done",
                "if the run was moved, move it back; else remove its cluster.json",
            )
        if registered.facts.get("engine") != own["engine"]:
            told = str(registered.facts.get("engine"))
            raise HealError(
                f"it ran in the Docker engine at {told}, and yours is {own['engine']}: which engine"
                " is spoken to, only you say",
                f"if that is an engine of yours: DOCKER_HOST={shlex.quote(told)} polygraph heal",
            )
        return {**own, "system": str(registered.facts.get("system"))}

    def is_up(self, run_dir: Path, registered: Registration) -> bool:
        """Nothing of ours is ever left up."""
        return False

    def clean_up(self, run_dir: Path, registered: Registration) -> list[str]:
        """Undo what a dead run did, by the side-cars that it left, and remove them."""
        from harness.plugins import Registry

        name = registered.facts["system"]
        try:
            system: System = Registry().get("systems", name)({})
        except PolygraphError as error:
            return [f"the keys of the run are {name}'s to remove: {error.message}"]
        return _clean_up(run_dir, registered, system)

    def strays(self, store: Path) -> list[str]:
        """None: what a run makes is known by its registration, or removed by ``docker``."""
        return []

    def examine(self, folder: Path) -> list[Finding]:
        """As docker itself, which says it."""
        return []


def _members(request: Request) -> dict[str, Member]:
    from harness.cluster.docker.attached.members import parsed

    return dict(zip(request.nodes, parsed(request.options["members"]), strict=True))


def _looked_at(request: Request) -> dict[str, dict[str, Any]]:
    """What the engine says of each member; each runs."""
    from harness.cluster.docker import engine
    from harness.cluster.docker.attached.members import details_of

    client = engine.connect()
    project = request.options["attach"]
    return {name: details_of(client, each, project) for name, each in _members(request).items()}


def _clean_up(run_dir: Path, registered: Registration, system: System) -> list[str]:
    from harness.cluster.docker import engine
    from harness.cluster.docker.attached import beside

    project, run = registered.facts["project"], str(run_dir.resolve())
    try:
        client = engine.connect(registered.facts["engine"])
        with engine.complaints(f"undoing what {project} did"):
            sidecars = beside.of_run(client, project, run)
            left = _without_sidecar(run_dir, set(sidecars.values()))
            for sidecar, node in sidecars.items():
                left += [f"{node}: {what}" for what in beside.undo(client, sidecar, node)]
            left += _clear_keys(client, sidecars, run_dir, system)
            return left or engine.remove_project_of_the_dead(client, project, run)
    except PolygraphError as error:
        return [f"what was done to the containers could not be undone: {error.message}"]


def _without_sidecar(run_dir: Path, nodes: set[str]) -> list[str]:
    """A sentence for each fault in force on a node from beside which nobody can undo it."""
    from harness.history.faults import unhealed
    from harness.history.ledger import NAME, read_ledger

    try:
        faults = unhealed(read_ledger(run_dir / NAME))
    except HistoryError as error:
        return [error.message]
    return [
        f"{fault.fault} may be in force on {node}, and the side-car beside it, which would undo it,"
        " was removed by somebody: docker restart of that container undoes it, too; then remove"
        " cluster.json"
        for fault in faults
        for node in sorted(set(fault.targets) - nodes)
    ]


def _clear_keys(
    client: Any, sidecars: Mapping[str, str], run_dir: Path, system: System
) -> list[str]:
    """Have the containers beside which side-cars stand forget what the run wrote there."""
    from harness.cluster.docker.attached import beside
    from harness.cluster.docker.attached.networks import places_of
    from harness.cluster.existing.cluster import ExistingCluster
    from harness.cluster.places import ports_of

    found: dict[str, str] = {}
    for sidecar, node in sidecars.items():
        details = beside.neighbour(client, sidecar)
        if details is not None and details["State"]["Running"]:
            places = places_of(node, details, ports_of(system), client.base_url)
            found[node] = places.client_address()
    if not found:
        return []
    try:
        ExistingCluster(run_dir, found, system, _LATER).clear()
    except PolygraphError as error:
        return [error.message]
    return []


PROVIDER = AttachedProvider()
