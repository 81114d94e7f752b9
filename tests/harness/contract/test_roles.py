"""Roles: in which order they start, what is refused, and what a stage knows of them."""

from __future__ import annotations

import signal
from typing import Any

import pytest

from harness.contract.roles import Role, checked, in_waves, waves
from harness.contract.system import Forms, OfRoles, Stage, Stops, roles_of
from harness.errors import NodeError, UsageError
from tests.toys import honest_cluster

NODES = ["n1", "n2", "n3"]


def role(name: str, *after: str, nodes: list[str] = NODES, serves: bool = True) -> Role:
    return Role(name=name, nodes=nodes, after=after, serves_clients=serves)


def test_roles_start_in_waves_each_after_those_that_it_needs() -> None:
    roles = [role("alpha", "zero", "disk"), role("zero"), role("proxy", "alpha"), role("disk")]
    assert [[r.name for r in wave] for wave in waves(roles)] == [
        ["zero", "disk"],
        ["alpha"],
        ["proxy"],
    ]
    places = [("n1", "proxy"), ("n2", "zero"), ("n1", "zero")]
    assert in_waves(roles, places) == [[("n2", "zero"), ("n1", "zero")], [], [("n1", "proxy")]]


@pytest.mark.parametrize(
    ("roles", "why"),
    [
        ([role("a", "b"), role("b", "a")], "the roles a, b start after each other"),
        ([role("a", "a")], "the roles a start after each other"),
        (
            [role("alpha", "zro"), role("zero")],
            "is after zro, and there is no role called 'zro'; did you mean zero",
        ),
        ([role("a"), role("a")], "named twice"),
        ([role("alpha:one")], "not in small letters"),
        ([role("a", nodes=["n1", "n4"])], "role a is twice on n4, or that is no node"),
        ([role("a", nodes=["n1", "n1"])], "role a is twice on n1"),
        ([role("a", serves=False)], "no node has a role that serves clients"),
        ([role("a", nodes=[]), role("b", serves=False)], "no node has a role that serves"),
    ],
)
def test_roles_that_cannot_be_are_refused(roles: list[Role], why: str) -> None:
    with pytest.raises(UsageError, match=f"toy: .*{why}"):
        checked("toy", roles, NODES)


def test_a_system_without_roles_has_one_of_its_own_name_on_every_node() -> None:
    system: Any = honest_cluster.HonestSystem()
    assert roles_of(system, NODES) == (Role(name="honest", nodes=("n1", "n2", "n3")),)
    stage = honest_cluster.stage(3)
    assert not stage.has_roles
    assert [len(daemons) for daemons in stage.daemons.values()] == [1, 1, 1]


def test_a_stage_knows_whose_each_daemon_is() -> None:
    stage = honest_cluster.roles()
    assert all(isinstance(stage.system, each) for each in (OfRoles, Forms, Stops))
    assert [d.name for d in stage.daemons["n2"]] == ["zero", "alpha"]
    (zero,) = stage.daemons_of("n2", "zero")
    assert stage.role_of("n2", zero.identity) == "zero"
    assert stage.role_of("n3", zero.identity) is None
    stage.start("n2", "zero")
    assert stage.role_of("n2", zero.identity) is None, "it was replaced"
    assert stage.roles_on("n1") == ["zero"]
    assert stage.roles_on("n3") == ["alpha", "zero"]
    assert (stage.primaries("zero"), stage.primaries("alpha")) == (["n1"], ["n3", "n4"])
    with pytest.raises(TypeError):
        stage.daemons["n1"] = []  # type: ignore[index]


def test_what_is_asked_to_end_is_let_go_on_and_waited_for() -> None:
    stage: Any = honest_cluster.roles()
    (zero,), (alpha,) = stage.daemons_of("n2", "zero"), stage.daemons_of("n2", "alpha")
    zero.signal(signal.SIGSTOP)
    zero.term_status = None
    with pytest.raises(NodeError, match=r"n2: zero \(\d+\) outlived SIGTERM"):
        stage.terminate("n2", 0.0, "zero")
    assert zero.state() == "S"
    assert alpha.alive()
    stage.terminate("n3", 0.0)
    assert [daemon.exit_status() for daemon in stage.daemons["n3"]] == [-15, -15]


def test_a_stage_of_given_roles_asks_the_system_for_none() -> None:
    cluster: Any = honest_cluster.HonestCluster(2)
    system: Any = honest_cluster.HonestRoles()
    assert Stage(cluster, system, [role("a", nodes=["n2"])]).roles_on("n2") == ["a"]
