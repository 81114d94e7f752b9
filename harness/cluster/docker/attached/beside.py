"""The side-car beside a container of somebody else's, which does to it what faults are.

It joins the container's network, so that links are cut where the container's own packets arrive,
and sees the processes of the machine, since a container's first process takes no SIGKILL and no
SIGSTOP from inside. Its program is :mod:`harness.cluster.hands.attending`. It is found again by
its labels, which say beside whom it stands.
When the container is started again its network is a new one, and so is its side-car.
"""

from __future__ import annotations

import contextlib
import time
from typing import Any

from harness.cluster.docker import engine, trying
from harness.cluster.docker.engine import complaints
from harness.cluster.docker.link import SidecarLink, connect
from harness.errors import PolygraphError

BESIDE_LABEL = "org.polygraph.beside"
CAPABILITIES = ("NET_ADMIN", "NET_RAW", "SYS_PTRACE", "KILL")
FOLDER = "/polygraph-notes"
TOOLS = f"/{trying.FOLDER}"

_START = "import sys; sys.path.insert(0, sys.argv[1]); from hands import attending; "
_START += "attending.main()"
_WAITS = ["python3", "-c", "import signal; signal.pause()"]
_OWN_NETWORK_NOT = ("host", "none")
_UNDO_PATIENCE_S = 15.0
_AGAIN_S = 0.3


def has_own_network(details: dict[str, Any]) -> bool:
    """Whether a container's network is its alone, so that what is cut there is its links."""
    mode = details["HostConfig"].get("NetworkMode") or ""
    return mode not in _OWN_NETWORK_NOT and not mode.startswith("container:")


def make(
    client: Any,
    details: dict[str, Any],
    *,
    image: str,
    name: str,
    labels: dict[str, str],
) -> str:
    """Start the side-car of the container that ``details`` tell of; its id."""
    network = f"container:{details['Id']}" if has_own_network(details) else "none"
    with complaints(f"the side-car {name}"):
        made = client.create_container(
            image,
            _WAITS,
            name=name,
            labels={**labels, BESIDE_LABEL: details["Id"]},
            host_config=client.create_host_config(
                network_mode=network, pid_mode="host", cap_add=list(CAPABILITIES)
            ),
        )
        client.put_archive(made["Id"], "/", trying.tools())
        client.start(made["Id"])
    return str(made["Id"])


def attend(client: Any, sidecar: str, node: str) -> SidecarLink:
    """A line to the program in the side-car, which is started."""
    argv = ["python3", "-c", _START, TOOLS, FOLDER]
    return connect(client, sidecar, node, lambda log, data: None, argv=argv)


def undo(client: Any, sidecar: str, node: str) -> list[str]:
    """Undo what was done from a side-car by whoever is gone; what is left, in words. Safe twice.

    Nothing where the side-car does not run: it ends with the machine alone, or by somebody's
    order, and then there is none to ask.
    """
    left: list[str] = []
    deadline = time.monotonic() + _UNDO_PATIENCE_S
    while True:
        try:
            if not client.inspect_container(sidecar)["State"]["Running"]:
                client.start(sidecar)
            link = attend(client, sidecar, node)
            try:
                left = list(link.ask("undo")["left"])
            finally:
                link.close()
        except PolygraphError as error:
            left = [error.message]
        except Exception as error:
            if _is_gone(client, sidecar):
                return []
            left = [str(getattr(error, "explanation", None) or error)]
        if not left or time.monotonic() > deadline:
            return left
        time.sleep(_AGAIN_S)  # whoever sat there before may still be at it


def remove(client: Any, sidecar: str) -> None:
    """Remove a side-car; one that does not go is found again by its labels."""
    with contextlib.suppress(Exception):
        client.remove_container(sidecar, force=True, v=True)


def of_run(client: Any, project: str, run: str) -> dict[str, str]:
    """Every side-car of a run, to the name of its node."""
    containers, _, _ = engine.of_run(client, project, run)
    found = {}
    for each in containers:
        labels = client.inspect_container(each)["Config"].get("Labels") or {}
        if BESIDE_LABEL in labels:
            found[each] = str(labels.get(engine.NODE_LABEL, ""))
    return found


def neighbour(client: Any, sidecar: str) -> dict[str, Any] | None:
    """What the engine says of the container beside which a side-car stands; ``None`` if gone."""
    from docker.errors import NotFound

    labels = client.inspect_container(sidecar)["Config"].get("Labels") or {}
    try:
        found: dict[str, Any] = client.inspect_container(labels[BESIDE_LABEL])
    except NotFound:
        return None
    return found


def _is_gone(client: Any, sidecar: str) -> bool:
    """Whether it is no more, or can be started no more, since what it stood beside is gone."""
    try:
        running = client.inspect_container(sidecar)["State"]["Running"]
    except Exception as error:
        return type(error).__name__ == "NotFound"
    return not running
