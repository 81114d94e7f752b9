"""Flapping: proved by two cuts at least, and by both states seen as they are to be."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from harness.errors import UsageError
from nemeses.network.flapping import Flapping
from tests.toys import honest_cluster

PLAN = {
    "shape": "one",
    "grudge": {"n1": ["n2", "n3"], "n2": ["n1"], "n3": ["n1"]},
    "cut_s": 0.02,
    "open_s": 0.02,
}


def begun(stage: Any) -> tuple[Flapping, Any]:
    fault = Flapping({})
    targets, detail = fault.resolve(PLAN, stage)
    rest = (stage, targets, {**detail, "occurrence": 1})
    fault.inject(*rest)
    return fault, rest


def until(what: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 10
    while not what() and time.monotonic() < deadline:
        time.sleep(0.002)
    return what()


def test_links_come_and_go_until_the_heal() -> None:
    stage: Any = honest_cluster.stage(3)
    fault, rest = begun(stage)

    def bitten() -> bool:
        stage.cluster.talk()
        return fault.bit(*rest).holds

    assert until(bitten)
    proof = fault.bit(*rest)
    assert proof.figures["reachable while cut"] == ["n2->n3", "n3->n2"]
    assert len(proof.figures["reachable while open"]) == 6
    assert proof.figures["cuts"] >= 2
    fault.heal(*rest)
    fault.heal(*rest)
    assert not fault._flaps[1]._thread.is_alive()
    assert stage.cluster.grudge == {}
    assert fault.healed(*rest).holds


def test_a_cut_that_no_packet_runs_into_or_that_stays_is_no_bite() -> None:
    stage: Any = honest_cluster.stage(3)
    fault, rest = begun(stage)
    flaps = fault._flaps[1]
    assert until(lambda: flaps._cuts > 3)
    assert not fault.bit(*rest).holds
    fault.heal(*rest)
    stage.cluster.heal_cuts = lambda: None
    fault, rest = begun(stage)
    flaps = fault._flaps[1]

    def many() -> bool:
        stage.cluster.talk()
        return flaps._cuts > 3

    assert until(many)
    assert not fault.bit(*rest).holds
    fault.heal(*rest)
    assert not fault.healed(*rest).holds


def test_trouble_of_the_cluster_is_told_and_proves_nothing() -> None:
    stage: Any = honest_cluster.stage(3)

    def cut(grudge: Any) -> None:
        raise OSError("no more rules")

    stage.cluster.cut = cut
    fault, rest = begun(stage)
    assert until(lambda: "no more rules" in fault.bit(*rest).what)
    assert not fault.bit(*rest).holds


def test_states_that_last_no_time_are_refused() -> None:
    with pytest.raises(UsageError, match="flapping-cut-s"):
        Flapping({"flapping_cut_s": 0.0})
