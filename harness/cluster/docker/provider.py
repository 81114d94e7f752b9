"""The docker provider: each node a side-car container, each daemon a container that joins it.

The run process is a plain one (:mod:`harness.cluster.bare`): an engine's containers outlive
whoever made them, so what a dead run left is found by its labels and removed.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.cluster import bare
from harness.cluster.docker.attached.members import ATTACH
from harness.cluster.host_names import check_names
from harness.cluster.places import ports_of
from harness.cluster.provider import PROVIDER_VARIABLE, Request, RunProcess
from harness.contract.option import SystemOption
from harness.contract.roles import Role
from harness.errors import HealError, PolygraphError, UsageError

if TYPE_CHECKING:
    from harness.cluster.docker.attached.provider import AttachedProvider
    from harness.cluster.docker.cluster import DockerCluster
    from harness.contract.finding import Finding
    from harness.store.registration import Registration


class DockerProvider:
    """Nodes in containers (``Provider``, ``BringsNodes`` and ``PlacesRoles``)."""

    options: tuple[SystemOption, ...] = (
        *ATTACH,
        SystemOption(
            name="docker_image",
            kind=str,
            default=None,
            help="image that the database runs in (default: Polygraph's node image)",
        ),
        SystemOption(
            name="docker_subnet",
            kind=str,
            default=None,
            help="first three numbers of the network, e.g. 10.87.0 (default: a free one)",
        ),
        SystemOption(
            name="docker_published",
            kind=bool,
            default=False,
            help="reach the nodes by published ports also where their addresses work",
        ),
    )
    grace_s = 20.0
    proof_of_end = "the run's containers, and with them its processes and cuts, are removed"

    def settle(
        self, options: Mapping[str, Any], nodes: int | None
    ) -> tuple[dict[str, Any], int | None]:
        """The options; what is attached to says how many nodes there are."""
        if options.get("attach"):
            return self._attached().settle(options, nodes)
        if options.get("members") or options.get("start_command"):
            raise UsageError("--members and --start-command are of what is attached to", "--attach")
        return dict(options), nodes

    def placed(
        self, options: Mapping[str, Any], nodes: Sequence[str], roles: Sequence[Role]
    ) -> Sequence[Role]:
        """The system's own, unless what runs already has its roles (``PlacesRoles``)."""
        if options.get("attach"):
            return self._attached().placed(options, nodes, roles)
        return roles

    def choose(self, request: Request) -> str:
        """``docker``, if an engine answers and the request makes sense.

        Or ``docker:attach``, which is another provider.
        """
        if request.options.get("attach"):
            return self._attached().choose(request)
        from harness.cluster.docker import engine
        from harness.cluster.docker.layout import parse_subnet

        if request.options.get("docker_subnet"):
            parse_subnet(str(request.options["docker_subnet"]))
        check_names(request.nodes)
        engine.connect().close()
        return "docker"

    def prepare(self, request: Request, tell: Callable[[str], None]) -> None:
        """Build or pull the images that the engine lacks."""
        from harness.cluster.docker import engine, images

        client = engine.connect()
        images.ensure_node_image(client, tell)
        if request.options.get("docker_image"):
            images.ensure_database_image(client, str(request.options["docker_image"]), tell)
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
        return bare.spawn(
            argv,
            provider="docker",
            run_dir=run_dir,
            clean_up=self.clean_up,
            pass_fds=pass_fds,
            env={**env, PROVIDER_VARIABLE: request.provider, "DOCKER_HOST": url},
            facts={"project": engine.project_of(run_dir), "engine": url},
        )

    def cluster(self, request: Request, run_dir: Path) -> DockerCluster:
        """The cluster of this run's project."""
        from harness.cluster.docker import engine, images, layout
        from harness.cluster.docker.cluster import DockerCluster

        subnet = request.options.get("docker_subnet")
        return DockerCluster(
            run_dir,
            layout.Layout(
                project=engine.project_of(run_dir),
                names=tuple(request.nodes),
                ports=ports_of(request.system),
                image=images.node_image(),
                run=str(run_dir.resolve()),
            ),
            subnet=layout.parse_subnet(str(subnet)) if subnet else None,
            database_image=request.options.get("docker_image"),
            published=bool(request.options.get("docker_published")),
        )

    def believed(
        self, run_dir: Path, registered: Registration, options: Mapping[str, Any]
    ) -> dict[str, Any]:
        """The project that follows from the run's folder, in the engine that the user uses."""
        from harness.cluster.docker import engine

        own = {"project": engine.project_of(run_dir), "engine": engine.find()}
        told = {name: registered.facts.get(name) for name in own}
        if told["project"] != own["project"]:
            raise HealError(
                f"it names the project {told['project']}, but the containers of a run in this"
                f" folder are of {own['project']}: nothing was removed",
                "if the run was moved, move it back; else remove its cluster.json",
            )
        if told["engine"] != own["engine"]:
            raise HealError(
                f"it ran in the Docker engine at {told['engine']}, and yours is {own['engine']}:"
                " which engine is spoken to, only you say",
                f"if that is an engine of yours: DOCKER_HOST={shlex.quote(str(told['engine']))}"
                " polygraph heal",
            )
        return own

    def is_up(self, run_dir: Path, registered: Registration) -> bool:
        """Whether any of its containers is still there."""
        from harness.cluster.docker import engine

        client = engine.connect(registered.facts["engine"])
        with engine.complaints("look for the run's containers"):
            project = registered.facts["project"]
            return bool(engine.of_run(client, project, str(run_dir.resolve()))[0])

    def clean_up(self, run_dir: Path, registered: Registration) -> list[str]:
        """Remove all that carries the run's labels."""
        from harness.cluster.docker import engine

        project = registered.facts["project"]
        try:
            client = engine.connect(registered.facts["engine"])
            with engine.complaints(f"removal of {project}"):
                return engine.remove_project_of_the_dead(client, project, str(run_dir.resolve()))
        except PolygraphError as error:
            return [f"the containers of {project} could not be removed: {error.message}"]

    def strays(self, store: Path) -> list[str]:
        """Remove what runs of the store that ended left in the engine after all."""
        from harness.cluster.docker import engine

        try:
            client = engine.connect(timeout_s=10)
        except PolygraphError:
            return []  # a run that is still registered says so itself
        try:
            with engine.complaints("look for containers of runs that ended"):
                return engine.remove_strays(client, store)
        except PolygraphError as error:
            return [error.message]

    def _attached(self) -> AttachedProvider:
        from harness.cluster.docker.attached.provider import PROVIDER as ATTACHED

        return ATTACHED

    def examine(self, folder: Path) -> list[Finding]:
        """Whether the engine answers, what it is, and what is there already."""
        from harness.cluster.docker.examination import examine

        return examine()


PROVIDER = DockerProvider()
