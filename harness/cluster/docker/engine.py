"""Finds the Docker engine, and turns what it complains of into one clear message each.

The engine is where ``DOCKER_HOST``, the current docker context or the usual sockets say, in this
order, as for the ``docker`` command. Everything that a run makes there carries labels: by them,
and only by them, it is found again and removed. The SDK is imported when an engine is wanted.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import socket
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from harness.errors import NeedsError, NodeError, PolygraphError, SetupError
from harness.store import registration

PROJECT_LABEL = "org.polygraph.project"
RUN_LABEL = "org.polygraph.run"
HOST_LABEL = "org.polygraph.host"
NODE_LABEL = "org.polygraph.node"

EXTRA_HINT = 'pip install "polygraph-db[docker]"'
START_HINT = "start Docker (as root: systemctl start docker); --provider local needs none"

_TIMEOUT_S = 60
_SETTLE_S = 1.0
_MOST_LOOKS = 5
_CONNECTIONS = 64
_SOCKETS = ("/var/run/docker.sock", "{runtime}/docker.sock", "{home}/.docker/run/docker.sock")


def connect(base_url: str | None = None, *, timeout_s: int = _TIMEOUT_S) -> Any:
    """A low-level client of the engine that answers; ``NeedsError`` says why none does."""
    try:
        docker = _sdk(base_url)
    except ImportError as error:
        raise NeedsError(f"the docker provider needs the SDK: {error}", EXTRA_HINT) from error
    url = base_url or find()
    try:
        client = docker.APIClient(
            base_url=url,
            version="auto",
            timeout=timeout_s,
            max_pool_size=_CONNECTIONS,
            tls=_tls(docker) if url.startswith("tcp:") else False,
        )
        client.ping()
    except Exception as error:
        raise _unreachable(url, error) from error
    return client


def _sdk(base_url: str | None) -> Any:
    """The SDK, without paramiko where no engine can be meant that is reached by ssh.

    It would be imported just in case, and takes longer than all the rest.
    """
    modules: dict[str, Any] = sys.modules
    leave_out = "paramiko" not in modules and not _may_be_reached_by_ssh(base_url)
    if leave_out:
        modules["paramiko"] = None  # as if it were not installed
    try:
        import docker
    finally:
        if leave_out:
            del modules["paramiko"]
    return docker


def _may_be_reached_by_ssh(base_url: str | None) -> bool:
    if url := base_url or os.environ.get("DOCKER_HOST"):
        return url.startswith("ssh:")
    settings = os.environ.get("DOCKER_CONFIG") or Path.home() / ".docker"
    return "DOCKER_CONTEXT" in os.environ or Path(settings, "config.json").exists()


def find() -> str:
    """Where the engine should be."""
    if os.environ.get("DOCKER_HOST"):
        return os.environ["DOCKER_HOST"]
    with contextlib.suppress(Exception):
        from docker.context import ContextAPI

        context = ContextAPI.get_current_context()
        if context is not None and context.name != "default":
            return str(context.Host)
    places = {"runtime": os.environ.get("XDG_RUNTIME_DIR", "/run"), "home": str(Path.home())}
    paths = [pattern.format(**places) for pattern in _SOCKETS]
    present = next((path for path in paths if Path(path).is_socket()), paths[0])
    return f"unix://{present}"


def _tls(docker: Any) -> Any:
    folder = os.environ.get("DOCKER_CERT_PATH")
    if not os.environ.get("DOCKER_TLS_VERIFY") or not folder:
        return False
    pair = (f"{folder}/cert.pem", f"{folder}/key.pem")
    return docker.tls.TLSConfig(client_cert=pair, ca_cert=f"{folder}/ca.pem", verify=True)


def _unreachable(url: str, error: Exception) -> NeedsError:
    text = str(error)
    if "Permission denied" in text or "PermissionError" in text:
        return NeedsError(
            f"the Docker engine at {url} does not let this user in",
            "as root: usermod -aG docker USER, then log in again; or run as root",
        )
    return NeedsError(f"no Docker engine answers at {url}: {_short(text)}", START_HINT)


@contextlib.contextmanager
def complaints(what: str) -> Iterator[None]:
    """Raise what the engine complains of within as ``SetupError`` that starts with ``what``."""
    try:
        yield
    except PolygraphError:
        raise
    except Exception as error:
        raise _translated(what, error) from error


def _translated(what: str, error: Exception) -> PolygraphError:
    text = str(getattr(error, "explanation", None) or error)
    for marks, message, hint in _KNOWN:
        if any(mark in text for mark in marks):
            return SetupError(f"{what}: {message} ({_short(text)})", hint)
    if type(error).__module__.startswith(("requests", "urllib3", "http", "builtins", "socket")):
        return NodeError(f"{what}: the Docker engine does not answer: {_short(text)}", START_HINT)
    return SetupError(f"{what}: the Docker engine refuses: {_short(text)}")


_KNOWN: Sequence[tuple[Sequence[str], str, str]] = (
    (
        ("no space left on device", "disk quota exceeded"),
        "the engine's disk is full",
        "docker system df shows what fills it; docker system prune removes what is unused",
    ),
    (
        ("Pool overlaps", "address pools have been"),
        "the subnet is taken by another network",
        "--docker-subnet 10.99.0 (or another free one); docker network ls shows what there is",
    ),
    (
        ("port is already allocated", "address already in use"),
        "a port is taken on this machine",
        "end the program that holds it, or let the engine choose ports",
    ),
    (
        ("No such image", "pull access denied", "manifest unknown"),
        "the image is missing",
        "docker pull it where a registry is reachable, or name another by --docker-image",
    ),
)


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 300 else f"{line[:300]}…"


def project_of(run_dir: Path) -> str:
    """The project's name: the same for the same run folder, another for any other."""
    place = f"{socket.gethostname()}:{run_dir.resolve()}"
    return f"polygraph-{hashlib.sha256(os.fsencode(place)).hexdigest()[:10]}"


