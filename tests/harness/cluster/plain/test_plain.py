"""Nodes that are plain processes: the same promises, links through proxies, honest refusals."""

from __future__ import annotations

import random
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.cluster import providers
from harness.cluster.plain.cluster import (
    PLAIN_STEPS,
    PlainCluster,
    candidate_ports,
    free_port,
    refusal_of_cuts,
    refusal_of_system,
)
from harness.cluster.plain.ports import Reservations
from harness.cluster.provider import Request
from harness.contract.node import Port
from harness.errors import SetupError, UsageError

INSIDE = Path(__file__).with_name("plain_inside.py")
NAMES = ("n1", "n2", "n3", "n4", "n5")
LINKS = {(a, b) for a in NAMES for b in NAMES if a != b}
GRUDGES = {
    "one hears nobody": {"n1": ["n2", "n3", "n4", "n5"]},
    "nobody hears one": {name: ["n1"] for name in NAMES[1:]},
    "one link": {"n2": ["n1"]},
    "everybody alone": {name: [other for other in NAMES if other != name] for name in NAMES},
}

Start = Callable[..., Any]


@pytest.fixture
def mode() -> str:
    """The one mode of these tests."""
    return "plain"


class FixedPorts:
    """A system that cannot be told where to listen."""

    name = "fixed"


class FixedPeers(FixedPorts):
    """A system that can, and tells its peers where it listens."""

    name = "honest"

    def ports(self) -> list[Port]:
        return [Port(1, clients=True), Port(2, peers=True, advertised=False)]


@pytest.mark.cluster
def test_every_shape_cuts_its_links_and_no_other(start: Start) -> None:
    found = start("cuts_links", grudges=GRUDGES).result()
    for shape, grudge in GRUDGES.items():
        cut = {(source, node) for node, sources in grudge.items() for source in sources}
        assert {tuple(link) for link in found[shape]["carried"]} == LINKS - cut, shape
        assert found[shape]["dropped"] == {" ".join(link): 0 for link in cut}, shape
    assert {tuple(link) for link in found["healed"]["carried"]} == LINKS


@pytest.mark.cluster
def test_what_a_cut_holds_is_counted_and_arrives_in_order_after_the_heal(start: Start) -> None:
    found = start("holds_bytes_of_a_cut_link", script=INSIDE).result()
    assert found["before"] == ["first"]
    assert found["held"]
    assert found["during"] == ["first"]
    assert found["other_way_is_open"]
    assert found["after"] == ["first", "second", "third"]


@pytest.mark.cluster
def test_commands_and_daemons_are_as_on_any_node(start: Start) -> None:
    found = start("runs_daemons").result()
    assert found["status"] == -9
    assert found["killed_is"] == ["gone", False, -9]
    assert found["exit"] == 4
    assert found["log"] == ["", "again", "child given", "parent given"]


@pytest.mark.cluster
def test_only_a_full_match_of_identity_is_signalled(start: Start) -> None:
    found = start("spares_strangers").result()
    assert found["alive"] == {"start_ticks": True, "boot_id": True, "pid_namespace": True}
    assert found["killed"] == -9


@pytest.mark.cluster
@pytest.mark.parametrize("step", PLAIN_STEPS)
def test_a_step_that_fails_ends_in_one_message_with_nothing_left(
    start: Start, machine: Any, step: str
) -> None:
    found = start("fails_at", step=step).result()
    assert found["error"] == "SetupError"
    assert step in found["message"]
    assert machine.processes() == frozenset()


def test_links_that_carry_late_on_a_busy_machine_carry() -> None:
    cluster: Any = object.__new__(PlainCluster)
    cluster._names = ["n1", "n2"]
    both = {("n1", "n2"), ("n2", "n1")}
    seen = iter([frozenset(), frozenset({("n1", "n2")}), frozenset(both)])
    cluster.reachable = lambda: next(seen)
    cluster._check_links()
    cluster.reachable = lambda: frozenset({("n1", "n2")})
    with pytest.raises(SetupError, match="links do not carry: n2 to n1"):
        cluster._check_links()


def test_a_system_whose_ports_are_fixed_is_refused_with_what_would_allow_it() -> None:
    system: Any = FixedPorts()
    request = Request(provider="local:plain", nodes=NAMES, system=system)
    with pytest.raises(UsageError, match="ports of the node's choosing") as refused:
        providers.of("local:plain").choose(request)
    assert "local:userns" in str(refused.value.hint)
    assert refusal_of_system(system) is not None


def test_links_of_a_system_that_hides_no_address_cannot_be_cut_and_it_says_what_would() -> None:
    system: Any = FixedPeers()
    assert refusal_of_system(system) is None
    refusal = refusal_of_cuts(system)
    assert refusal is not None
    assert "honest cannot tell its peers another address" in refusal
    assert "local:root" in refusal


def test_ports_are_outside_of_what_the_kernel_gives_out() -> None:
    low, high = map(int, Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split())
    ports = list(candidate_ports(random.Random(1)))
    assert len(ports) == len(set(ports)) > 1000
    assert not [port for port in ports if low <= port <= high]


def test_a_taken_port_is_passed_over_and_none_left_is_said() -> None:
    mine = Reservations()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with socket.create_server(("127.0.0.1", 0)) as other:
            free = other.getsockname()[1]
        assert free_port(iter([port, free]), mine.reserve) == free
        with pytest.raises(SetupError, match="no port is free"):
            free_port(iter([port]), mine.reserve)
    mine.close()


def test_a_port_that_another_cluster_reserved_is_passed_over_until_that_is_gone() -> None:
    ports = list(candidate_ports(random.Random()))
    one, other = Reservations(), Reservations()
    first = free_port(iter(ports), one.reserve)
    assert not other.reserve(first)
    assert free_port(iter(ports), other.reserve) != first
    one.close()
    assert other.reserve(first)
    other.close()


@pytest.mark.cluster
def test_clusters_that_choose_the_same_ports_at_once_are_given_others(start: Start) -> None:
    wanted = list(candidate_ports(random.Random()))[:40]
    runs = [start("keeps_its_ports", script=INSIDE, ports=wanted) for _ in range(3)]
    chosen = [set(map(int, run.word().split())) for run in runs]
    assert [len(ports) for ports in chosen] == [4, 4, 4]
    assert len(set().union(*chosen)) == 12
    for run in runs:
        run.entered.close_stdin()
        assert run.result() == "ended"
    again = start("keeps_its_ports", script=INSIDE, ports=sorted(chosen[0]))
    assert set(map(int, again.word().split())) == chosen[0]


@pytest.mark.cluster
def test_no_link_is_called_cut_because_the_process_that_carries_it_gets_no_time(
    start: Start,
) -> None:
    found = start("probes_while_links_stand_still", script=INSIDE).result()
    assert found == [["n1", "n2"], ["n2", "n1"]]
