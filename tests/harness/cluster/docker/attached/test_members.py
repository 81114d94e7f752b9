"""Which containers are meant, whether they come back, where they are: by what the engine says."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from harness.cluster.docker.attached.lives import Lives, time_ns
from harness.cluster.docker.attached.members import (
    Member,
    end_refusal,
    find,
    kept,
    parsed,
    placed,
)
from harness.cluster.docker.attached.networks import addresses_of, common_networks, places_of
from harness.contract.node import Port
from harness.contract.roles import Role
from harness.errors import UsageError


class Engine:
    """Says which containers of the project ``shop`` run."""

    def containers(self, filters: dict[str, str]) -> list[dict[str, Any]]:
        if not filters["label"].endswith(("=shop", ".project")):
            return []
        return [
            container("shop-web-1", "web", 1),
            container("shop-db-10", "db", 10),
            container("shop-db-2", "db", 2),
        ]


def container(name: str, service: str, number: int) -> dict[str, Any]:
    label = "com.docker.compose"
    labels = {f"{label}.project": "shop", f"{label}.service": service}
    return {"Names": [f"/{name}"], "Labels": {**labels, f"{label}.container-number": str(number)}}


@pytest.mark.parametrize(
    ("asked", "names"),
    [
        (None, "shop-db-2 shop-db-10 shop-web-1"),
        ("db", "shop-db-2 shop-db-10"),
        ("web,shop-db-10", "shop-web-1 shop-db-10"),
    ],
)
def test_services_and_containers_are_nodes_in_order(asked: str | None, names: str) -> None:
    assert [each.name for each in find(Engine(), "shop", asked)] == names.split()


@pytest.mark.parametrize(
    ("project", "asked", "why"),
    [
        ("shop", "bd", "no service or container called 'bd'; did you mean db"),
        ("shop", "db,shop-db-2", "names shop-db-2 twice"),
        ("shop", " , ", "names nobody"),
        ("shpo", None, "no running compose project called 'shpo'; did you mean shop"),
    ],
)
def test_what_is_not_there_is_refused(project: str, asked: str | None, why: str) -> None:
    with pytest.raises(UsageError, match=why):
        find(Engine(), project, asked)


def test_a_container_of_a_run_of_ours_is_nobody_elses() -> None:
    class Ours(Engine):
        def containers(self, filters: dict[str, str]) -> list[dict[str, Any]]:
            found = super().containers(filters)
            return [
                {**each, "Labels": {**each["Labels"], "org.polygraph.run": "/r"}} for each in found
            ]

    with pytest.raises(UsageError, match="is one of a run of /r"):
        find(Ours(), "shop", None)


def test_what_was_found_is_kept_by_name_and_role() -> None:
    members = [Member(name="a", service="s", role="zero"), Member(name="b", service="s")]
    assert kept(members) == "a=zero,b"
    assert [(each.name, each.role) for each in parsed(kept(members))] == [("a", "zero"), ("b", "")]


ROLES = [Role(name="zero", nodes=["n1"]), Role(name="alpha", nodes=["n1", "n2"], after=["zero"])]


def test_roles_are_those_that_the_containers_have() -> None:
    members = [
        Member(name="x", service="alpha2"),
        Member(name="y", service="zero"),
        Member(name="z", service="spare", role="alpha"),
    ]
    found = placed(members, ["n1", "n2", "n3"], ROLES)
    assert {role.name: tuple(role.nodes) for role in found} == {
        "zero": ("n2",),
        "alpha": ("n1", "n3"),
    }
    [one] = placed(members[:2], ["n1", "n2"], [Role(name="etcd", nodes=[])])
    assert tuple(one.nodes) == ("n1", "n2")


@pytest.mark.parametrize(
    ("member", "why"),
    [
        (Member(name="x", service="web"), "nobody says which role x has"),
        (Member(name="x", service="web", role="alpah"), "no role called 'alpah'; did you mean al"),
        (Member(name="x", service="zero1"), "no container is there for the role alpha"),
    ],
)
def test_a_role_that_is_not_clear_is_refused(member: Member, why: str) -> None:
    with pytest.raises(UsageError, match=why):
        placed([member], ["n1"], ROLES)


@pytest.mark.parametrize(
    ("policy", "most", "command", "politely", "why"),
    [
        ("unless-stopped", 0, None, True, ""),
        ("always", 0, None, False, ""),
        ("on-failure", 0, None, False, ""),
        ("on-failure", 0, None, True, "a polite end is none"),
        ("on-failure", 3, None, False, "at most 3 times"),
        ("", 0, None, False, "its restart policy is no"),
        ("no", 0, "engine", True, ""),
    ],
)
def test_who_starts_it_again_is_known_beforehand(
    policy: str, most: int, command: str | None, politely: bool, why: str
) -> None:
    details = {"HostConfig": {"RestartPolicy": {"Name": policy, "MaximumRetryCount": most}}}
    refusal = end_refusal(details, command, politely)
    assert bool(refusal) == bool(why)
    assert why in refusal


def test_what_is_removed_at_its_end_is_never_ended() -> None:
    details = {"HostConfig": {"AutoRemove": True, "RestartPolicy": {"Name": "no"}}}
    assert "--rm" in end_refusal(details, "engine", False)


DETAILS = {
    "NetworkSettings": {
        "Ports": {"2379/tcp": [{"HostIp": "0.0.0.0", "HostPort": "32768"}], "2380/tcp": None},
        "Networks": {
            "front": {"IPAddress": "10.1.0.2", "GlobalIPv6Address": ""},
            "back": {"IPAddress": "10.2.0.2", "GlobalIPv6Address": "fd00::2"},
        },
    }
}


def test_clients_are_led_to_what_is_published_and_peers_to_the_container() -> None:
    ports = [Port(2379, clients=True), Port(2380, peers=True)]
    places = places_of("n1", DETAILS, ports, "unix:///var/run/docker.sock")
    assert places.client_address() == "127.0.0.1:32768"
    assert places.reach(2380, "peer") == "10.1.0.2:2380"
    elsewhere = places_of("n1", DETAILS, ports, "tcp://engine:2376")
    assert elsewhere.client_address() == "engine:32768"


def test_links_are_those_of_networks_in_common() -> None:
    other = {"NetworkSettings": {"Networks": {"back": {"IPAddress": "10.2.0.3"}}}}
    assert common_networks([DETAILS, other]) == ["back"]
    assert addresses_of(DETAILS, ["back"]) == ["10.2.0.2", "fd00::2"]


@pytest.mark.parametrize(
    ("text", "ns"),
    [
        ("1970-01-01T00:00:01Z", 10**9),
        ("1970-01-01T00:00:01.5Z", 1_500_000_000),
        ("1970-01-01T01:00:01.123456789+01:00", 1_123_456_789),
    ],
)
def test_times_of_the_engine_are_read_to_the_nanosecond(text: str, ns: int) -> None:
    assert time_ns(text) == ns


class Happened:
    """An engine that tells what has happened to the container ``c``."""

    def info(self) -> dict[str, str]:
        return {"SystemTime": "1970-01-01T00:00:00Z"}

    def events(self, **asked: Any) -> Iterator[dict[str, Any]]:
        assert asked["filters"]["container"] == ["c"]
        for action, time, attributes in [
            ("die", 10, {"exitCode": "137"}),
            ("start", 11, {}),
            ("kill", 20, {"signal": "15"}),
            ("die", 21, {"exitCode": "0"}),
        ]:
            actor = {"ID": "c", "Attributes": attributes}
            yield {"Action": action, "timeNano": time, "Actor": actor}


def test_a_life_ends_by_the_first_end_after_it_began_and_orders_of_others_are_known() -> None:
    started: list[str] = []
    lives = Lives(Happened(), ["c"], started.append)
    assert lives.wait("c", 11, 10.0) == 0
    assert lives.status("c", 5) == -9
    assert lives.status("c", 30) is None
    assert lives.ordered("c") == "15"
    assert started == ["c"]
