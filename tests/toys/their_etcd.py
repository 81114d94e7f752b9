"""An etcd that somebody else runs: as containers of a compose project, or as daemons of hosts.

Made by hand, by none of the code under test.
"""

from __future__ import annotations

import contextlib
import re
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.cluster.docker.node import packed
from systems.etcd.install import find_binary

COMPOSE = "com.docker.compose"


def etcd_argv(program: str, at: str, names: Mapping[str, str], data: str) -> list[str]:
    """The member at the address ``at`` of the cluster ``names`` (address to member)."""
    members = ",".join(f"{name}=http://{address}:2380" for address, name in names.items())
    flags = {
        "name": names[at],
        "data-dir": data,
        "listen-client-urls": f"http://{at}:2379",
        "advertise-client-urls": f"http://{at}:2379",
        "listen-peer-urls": f"http://{at}:2380",
        "initial-advertise-peer-urls": f"http://{at}:2380",
        "initial-cluster": members,
        "initial-cluster-state": "new",
        "logger": "zap",
    }
    return [program, *(f"--{name}={value}" for name, value in flags.items())]


@dataclass
class Project:
    """Containers of a compose project. ``names`` are theirs."""

    client: Any
    name: str
    names: Sequence[str]

    def details(self, name: str) -> dict[str, Any]:
        """What the engine says of one."""
        found: dict[str, Any] = self.client.inspect_container(name)
        return found

    def state(self) -> dict[str, dict[str, Any]]:
        """All that a run could leave changed of each, as root of this machine sees it."""
        return {name: self._state_of(self.details(name)) for name in self.names}

    def _state_of(self, details: dict[str, Any]) -> dict[str, Any]:
        pid = details["State"]["Pid"]
        status = Path(f"/proc/{pid}/status").read_text()
        fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
        listed = ["nsenter", "-t", str(pid), "-n", "nft", "list", "ruleset"]
        ruleset = subprocess.run(listed, capture_output=True, text=True, check=True).stdout
        vdso = Path(f"/proc/{pid}/maps").read_text().splitlines()
        begin, end = next(
            (int(word, 16) for word in line.split()[0].split("-"))
            for line in vdso
            if line.endswith("[vdso]")
        )
        with open(f"/proc/{pid}/mem", "rb") as memory:
            memory.seek(begin)
            code = memory.read(end - begin)
        return {
            "id": details["Id"],
            "restarts": details["RestartCount"],
            "policy": details["HostConfig"]["RestartPolicy"],
            "networks": sorted(details["NetworkSettings"]["Networks"]),
            "state": fields["State"] if fields["State"][0] in "Tt" else "runs",
            "tracer": fields["TracerPid"],
            # The engine's own rules, for names, have other ports and counts in each life.
            "firewall": re.sub(r"\d+", "#", ruleset),
            "vdso": code,
        }


@contextlib.contextmanager
def their_project(
    client: Any, image: str, subnet: str, name: str, policies: Sequence[str]
) -> Iterator[Project]:
    """A project of one etcd for each restart policy; gone again afterwards."""
    from docker.types import IPAMConfig, IPAMPool

    labels = {f"{COMPOSE}.project": name}
    pool = IPAMPool(subnet=f"{subnet}.0/24")
    network = client.create_network(
        name, driver="bridge", ipam=IPAMConfig(pool_configs=[pool]), labels=labels
    )
    made: list[str] = []
    addresses = {f"{subnet}.{11 + i}": f"m{i}" for i in range(len(policies))}
    try:
        for number, (address, policy) in enumerate(zip(addresses, policies, strict=True), 1):
            called = f"{name}-etcd-{number}"
            service = {f"{COMPOSE}.service": "etcd", f"{COMPOSE}.container-number": str(number)}
            end = client.create_endpoint_config(ipv4_address=address)
            container = client.create_container(
                image,
                etcd_argv("/etcd", address, addresses, "/data"),
                name=called,
                labels={**labels, **service},
                host_config=client.create_host_config(
                    network_mode=name, restart_policy={"Name": policy}
                ),
                networking_config=client.create_networking_config({name: end}),
            )
            made.append(container["Id"])
            client.put_archive(container["Id"], "/", packed({"etcd": Path(find_binary())}))
            client.start(container["Id"])
        yield Project(client, name, [f"{name}-etcd-{n + 1}" for n in range(len(policies))])
    finally:
        for each in made:
            client.remove_container(each, force=True, v=True)
        client.remove_network(network["Id"])
