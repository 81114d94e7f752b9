"""What can go wrong with an engine: one clear message each, and nothing left."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import docker
import pytest

from harness.cluster.docker import engine, images, layout
from harness.cluster.docker.layout import Layout, parse_subnet
from harness.cluster.docker.node import DockerDaemon
from harness.cluster.docker.provider import PROVIDER
from harness.cluster.provider import Request
from harness.errors import NeedsError, NodeError, SetupError, UsageError
from harness.linux.identity import ProcessIdentity
from systems.etcd import Etcd
from tests.engine_holdings import own_subnets


def request(**options: Any) -> Request:
    """A run of etcd on docker."""
    return Request(provider="docker", nodes=("n1", "n2"), system=Etcd({}), options=options)


def test_no_engine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    with pytest.raises(NeedsError, match=r"no Docker engine answers at .*none\.sock") as caught:
        PROVIDER.choose(request())
    assert "start Docker" in str(caught.value.hint)


def test_an_engine_that_does_not_let_us_in(monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(*arguments: Any, **named: Any) -> None:
        raise docker.errors.DockerException("Error while fetching: PermissionError(13)")

    monkeypatch.setattr(docker, "APIClient", forbidden)
    with pytest.raises(NeedsError, match="does not let this user in") as caught:
        PROVIDER.choose(request())
    assert "usermod" in str(caught.value.hint)


@pytest.mark.parametrize("text", ["10.0", "10.0.0.0/16", "300.1.1", "a.b.c", "10.0.0.1.2"])
def test_a_subnet_that_is_none(text: str) -> None:
    with pytest.raises(UsageError, match="--docker-subnet"):
        PROVIDER.choose(request(docker_subnet=text))


def test_a_subnet_in_either_notation() -> None:
    assert parse_subnet("10.99.3") == parse_subnet("10.99.3.0/24") == "10.99.3"


def test_subnets_are_tried_in_an_order_of_the_projects_own() -> None:
    one, other = layout.subnets_to_try("polygraph-a"), layout.subnets_to_try("polygraph-b")
    assert len(set(one)) == len(one)
    assert one != other
    assert all(parse_subnet(subnet) == subnet for subnet in one + other)


@pytest.mark.docker
@pytest.mark.usefixtures("nothing_left")
def test_a_subnet_that_is_taken(make: Any) -> None:
    subnet = own_subnets()[1]
    first = make(1, subnet=subnet)
    first.up()
    taken = re.escape(f"{subnet}.0/24: the subnet is taken")
    with pytest.raises(SetupError, match=taken) as caught:
        make(1, subnet=subnet).up()
    assert "--docker-subnet" in str(caught.value.hint)
    first.down()


@pytest.mark.docker
@pytest.mark.usefixtures("nothing_left")
def test_a_free_subnet_is_found_beside_a_taken_one(
    make: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    two = own_subnets()[2:]
    monkeypatch.setattr("harness.cluster.docker.cluster.subnets_to_try", lambda project: two)
    clusters = [make(1), make(1)]
    for cluster in clusters:
        cluster.up()
    assert clusters[1].nodes[0].reach(7000, "peer") == f"{two[1]}.11:7000"


def refusing(explanation: str) -> Any:
    """A call of the SDK that the engine refuses."""

    def call(*arguments: Any, **named: Any) -> None:
        raise docker.errors.APIError("500 Server Error", explanation=explanation)

    return call


@pytest.mark.docker
@pytest.mark.usefixtures("nothing_left")
@pytest.mark.parametrize("call", ["create_volume", "create_container", "start", "exec_create"])
@pytest.mark.parametrize(
    ("explanation", "message"),
    [
        ("mkdir /var/lib/docker/x: no space left on device", "the engine's disk is full"),
        ("Bind for 127.0.0.1:2379 failed: port is already allocated", "a port is taken"),
        ("No such image: polygraph-node:latest", "the image is missing"),
        ("something new", "the Docker engine refuses: something new"),
    ],
)
def test_a_refusal_at_any_step_of_the_way_up_leaves_nothing(
    make: Any, monkeypatch: pytest.MonkeyPatch, call: str, explanation: str, message: str
) -> None:
    monkeypatch.setattr(docker.APIClient, call, refusing(explanation))
    with pytest.raises(SetupError, match=message):
        make(2).up()


@pytest.mark.docker
@pytest.mark.usefixtures("nothing_left")
def test_an_engine_that_dies_in_the_middle(fronted: Any, make: Any) -> None:
    cluster = make(2)
    cluster.up()
    daemon = cluster.nodes[0].start(["sleep", "1000"], name="sleep")
    fronted.die()
    with pytest.raises(NodeError, match="the Docker engine"):
        cluster.cut({"n1": frozenset({"n2"})})
    with pytest.raises(NodeError, match="n1: "):
        daemon.state()
    with pytest.raises(NodeError, match="the Docker engine does not answer"):
        cluster.down()
    fronted.live()
    cluster.down()


def test_an_image_that_is_missing_with_no_registry_and_no_mirror(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    class Engine:
        def inspect_image(self, image: str) -> None:
            raise docker.errors.ImageNotFound("no such image")

        def pull(self, *arguments: Any, **named: Any) -> Any:
            return iter([{"error": "dial tcp: lookup registry: no such host"}])

    (tmp_path / "mmdebstrap").write_text("#!/bin/sh\necho 'E: cannot resolve deb' >&2; exit 1\n")
    (tmp_path / "mmdebstrap").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    told: list[str] = []
    with pytest.raises(NeedsError, match="cannot resolve deb") as caught:
        images.ensure_node_image(Engine(), told.append)
    assert "no such host" in str(caught.value)
    assert any("from Debian's packages" in line for line in told)
    with pytest.raises(NeedsError, match=r"mine:1 is missing and cannot be pulled: .*no such host"):
        images.ensure_database_image(Engine(), "mine:1", told.append)


@pytest.mark.parametrize(
    ("image", "asked"),
    [
        ("etcd", ("etcd", "latest")),
        ("here:5000/etcd", ("here:5000/etcd", "latest")),
        ("here:5000/etcd:v3", ("here:5000/etcd", "v3")),
        ("etcd@sha256:00ff", ("etcd", "sha256:00ff")),
    ],
)
def test_an_image_is_pulled_by_its_name_and_tag_or_digest(
    image: str, asked: tuple[str, str]
) -> None:
    pulled: list[tuple[str, str]] = []

    class Engine:
        def inspect_image(self, image: str) -> None:
            raise docker.errors.ImageNotFound("no such image")

        def pull(self, repository: str, tag: str, **named: Any) -> Any:
            pulled.append((repository, tag))
            return iter([])

    images.ensure_database_image(Engine(), image, print)
    assert pulled == [asked]


@pytest.mark.parametrize(
    ("code", "status"), [(0, 0), (2, 2), (128, 128), (137, -9), (143, -15), (192, -64), (255, 255)]
)
def test_the_code_of_an_end_is_a_signal_only_where_there_is_such_a_signal(
    code: int, status: int
) -> None:
    link: Any = SimpleNamespace(ask=None)
    who = ProcessIdentity(pid=7, start_ticks=1, boot_id="this", pid_namespace=3)
    assert DockerDaemon("db", link, who, lambda: code).wait(30) == status


def test_a_build_that_fails_tells_its_last_words() -> None:
    class Engine:
        def build(self, **named: Any) -> Any:
            return iter([{"stream": "Step 1/2 : RUN apt-get\n"}, {"error": "returned 100"}])

        def inspect_image(self, image: str) -> None:
            if image != images.BASE_IMAGE:
                raise docker.errors.ImageNotFound("no such image")

    with pytest.raises(NeedsError, match="cannot be built: returned 100; before that: Step 1/2"):
        images.ensure_node_image(Engine(), print)


def test_the_engines_errors_keep_their_kind() -> None:
    gone = "look: the Docker engine does not answer"
    with pytest.raises(NodeError, match=gone), engine.complaints("look"):
        raise ConnectionResetError("gone")
    with pytest.raises(NodeError, match="as it was"), engine.complaints("look"):
        raise NodeError("as it was")


def test_too_many_nodes() -> None:
    with pytest.raises(SetupError, match="1 to 200 nodes"):
        Layout("p", tuple(f"n{i}" for i in range(201)))
