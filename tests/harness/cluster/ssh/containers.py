"""Hosts made of the docker provider's side-cars, which let a key's owner in: other machines.

Unlike the hosts of :mod:`ssh_lab` they have files, programs and a user database of their own. The
login is nobody special and may use sudo.
"""

from __future__ import annotations

import contextlib
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from harness.cluster.docker import engine, images
from harness.cluster.docker.cluster import DockerCluster
from harness.cluster.docker.engine import project_of
from harness.cluster.docker.layout import Layout
from harness.contract.node import split_address
from tests.harness.cluster.ssh.lab import make_key

USER = "polygraph"
_WAIT_S = 60.0


@contextlib.contextmanager
def in_containers(folder: Path, names: Sequence[str]) -> Iterator[dict[str, str]]:
    """Options of the ssh provider for hosts in containers; gone again afterwards."""
    make_key(folder / "key")
    key = (folder / "key.pub").read_text().strip()
    image = images.ensure_node_image(engine.connect(), print)
    run_dir = folder / "containers"
    layout = Layout(project=project_of(run_dir), names=names, image=image, authorized_key=key)
    machines = DockerCluster(run_dir, layout)
    machines.up()
    try:
        # The docker cluster's own probes have the port that the hosts' keepers need.
        for link in machines._links.values():
            link.close()
        yield options(folder, [split_address(node.reach(22, "peer"))[0] for node in machines.nodes])
    finally:
        machines.down()


def options(folder: Path, addresses: Sequence[str]) -> dict[str, str]:
    """How to reach them."""
    known = folder / "known-hosts"
    known.write_text("".join(scanned(address) for address in addresses))
    (folder / "hosts").write_text("".join(f"{USER}@{address}\n" for address in addresses))
    lines = [f"IdentityFile {folder / 'key'}", f"UserKnownHostsFile {known}"]
    (folder / "config").write_text("\n ".join(["Host *", *lines]) + "\n")
    return {"nodes_file": str(folder / "hosts"), "ssh_config": str(folder / "config")}


def scanned(address: str) -> str:
    """The lines of known_hosts that accept the host, once its sshd listens."""
    deadline = time.monotonic() + _WAIT_S
    while time.monotonic() < deadline:
        argv = ["ssh-keyscan", "-t", "ed25519", address]
        found = subprocess.run(argv, capture_output=True, text=True, timeout=_WAIT_S).stdout
        if found:
            return found
        time.sleep(0.05)
    raise TimeoutError(f"no sshd at {address}")
