"""Smaller schedules: what may go, whom is aimed at, and when all begins."""

from __future__ import annotations

from dataclasses import replace
from random import Random
from typing import Any

import msgspec

from harness.explore.ddmin import ddmin
from harness.explore.smaller import (
    AS_IT_WAS,
    aims_as_it_did,
    fewer_targets,
    half_as_long,
    keeping,
    shorter_run,
    sooner,
)
from harness.run.schedule import AfterFault, AfterMilestone, At
from nemeses.network.partition import Partition
from nemeses.network.shapes import as_json, halves
from nemeses.process.kill import Kill
from tests.harness.explore.simulated import NODES, S, candidate
from tests.toys.honest_cluster import stage


def test_ddmin_finds_every_subset_of_seven_that_is_needed() -> None:
    for bits in range(1, 128):
        needed = {piece for piece in range(7) if bits >> piece & 1}
        assert set(ddmin(range(7), lambda kept, needed=needed: needed <= set(kept))) == needed


def test_ddmin_ends_one_minimal_where_pieces_stand_in_for_each_other() -> None:
    rng = Random(4)
    for _ in range(200):
        ways = [frozenset(rng.sample(range(6), rng.randint(1, 3))) for _ in range(3)]

        def fails(kept: tuple[int, ...], ways: list[frozenset[int]] = ways) -> bool:
            return any(way <= set(kept) for way in ways)

        found = ddmin(range(6), fails)
        assert fails(found)
        assert not [p for p in found if fails(tuple(q for q in found if q != p)) and len(found) > 1]


def test_what_came_after_a_fault_that_is_gone_begins_when_it_did() -> None:
    whole = candidate("kill-1", "pause-1", "pause-2")
    after = AfterFault(fault="kill-1", event="end", delay_ns=0)
    whole = whole.changed(1, begin=after)
    kept = keeping(whole, [0, 1], {})
    assert kept.schedule.occurrences[1].begin == after
    alone = keeping(whole, [1, 2], {"pause-1": 17 * S})
    assert alone.schedule.occurrences[0].begin == At(17 * S)
    assert [e.name for e in keeping(whole, [1, 2], {}).schedule.occurrences] == ["pause-2"]


def test_a_cut_of_fewer_nodes_cuts_the_links_of_these_alone() -> None:
    grudge = as_json(halves(NODES, Random(1)))
    plan = {"shape": "halves", "grudge": grudge}
    minority = [node for node, sources in grudge.items() if len(sources) == 3]
    (left, smaller), *_ = fewer_targets(plan, minority)
    assert left == minority[:1]
    assert smaller["shape"] == AS_IT_WAS
    cut = {(s, t) for t, sources in smaller["grudge"].items() for s in sources}
    assert len(cut) == 6
    assert all(left[0] in link for link in cut)
    assert minority[1] not in {node for link in cut for node in link}


def test_fewer_targets_are_what_the_faults_themselves_take() -> None:
    here: Any = stage()
    plan = Kill({}).plan(NODES, Random(2))
    tried = list(fewer_targets({**plan, "target": "all"}, NODES))
    assert [len(left) for left, _ in tried] == [3, 2, 4, 4, 4, 4, 4]
    for left, smaller in tried:
        assert Kill({}).resolve(smaller, here)[0] == sorted(left)
    was = aims_as_it_did(
        {"shape": "primaries", "fallback": "n1"}, ["n3"], {"grudge": {"n3": ["n1"]}}
    )
    targets, detail = Partition({}).resolve(was, here)
    assert (targets, detail["grudge"]) == (["n3"], {"n3": ["n1"]})


def test_a_role_stays_and_other_plans_are_left_alone() -> None:
    plan = {"target": "alpha:primaries", "order": ["n1", "n2"]}
    assert aims_as_it_did(plan, ["n2"], {}) == {"target": "alpha:all", "order": ["n2"]}
    assert list(fewer_targets(plan, ["n1", "n2"])) == []  # who leads is asked anew
    assert aims_as_it_did({"file": "wal"}, ["n2"], {}) == {"file": "wal"}
    assert list(fewer_targets({"file": "wal"}, ["n1", "n2"])) == []


def test_half_as_long_comes_to_an_end() -> None:
    found, lengths = candidate("kill-1"), []
    while (half := half_as_long(found, 0)) is not None:
        found = half
        lengths.append((found.schedule.occurrences[0].lasts_ns or 0) / S)
    assert lengths == [2.5, 1.2, 0.6, 0.5]
    action = candidate("admin-1").changed(0, lasts_ns=None)
    assert half_as_long(action, 0) is None


def test_sooner_keeps_the_distances_and_ends_the_run_after_the_last_heal() -> None:
    moved = sooner(candidate("kill-1", "pause-1"))
    assert moved is not None
    assert [each.start_ns for each in moved.schedule.occurrences] == [3 * S, 13 * S]
    assert moved.time_limit_s == 13 + 5 + 5
    assert sooner(moved) is None
    assert shorter_run(moved) is None
    waits = moved.changed(1, begin=AfterMilestone(milestone="leader-change"))
    assert sooner(replace(waits, time_limit_s=100.0)) is None
    assert shorter_run(waits) is None


def test_equal_candidates_have_one_key() -> None:
    one, other = candidate("kill-1"), candidate("kill-1")
    assert one.key == other.key
    renamed = msgspec.structs.replace(one.schedule.occurrences[0], name="kill-2")
    assert one.of([renamed]).key != one.key