def labels(project: str, run: str) -> dict[str, str]:
    """What everything carries that is made for a run, ``run`` being its folder."""
    return {PROJECT_LABEL: project, RUN_LABEL: run, HOST_LABEL: socket.gethostname()}


def everything(client: Any, *wanted: str) -> tuple[list[str], list[str], list[str]]:
    """Ids of the containers, names of the volumes, ids of the networks with all these labels."""
    chosen = {"label": list(wanted)}
    containers = [each["Id"] for each in client.containers(all=True, filters=chosen)]
    volumes = [each["Name"] for each in client.volumes(filters=chosen)["Volumes"] or []]
    networks = [each["Id"] for each in client.networks(filters=chosen)]
    return containers, volumes, networks


def of_run(client: Any, project: str, run: str) -> tuple[list[str], list[str], list[str]]:
    """:func:`everything` whose labels say all that those of a run's things say."""
    return everything(client, *(f"{name}={value}" for name, value in labels(project, run).items()))


def remove_project(client: Any, project: str, run: str) -> list[str]:
    """Remove all that carries the labels of a run's project; a sentence for what is still there."""
    containers, volumes, networks = of_run(client, project, run)
    _at_once(lambda id: client.remove_container(id, force=True, v=True), containers)
    _at_once(lambda name: client.remove_volume(name, force=True), volumes)
    _at_once(client.remove_network, networks)
    kinds = ("container", "volume", "network")
    left = zip(kinds, of_run(client, project, run), strict=True)
    return [
        f"the {kind} {name[:12]} of {project} is still there" for kind, of in left for name in of
    ]


def remove_project_of_the_dead(client: Any, project: str, run: str) -> list[str]:
    """The same after a run that was killed: what it asked for last may be made only now."""
    for _ in range(_MOST_LOOKS):
        left = remove_project(client, project, run)
        time.sleep(_SETTLE_S)
        if not any(of_run(client, project, run)):
            return []
    return left


def remove_strays(client: Any, store: Path) -> list[str]:
    """Remove what carries the labels of a run in ``store`` that is registered no longer.

    A request of a killed run may be carried out after all that was there had been removed.
    """
    runs = {
        run
        for labels in _labels(client)
        if (run := labels.get(RUN_LABEL, "")).startswith(f"{store.resolve()}/")
        and labels.get(HOST_LABEL) == socket.gethostname()
        and labels.get(PROJECT_LABEL) == project_of(Path(run))
        and _is_ours_and_forgotten(Path(run))
    }
    return [left for run in sorted(runs) for left in remove_project(client, *_of(run))]


def _of(run: str) -> tuple[str, str]:
    return project_of(Path(run)), run


def _is_ours_and_forgotten(run_dir: Path) -> bool:
    """Whether no registration stands there, however odd, and the folder, if any, is ours."""
    try:
        return os.lstat(run_dir).st_uid == os.geteuid() and not os.path.lexists(
            registration.path(run_dir)
        )
    except FileNotFoundError:
        return True
    except OSError:
        return False


def _labels(client: Any) -> list[dict[str, str]]:
    """Of everything that any run has made."""
    chosen = {"label": PROJECT_LABEL}
    things = [*client.containers(all=True, filters=chosen), *client.networks(filters=chosen)]
    things += client.volumes(filters=chosen)["Volumes"] or []
    return [thing.get("Labels") or {} for thing in things]


def _at_once(remove: Callable[[str], Any], names: Sequence[str]) -> None:
    """Remove all in parallel; what is gone already or refuses is found by looking again."""

    def attempt(name: str) -> None:
        with contextlib.suppress(Exception):
            remove(name)

    if names:
        with ThreadPoolExecutor(min(len(names), 16)) as pool:
            list(pool.map(attempt, names))
