"""docker-compose.yml is valid, for both versions of compose, and the same cluster as the SDK's."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import docker
import jsonschema
import pytest
import yaml

from harness.cluster.docker import engine
from harness.cluster.docker.cluster import DockerCluster
from harness.cluster.docker.layout import CAPABILITIES, Layout
from harness.contract.node import Port
from tests.engine_holdings import COMPOSE_LABEL, OWN, own_subnets

ROOT = Path(__file__).parents[4]
COMPOSE = ROOT / "docker-compose.yml"
SCHEMA = ROOT / "tests" / "data" / "compose-spec.json"
NAMES = ("n1", "n2", "n3", "n4", "n5")
DEFAULTED = re.compile(r"\$\{(\w+):-([^}]*)\}")
OWN_PORTS = (Port(5432, clients=True), Port(5433, peers=True))


def compose(**given: str) -> dict[str, Any]:
    """The compose file as a program reads it, with these environment variables."""
    text = DEFAULTED.sub(lambda match: given.get(match[1], match[2]), COMPOSE.read_text("utf-8"))
    assert "$" not in text
    read: dict[str, Any] = yaml.safe_load(text)
    return read


def sdk_node(name: str, layout: Layout) -> dict[str, Any]:
    """What the SDK asks for, in the compose file's words."""
    client = docker.APIClient(base_url="unix:///none", version="1.41")
    settings = layout.sidecar(client, name)
    host = settings["host_config"]
    (endpoint,) = settings["networking_config"]["EndpointsConfig"].values()
    prefix = f"{layout.project}-"
    return {
        "image": settings["image"],
        "hostname": settings["hostname"],
        "init": host["Init"],
        "cap_add": host["CapAdd"],
        "environment": settings["environment"],
        "extra_hosts": sorted(host["ExtraHosts"]),
        "networks": {"nodes": {"ipv4_address": endpoint["IPAMConfig"]["IPv4Address"]}},
        "ports": [
            f"{place['HostIp']}:{place['HostPort']}:{port.removesuffix('/tcp')}"
            for port, places in host["PortBindings"].items()
            for place in places
        ],
        "volumes": sorted(bind.removeprefix(prefix) for bind in host["Binds"]),
    }


def compose_node(service: Mapping[str, Any]) -> dict[str, Any]:
    """What the file asks for, lists whose order means nothing sorted."""
    sorted_too = {key: sorted(service[key]) for key in ("extra_hosts", "volumes")}
    return {key: value for key, value in service.items() if key != "build"} | sorted_too


@pytest.mark.parametrize(
    ("given", "layout"),
    [
        ({}, Layout("p", NAMES, ports=(Port(2379, clients=True),))),
        (
            {
                "POLYGRAPH_SUBNET": "10.99.7",
                "POLYGRAPH_CLIENT_PORT": "5432",
                "POLYGRAPH_NODE_IMAGE": "mine:1",
                "POLYGRAPH_AUTHORIZED_KEY": "ssh-ed25519 AAAA",
            },
            Layout("p", NAMES, "10.99.7", OWN_PORTS, "mine:1", authorized_key="ssh-ed25519 AAAA"),
        ),
    ],
)
def test_the_file_and_the_sdk_make_the_same_nodes(given: dict[str, str], layout: Layout) -> None:
    read = compose(**given)
    assert list(read["services"]) == list(NAMES)
    for name, service in read["services"].items():
        assert compose_node(service) == sdk_node(name, layout)
    assert read["networks"]["nodes"]["ipam"]["config"] == [{"subnet": f"{layout.subnet}.0/24"}]
    volumes = {volume.removeprefix("p-") for name in NAMES for volume in layout.volumes(name)}
    assert set(read["volumes"]) == volumes


def test_no_node_is_privileged_and_every_capability_is_named() -> None:
    for service in compose()["services"].values():
        assert "privileged" not in service
        assert service["cap_add"] == list(CAPABILITIES)


def test_the_file_is_valid_by_the_published_schema_of_version_2() -> None:
    schema = json.loads(SCHEMA.read_text("utf-8"))
    jsonschema.Draft7Validator(schema).validate(compose())
    wrong = compose()
    wrong["services"]["n1"]["cap_ad"] = []
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft7Validator(schema).validate(wrong)


def compose_program() -> list[str]:
    """``docker compose`` where it is there, else ``docker-compose``."""
    version_2 = ["docker", "compose"]
    if shutil.which("docker") and not subprocess.run([*version_2, "version"]).returncode:
        return version_2
    if not shutil.which("docker-compose"):
        pytest.skip("there is no compose program")
    return ["docker-compose"]


@pytest.fixture
def project(tmp_path: Path, node_image: str) -> Iterator[str]:
    """A project that was started with compose."""
    name = OWN.replace("-", "")
    program = [*compose_program(), "-f", str(COMPOSE), "-p", name]
    env = {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "HOME": str(tmp_path),
        "POLYGRAPH_SUBNET": own_subnets()[0],
        "POLYGRAPH_NODE_IMAGE": node_image,
    }
    subprocess.run([*program, "up", "-d", "--no-build"], env=env, check=True, capture_output=True)
    yield name
    subprocess.run([*program, "down", "-v"], env=env, check=True, capture_output=True)


@pytest.mark.docker
def test_compose_starts_what_the_sdk_starts(project: str, tmp_path: Path, node_image: str) -> None:
    client = engine.connect()
    names = [c["Id"] for c in client.containers(filters={"label": f"{COMPOSE_LABEL}={project}"})]
    by_compose = [traits(client.inspect_container(name)) for name in names]
    layout = Layout(f"{OWN}-beside", NAMES, ports=(Port(2379, clients=True),), image=node_image)
    cluster = DockerCluster(tmp_path, layout)
    cluster.up()
    try:
        by_sdk = [traits(client.inspect_container(node.sidecar)) for node in cluster.nodes]
    finally:
        cluster.down()
    assert len(by_sdk) == 5
    assert sorted(by_compose, key=str) == sorted(by_sdk, key=str)


def traits(container: Mapping[str, Any]) -> dict[str, Any]:
    """What of a running container does not depend on its project's name and subnet."""
    config, host = container["Config"], container["HostConfig"]
    (network,) = container["NetworkSettings"]["Networks"].values()
    return {
        "hostname": config["Hostname"],
        "command": config["Cmd"],
        "environment": sorted(config["Env"]),
        "privileged": host["Privileged"],
        "capabilities": sorted(cap.removeprefix("CAP_") for cap in host["CapAdd"]),
        "init": host["Init"],
        "ports": sorted(config["ExposedPorts"]),
        "published": [place["HostIp"] for place in host["PortBindings"]["2379/tcp"]],
        "last number": network["IPAddress"].rpartition(".")[2],
        "mounts": sorted(mount["Destination"] for mount in container["Mounts"]),
    }
