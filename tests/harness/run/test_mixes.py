"""``--nemesis all`` and ``random``: what is in a mix, how hard it comes, and what it stays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from harness.errors import UsageError
from harness.plugins import Registry
from harness.run.mixes import INTENSITIES, paced
from harness.run.preparation import prepare
from harness.run.scenario import resolve
from harness.run.schedule import AfterMilestone, At, after_milestones

ETCD = {"system": "etcd", "provider": "docker", "seed": 5}
EVERY = {"admin", "clock", "kill", "packet", "partition", "pause", "restart"}
PLUGIN = '''
from nemeses.process.kill import Kill


class Flip(Kill):
    """Turns bits over."""

    name = "flip"
    key = "flip_targets"
    damages = True
    options = ()


NEMESES = {"flip": Flip}
'''


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Registry:
    path = tmp_path_factory.mktemp("plugin") / "flip.py"
    path.write_text(PLUGIN)
    return Registry([Path(path)])


@pytest.fixture(autouse=True)
def no_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    """No container is asked for."""
    monkeypatch.setattr("harness.cluster.providers.choose", lambda request: request)


def faults_of(registry: Registry, nemesis: str, **more: Any) -> tuple[str, ...]:
    return resolve({**ETCD, "nemesis": nemesis, **more}, registry).nemesis


def test_all_is_what_the_system_survives_and_damage_is_by_name_only(registry: Registry) -> None:
    found = set(faults_of(registry, "all"))
    assert found >= EVERY
    assert "flip" not in found
    assert set(faults_of(registry, "all,flip")) == found | {"flip"}
    assert set(faults_of(registry, "all,-kill")) == found - {"kill"}


def test_what_a_system_cannot_take_or_does_not_survive_is_not_in_a_mix(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = {"kill", "pause", "restart", "crash-loop", "slow-start", "rolling-restart"}
    alone |= {"client-partition"}
    assert set(faults_of(registry, "all", system="sqlite", nodes=1)) <= alone
    monkeypatch.setattr(
        "systems.etcd.Etcd.not_survived", lambda self: {"kill": "why"}, raising=False
    )
    assert "kill" not in faults_of(registry, "all")
    with pytest.raises(UsageError, match="no fault is possible here"):
        faults_of(registry, "all", system="sqlite", nodes=1, provider="none", endpoint="a:1")


def test_a_random_mix_follows_from_the_seed_and_fits_the_time(registry: Registry) -> None:
    mixes = [faults_of(registry, "random", seed=seed, time_limit=40) for seed in range(20)]
    assert mixes == [faults_of(registry, "random", seed=s, time_limit=40) for s in range(20)]
    assert len(set(mixes)) > 5
    assert {len(mix) for mix in mixes} == {1, 2, 3}
    assert all("kill" in faults_of(registry, "random,kill", seed=seed) for seed in range(3))


def test_a_mix_is_kept_as_its_faults_and_asked_again_as_what_it_is(registry: Registry) -> None:
    """The run's own scenario names the faults, a soak's table the mix that each run draws."""
    scenario = resolve({**ETCD, "nemesis": "random", "kill_targets": "one"}, registry)
    kept = scenario.flat()
    assert kept["nemesis"] == ",".join(scenario.nemesis)
    again = resolve(kept, registry)
    assert (again.nemesis, again.options, again.nemesis_interval) == (
        scenario.nemesis,
        scenario.options,
        scenario.nemesis_interval,
    )
    asked = scenario.asked()
    assert (asked["nemesis"], asked["kill_targets"]) == ("random", "one")
    other = resolve({**asked, "seed": 8}, registry)
    assert other.nemesis == faults_of(registry, "random", seed=8)
    whole = resolve({**ETCD, "nemesis": "all"}, registry)
    assert whole.asked() == whole.flat()


def test_every_fault_of_all_has_its_turn_within_the_time_limit(registry: Registry) -> None:
    for limit_s in (16, 40, 200):
        scenario = resolve({**ETCD, "nemesis": "all", "time_limit": limit_s}, registry)
        plan = prepare(scenario, registry).schedule
        assert plan is not None
        assert {each.fault for each in plan.occurrences} == set(scenario.nemesis)
        assert scenario.nemesis_interval <= INTENSITIES["default"].interval_s


def test_brutal_faults_overlap_and_gentle_ones_leave_a_majority_alone(registry: Registry) -> None:
    def plan_of(intensity: str) -> list[Any]:
        table = {**ETCD, "nemesis": "all", "intensity": intensity, "time_limit": 120}
        plan = prepare(resolve(table, registry), registry).schedule
        assert plan is not None
        return list(plan.occurrences)

    brutal, gentle = plan_of("brutal"), plan_of("gentle")
    pairs = list(pairwise(brutal))
    assert any(a.stop_ns and b.start_ns and a.stop_ns > b.start_ns for a, b in pairs)
    pairs = list(pairwise(gentle))
    assert not any(a.stop_ns and b.start_ns and a.stop_ns > b.start_ns for a, b in pairs)
    in_turn = {"rolling-restart", "upgrade"}  # which take one node after another
    aimed = [each for each in gentle if "target" in each.plan and each.fault not in in_turn]
    words = {each.plan["target"] for each in aimed}
    assert words <= {"one", "minority", "primaries"}
    assert len(brutal) > len(gentle)


def test_what_is_said_wins_over_an_intensity(registry: Registry) -> None:
    said = {"intensity": "brutal", "nemesis_interval": 7.0, "kill_targets": "all"}
    scenario = resolve({**ETCD, "nemesis": "kill", **said}, registry)
    assert (scenario.nemesis_interval, scenario.nemesis_duration) == (7.0, None)
    assert scenario.options["kill_targets"] == "all"
    assert paced({}, "gentle", 0, 60.0, fits=False) == (15.0, 5.0)
    assert paced({"nemesis_duration": 1.0}, "brutal", 2, 60.0, fits=False) == (3.0, 1.0)


def test_a_mix_beside_a_schedule_is_refused(registry: Registry, tmp_path: Path) -> None:
    (tmp_path / "s.jsonl").write_text('{"fault": "kill", "at_s": 1}\n')
    with pytest.raises(UsageError, match="beside a schedule"):
        faults_of(registry, "all", schedule=str(tmp_path / "s.jsonl"))


# -- after a milestone -------------------------------------------------------------------------


def test_a_fault_is_bound_to_each_change_of_leaders_and_has_no_slots(registry: Registry) -> None:
    table = {**ETCD, "nemesis": "partition,kill", "nemesis_after": "kill=leader-change+50ms"}
    scenario = resolve(table, registry)
    plan = prepare(scenario, registry).schedule
    assert plan is not None
    kills = [each for each in plan.occurrences if each.fault == "kill"]
    assert [each.begin for each in kills] == [
        AfterMilestone(milestone="leader-change", nth=nth, delay_ns=50_000_000)
        for nth in range(1, 6)
    ]
    assert all(isinstance(e.begin, At) for e in plan.occurrences if e.fault == "partition")
    assert resolve(scenario.flat(), registry) == scenario
    assert "--nemesis-after kill=leader-change+50ms" in scenario.command()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["kill"], "is not FAULT=MILESTONE"),
        (["pause=leader-change"], "--nemesis has no 'pause'"),
        (["kill=leader-chnge"], "did you mean leader-change"),
        (["kill=leader-change+x"], "'x' is no time"),
    ],
)
def test_what_is_no_moment_is_refused(words: Sequence[str], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        after_milestones(words, ["kill"], ["leader-change"])
    with pytest.raises(UsageError, match="declares no milestones"):
        after_milestones(["kill=leader-change"], ["kill"], [])


def test_a_bound_fault_draws_its_targets_from_the_seed(registry: Registry) -> None:
    def plans(seed: int) -> list[Mapping[str, Any]]:
        table = {**ETCD, "seed": seed, "nemesis": "kill", "nemesis_after": "kill=compaction"}
        plan = prepare(resolve(table, registry), registry).schedule
        return [each.plan for each in plan.occurrences] if plan is not None else []

    assert plans(1) == plans(1)
    assert plans(1) != plans(2)
