"""How a docker cluster looks: names, labels, addresses, mounts. The compose file says the same.

::

    network PROJECT, a /24 of its own
      ├── n1  side-car, .11, owns the node's network and process namespaces, ports published
      │    └── n1-etcd  database container, joins both namespaces, may die and return
      ├── n2  side-car, .12 …
    volumes  PROJECT-n1 (data and logs of n1) …, PROJECT-programs (shared, read by all)

``docker-compose.yml`` starts the same side-cars for hands and for ssh; a test holds the two equal.
No container is privileged. Client ports are published on loopback, on a port that the engine
chooses, so nothing can be taken; where container addresses can be reached they are not used.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.cluster.docker import engine
from harness.cluster.provider import MOST_NODES
from harness.contract.node import Port, User
from harness.errors import SetupError, UsageError
from harness.wording import shown

CAPABILITIES = ("NET_ADMIN", "NET_RAW", "SYS_PTRACE")
"""For cuts and links, for probes, and to look into (later: change) the database's processes."""

NODE_IMAGE = "polygraph-node"
FIRST_HOST = 11
DEFAULT_SUBNET = "10.87.0"

NODE_DIR = "/polygraph/node"
PROGRAMS_DIR = "/polygraph/programs"
TOOLS_DIR = f"{PROGRAMS_DIR}/polygraph"
DATA_DIR = f"{NODE_DIR}/data"
LOG_DIR = f"{NODE_DIR}/log"
NUMBER_DIR = f"{NODE_DIR}/run"

_SUBNET = re.compile(r"(\d{1,3})\.(\d{1,3})\.(\d{1,3})(\.0/24)?")


@dataclass(frozen=True)
class Layout:
    """One cluster. ``subnet`` is the first three numbers of its /24: ``10.87.0``.

    ``ports`` are those that the system declared; the ones for clients are published.
    With ``authorized_key``, a public key, its owner is let into the side-cars by ssh.
    """

    project: str
    names: Sequence[str]
    subnet: str = DEFAULT_SUBNET
    ports: Sequence[Port] = ()
    image: str = NODE_IMAGE
    run: str = ""
    authorized_key: str = ""

    def __post_init__(self) -> None:
        if not 1 <= len(self.names) <= MOST_NODES:
            raise SetupError(f"a docker cluster has 1 to {MOST_NODES} nodes, not {len(self.names)}")

    @property
    def addresses(self) -> Mapping[str, str]:
        """Node to address."""
        return {name: f"{self.subnet}.{FIRST_HOST + i}" for i, name in enumerate(self.names)}

    @property
    def client_ports(self) -> list[int]:
        """What is published."""
        return [port.number for port in self.ports if port.clients]

    @property
    def programs_volume(self) -> str:
        """The volume with programs that were brought, shared by all nodes."""
        return f"{self.project}-programs"

    def labels(self, node: str = "") -> dict[str, str]:
        """What everything of this cluster carries."""
        labels = engine.labels(self.project, self.run)
        return {**labels, engine.NODE_LABEL: node} if node else labels

    def volumes(self, node: str) -> dict[str, str]:
        """Volume to where it is mounted in side-car and database of ``node``."""
        return {f"{self.project}-{node}": NODE_DIR, self.programs_volume: PROGRAMS_DIR}

    def hosts(self) -> dict[str, str]:
        """Lines of every node's hosts file: name to address."""
        return dict(self.addresses)

    def sidecar(self, client: Any, node: str) -> dict[str, Any]:
        """Arguments of ``create_container`` for the side-car of ``node``."""
        loopback = dict.fromkeys(self.client_ports, ("127.0.0.1",))  # the engine chooses the port
        endpoint = client.create_endpoint_config(ipv4_address=self.addresses[node], aliases=[node])
        return {
            "image": self.image,
            "name": f"{self.project}-{node}",
            "hostname": node,
            "labels": self.labels(node),
            "environment": {"POLYGRAPH_AUTHORIZED_KEY": self.authorized_key},
            "ports": self.client_ports,
            "networking_config": client.create_networking_config({self.project: endpoint}),
            "host_config": client.create_host_config(
                init=True,
                cap_add=list(CAPABILITIES),
                network_mode=self.project,
                extra_hosts=self.hosts(),
                port_bindings=loopback,
                binds=binds(self.volumes(node)),
            ),
        }

    def database(
        self,
        client: Any,
        node: str,
        sidecar: str,
        *,
        image: str,
        name: str,
        user: User | None = None,
    ) -> dict[str, Any]:
        """Arguments of ``create_container`` for a daemon ``name`` that joins the node."""
        is_number = user is not None and str(user).isdecimal()
        return {
            "image": image,
            "user": f"{user}:{user}" if is_number else user,
            "name": f"{self.project}-{node}-{name}",
            "labels": self.labels(node),
            "host_config": client.create_host_config(
                network_mode=f"container:{sidecar}",
                pid_mode=f"container:{sidecar}",
                binds=binds(self.volumes(node)),
            ),
        }


def binds(volumes: Mapping[str, str]) -> list[str]:
    """Volumes as ``create_host_config`` wants them."""
    return [f"{volume}:{place}" for volume, place in volumes.items()]


def parse_subnet(text: str) -> str:
    """``10.87.0`` or ``10.87.0.0/24`` as the former; ``UsageError`` for anything else."""
    match = _SUBNET.fullmatch(text.strip())
    if match is None or any(int(number) > 255 for number in match.groups()[:3]):
        raise UsageError(
            f"--docker-subnet {shown(text)} is not the first three numbers of a /24",
            "--docker-subnet 10.87.0",
        )
    return ".".join(match.groups()[:3])


def subnets_to_try(project: str, count: int = 16) -> list[str]:
    """Subnets for a project that asked for none: by its name, so that projects seldom meet."""
    start = int(hashlib.sha256(project.encode()).hexdigest()[:4], 16)
    return [f"10.{87 + (start + i) // 256 % 16}.{(start + i) % 256}" for i in range(count)]
