"""Where a node's ports are told to be, and what is refused with its remedy."""

from __future__ import annotations

import pytest

from harness.cluster.places import Hosts, Moved, Places
from harness.contract.node import Port, split_address
from harness.errors import NodeError

PORTS = (Port(26379, peers=True), Port(6379, clients=True, peers=True), Port(9121, clients=True))


def test_a_node_with_an_address_of_its_own_has_every_port_under_its_own_number() -> None:
    places = Places(node="n1", ports=PORTS, hosts=Hosts.same("10.77.0.1"))
    assert places.listen(26379) == places.reach(26379, "peer") == "10.77.0.1:26379"
    assert places.reach(4711, "client") == "10.77.0.1:4711"
    assert places.client_address() == "10.77.0.1:6379"


def test_a_moved_port_is_bound_and_told_as_the_table_says() -> None:
    moved = {6379: Moved(listen="[::1]:9", client="127.0.0.1:9", peer="127.0.0.1:10")}
    places = Places(node="n1", ports=PORTS, moved=moved)
    assert split_address(places.listen(6379)) == ("::1", 9)
    assert places.reach(6379, "client") == places.client_address() == "127.0.0.1:9"
    assert places.reach(6379, "peer") == "127.0.0.1:10"


def test_a_port_that_must_be_declared_and_is_not_is_refused_with_the_remedy() -> None:
    shared = Places(node="n1", ports=PORTS, moved={26379: Moved(listen="127.0.0.1:9")})
    for ask in (lambda: shared.listen(1), lambda: shared.reach(1, "peer")):
        with pytest.raises(NodeError, match="n1: port 1 is not declared") as refused:
            ask()
        assert "ports()" in str(refused.value.hint)
    with pytest.raises(NodeError, match="port 26379 is not declared to be for peers"):
        shared.reach(26379, "peer")
    published = Places(node="n1", hosts=Hosts(listen="10.0.0.1", client="", peer="10.0.0.1"))
    assert published.reach(7, "peer") == "10.0.0.1:7"
    with pytest.raises(NodeError, match="port 7 is not declared"):
        published.reach(7, "client")


def test_an_address_of_six_is_bracketed() -> None:
    places = Places(node="n1", ports=PORTS, hosts=Hosts.same("fe80::1"))
    assert places.listen(7) == "[fe80::1]:7"
    assert split_address(places.listen(7)) == ("fe80::1", 7)
