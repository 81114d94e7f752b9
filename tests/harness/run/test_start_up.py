"""The start of a system of several roles: in order, formed once, refused where it cannot be."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from harness.contract.system import ClockPath, Primaries, Stage
from harness.errors import NotReady, UsageError
from harness.plugins import Registry
from harness.run import start_up
from harness.run.facts import node_states, not_running
from harness.run.preparation import Parts, _refuse_older_form, prepare
from harness.run.scenario import resolve
from harness.run.targets import targets_of
from harness.run.watch import ExitWatch
from tests.toys import honest_cluster

SHELF = Path(__file__).parents[2] / "toys" / "shelf.py"


def not_started() -> Stage:
    cluster: Any = honest_cluster.HonestCluster(5)
    system: Any = honest_cluster.HonestRoles()
    return Stage(cluster, system)


def test_roles_start_in_order_are_formed_once_and_told() -> None:
    stage: Any = not_started()
    told: list[str] = []

    async def begin() -> None:
        await start_up.install(stage)
        await start_up.start(stage, lambda what, node: told.append(f"{node}: {what}"))
        await start_up.form(stage, 1.0)

    asyncio.run(begin())
    assert [each.split()[0] for each in stage.system.started] == [*["zero"] * 3, *["alpha"] * 4]
    assert stage.system.formed == 1
    assert "n5: started alpha (pid 107) for its role alpha" in told


def test_a_role_whose_turn_has_not_come_is_not_started_when_one_before_it_fails() -> None:
    stage: Any = not_started()
    stage.system.broken = {"n2"}
    with pytest.raises(Exception, match="n2: the address is in use"):
        asyncio.run(start_up.start(stage, lambda what, node: None))
    assert sorted(stage.system.started) == ["zero on n1", "zero on n3"]


def test_a_forming_that_never_returns_is_no_readiness(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(start_up, "GRACE_S", 0.01)
    with pytest.raises(NotReady, match=r"forming roles did not return in 0\.02 s"):
        asyncio.run(start_up.within(asyncio.Event().wait(), 0.01, "forming roles"))


def prepared(**table: Any) -> Parts:
    registry = Registry([SHELF])
    asked = {"system": "shelf", "workload": "list-append", "plugin": [str(SHELF)], **table}
    return prepare(resolve(asked, registry), registry)


def test_a_target_of_a_role_that_there_is_not_is_refused_before_anything_is_set_up() -> None:
    with pytest.raises(UsageError, match=r"--kill-targets contoller:one: .*did you mean contro"):
        prepared(nemesis="kill", kill_targets="contoller:one")
    parts = prepared(nemesis="kill", kill_targets="controller:one", time_limit=60)
    assert [(role.name, list(role.nodes)) for role in parts.roles] == [
        ("worker", ["n2", "n3", "n4", "n5"]),
        ("controller", ["n1", "n2", "n3"]),
    ]
    assert parts.schedule is not None
    assert {each.plan["target"] for each in parts.schedule.occurrences} == {"controller:one"}


def test_too_few_nodes_for_the_roles_are_refused_by_the_system() -> None:
    with pytest.raises(UsageError, match="shelf has 3 controllers"):
        prepared(nodes=2)


def test_what_a_fault_needs_and_the_system_lacks_is_said_before_it_is_asked_itself() -> None:
    class Fault:
        name = "lead"
        needs = (Primaries, ClockPath)

        def refusal(self, cluster: Any, system: Any) -> str | None:
            return "asked"

    stage: Any = not_started()
    parts: Any = SimpleNamespace(faults=[Fault()], system=stage.system)
    with pytest.raises(UsageError, match=r"'lead' is not .* 'roles' lacks .*ClockPath \(A system "):
        start_up.refuse_faults(parts, stage.cluster)
    stage.cluster.provider = "local:root"
    Fault.needs = (Primaries, dict)  # type: ignore[assignment]
    with pytest.raises(UsageError, match=r"nodes of the provider local:root lack .*dict"):
        start_up.refuse_faults(parts, stage.cluster)
    Fault.needs = (Primaries,)  # type: ignore[assignment]
    with pytest.raises(UsageError, match="here: asked"):
        start_up.refuse_faults(parts, stage.cluster)


def test_a_system_of_the_contract_before_is_refused_with_what_changed() -> None:
    class Old:
        name = "old"

        def start(self, node: Any, cluster: Any) -> list[Any]:
            return []

    old: Any = Old()
    with pytest.raises(UsageError, match=r"'old' .*start\(node, cluster\) is now start\(stage, no"):
        _refuse_older_form(old)
    for today in (honest_cluster.HonestRoles(), honest_cluster.HonestSystem()):
        _refuse_older_form(today)  # type: ignore[arg-type]


def test_clients_are_led_to_the_roles_that_serve_them() -> None:
    targets = targets_of(not_started())
    assert [(each.node, each.role) for each in targets] == [
        (node, "alpha") for node in ("n2", "n3", "n4", "n5")
    ]


def test_what_runs_and_what_has_ended_is_told_by_role() -> None:
    stage: Any = honest_cluster.roles()
    watch = ExitWatch(stage, lambda: 7, lambda: [])
    stage.daemons_of("n2", "zero")[0].end(3)
    stage.daemons_of("n3", "alpha")[0].signal(19)
    watch.look()
    assert [(end["node"], end["role"], end["status"]) for end in watch.exits] == [("n2", "zero", 3)]
    states = node_states(stage)
    assert states["n1"] == "zero up"
    assert states["n2"] == "alpha up, zero gone"
    assert states["n3"] == "alpha paused, zero up"
    assert not_running(stage) == "not running: zero on n2"
    assert node_states(honest_cluster.stage(2)) == {"n1": "up", "n2": "up"}
