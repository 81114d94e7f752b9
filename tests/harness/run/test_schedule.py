"""The fault schedule: every fault occurs, in its time, and the seed fixes it all."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import UsageError
from harness.generator import any_, clients, invoke, nemesis, repeat, stagger, time_limit
from harness.generator.context import Context, initial_context
from harness.generator.core import PENDING, Generator
from harness.generator.simulate import invocations, perfect, simulate
from harness.history.operation import NEMESIS, Operation
from harness.plugins import Registry
from harness.run.schedule import (
    LEAST_BITE_S,
    Schedule,
    parse_nemesis,
    schedule,
)
from harness.run.schedule_file import as_json, from_json
from nemeses.network.partition import Partition
from nemeses.process.kill import Kill
from nemeses.process.pause import Pause

NODES = ["n1", "n2", "n3", "n4", "n5"]
ALL: dict[str, Any] = {"partition": Partition({}), "kill": Kill({}), "pause": Pause({})}
S = 1_000_000_000

fault_sets = st.lists(st.sampled_from(sorted(ALL)), min_size=1, unique=True).map(
    lambda names: [ALL[name] for name in names]
)
intervals = st.sampled_from([0.1, 0.3, 1.0, 2.5, 3.0, 10.0])


def make(faults: list[Any], *, seed: int = 1, interval_s: float = 3.0, **more: Any) -> Schedule:
    more.setdefault("duration_s", None)
    more.setdefault("time_limit_s", 30.0)
    return schedule(faults, NODES, seed, interval_s, **more)


@given(fault_sets, intervals, st.integers(0, 50), st.integers(0, 2**32))
def test_every_fault_occurs_in_the_first_round_even_at_the_least_time_limit(
    faults: list[Any], interval_s: float, spare_s: int, seed: int
) -> None:
    limit_s = interval_s * len(faults) + LEAST_BITE_S + spare_s
    plan = make(faults, seed=seed, interval_s=interval_s, time_limit_s=limit_s)
    first = plan.occurrences[: len(faults)]
    assert sorted(each.fault for each in first) == sorted(fault.name for fault in faults)


@given(fault_sets, intervals, st.integers(0, 60), st.integers(0, 2**32))
def test_one_fault_begins_every_interval_and_none_overlap_by_default(
    faults: list[Any], interval_s: float, spare_s: int, seed: int
) -> None:
    limit_s = interval_s * len(faults) + LEAST_BITE_S + spare_s
    plan = make(faults, seed=seed, interval_s=interval_s, time_limit_s=limit_s).occurrences
    starts = [each.start_ns for each in plan]
    assert starts == [round(n * interval_s * 1e9) for n in range(1, len(starts) + 1)]
    assert all(a.stop_ns < b.start_ns for a, b in pairwise(plan))
    assert all(each.start_ns < each.stop_ns < round(limit_s * 1e9) for each in plan)
    assert all(each.start_ns <= round((limit_s - LEAST_BITE_S) * 1e9) for each in plan)


@given(fault_sets, st.floats(0.5, 20), st.integers(0, 2**32))
def test_a_fault_never_overlaps_itself_however_long_it_lasts(
    faults: list[Any], duration_s: float, seed: int
) -> None:
    plan = make(faults, seed=seed, duration_s=duration_s, time_limit_s=60.0).occurrences
    for fault in faults:
        mine = [each for each in plan if each.fault == fault.name]
        assert mine
        assert all(a.stop_ns <= b.start_ns for a, b in pairwise(mine))


@given(fault_sets, st.integers(0, 2**32))
def test_equal_seeds_give_equal_plans_and_a_recorded_plan_gives_the_schedule_back(
    faults: list[Any], seed: int
) -> None:
    plan = make(faults, seed=seed)
    assert make(faults, seed=seed) == plan
    assert from_json(json.loads(json.dumps(as_json(plan)))) == plan


def test_different_seeds_give_different_plans() -> None:
    faults = list(ALL.values())
    assert len({json.dumps(as_json(make(faults, seed=seed))) for seed in range(20)}) == 20


def test_rounds_are_shuffled_and_whole() -> None:
    names = [each.fault for each in make(list(ALL.values()), time_limit_s=100.0).occurrences]
    rounds = [tuple(names[at : at + 3]) for at in range(0, len(names) - 2, 3)]
    assert all(sorted(one) == sorted(ALL) for one in rounds)
    assert len(set(rounds)) > 1


def test_a_system_lengthens_a_fault_and_others_may_then_overlap_it() -> None:
    longer = {"partition": 7.0}
    plan = make(list(ALL.values()), least_duration_s=longer, time_limit_s=60.0).occurrences
    lasts = {each.fault: (each.stop_ns - each.start_ns) / S for each in plan[:3]}
    assert lasts == {"partition": 7.0, "kill": 1.5, "pause": 1.5}


@pytest.mark.parametrize(("limit_s", "is_refused"), [(10.9, True), (11.0, False)])
def test_a_time_limit_that_cannot_hold_the_first_round_is_refused_with_the_least(
    limit_s: float, is_refused: bool
) -> None:
    faults = list(ALL.values())
    if not is_refused:
        assert len(make(faults, time_limit_s=limit_s).occurrences) == 3
        return
    with pytest.raises(
        UsageError,
        match=r"cannot hold 3 faults(.|\n)*--time-limit 11, or --nemesis-interval 2\.9$",
    ):
        make(faults, time_limit_s=limit_s)


@pytest.mark.parametrize("wrong", [{"interval_s": 0.0}, {"duration_s": 0.0}])
def test_times_of_nothing_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(UsageError, match="more than 0"):
        make([ALL["kill"]], **wrong)


def test_without_faults_there_is_nothing_to_plan_or_to_do() -> None:
    plan = make([], time_limit_s=0.1)
    assert plan.occurrences == ()
    assert plan.generator().op(initial_context(2)) is None


def test_what_is_no_plan_is_refused() -> None:
    with pytest.raises(UsageError, match="not a fault schedule"):
        from_json({"seed": 1, "occurrences": [{"fault": "kill"}]})


def drain(generator: Generator, context: Context) -> list[Operation]:
    """Everything it emits if each operation is carried out at its time, at once."""
    done: list[Operation] = []
    while (step := generator.op(context)) is not None:
        assert step is not PENDING
        operation, generator = step
        context = context.at(max(context.time_ns, operation.time))
        done.append(operation)
    return done


def test_the_generator_emits_starts_and_stops_at_their_times_after_its_beginning() -> None:
    plan = make([ALL["kill"]], time_limit_s=9.0)
    operations = drain(plan.generator(), initial_context(2, time_ns=5 * S))
    assert [(each.f, each.time / S) for each in operations] == [
        ("start-kill", 8.0),
        ("stop-kill", 9.5),
        ("start-kill", 11.0),
        ("stop-kill", 12.5),
    ]
    assert {(each.process, each.type) for each in operations} == {(NEMESIS, "info")}
    assert operations[0].value == {"occurrence": 0, "plan": plan.occurrences[0].plan}
    assert [each.value["occurrence"] for each in operations] == [0, 0, 1, 1]


def test_asking_early_and_often_does_not_move_a_fault() -> None:
    generator = make([ALL["kill"]]).generator()
    begin = initial_context(2, time_ns=0)
    asked = [generator.op(begin.at(at)) for at in (0, 1 * S, 2 * S)]
    times = [step[0].time for step in asked if step is not None and step is not PENDING]
    assert times == [3 * S] * 3


def test_a_busy_nemesis_is_waited_for_and_late_operations_come_at_once() -> None:
    generator = make([ALL["kill"]]).generator()
    begin = initial_context(2, time_ns=0)
    generator.op(begin)
    late = begin.at(10 * S)
    assert generator.op(late.restrict(0b011)) is PENDING
    step = generator.op(late)
    assert step is not None
    assert step is not PENDING
    assert step[0].time == 10 * S


def test_a_stop_comes_before_a_start_of_the_same_moment() -> None:
    plan = make([ALL["kill"], ALL["pause"]], duration_s=3.0, time_limit_s=20.0)
    verbs = [each.f.split("-")[0] for each in plan.operations()]
    assert verbs == ["start", "stop"] * len(plan.occurrences)


def test_nemesis_names_are_parsed_in_order_and_none_is_none() -> None:
    registry = Registry()
    assert parse_nemesis("partition, kill", registry) == ["partition", "kill"]
    assert parse_nemesis("none", registry) == parse_nemesis("", registry) == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("kill,kill", "kill given more than once"),
        ("none,kill", "cannot be combined"),
        ("partiton", "did you mean partition"),
    ],
)
def test_wrong_nemesis_names_are_refused(text: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        parse_nemesis(text, Registry())


def test_beside_clients_every_fault_keeps_its_time_and_no_client_is_kept_waiting() -> None:
    plan = make(list(ALL.values()), duration_s=2.9, time_limit_s=20.0)
    work = clients(stagger(0.05, repeat(invoke("read"))))
    everything = time_limit(20.0, any_(work, nemesis(plan.generator())))
    history = simulate(everything, perfect, seed=3, context=initial_context(4, time_ns=7 * S))
    begun = [each for each in invocations(history) if not each.is_client]
    wanted = [(each.f, 7 * S + each.time) for each in plan.operations()]
    assert [(each.f, each.time) for each in begun] == wanted
    assert wanted[-1][1] < 27 * S
    assert sum(each.is_client for each in invocations(history)) > 200


def test_a_fault_may_choose_how_long_it_lasts() -> None:
    chosen = make([ALL["kill"], ALL["pause"]], own_duration_s={"kill": 0.5}).occurrences
    assert {each.lasts_ns for each in chosen if each.fault == "kill"} == {S // 2}
    assert {each.lasts_ns for each in chosen if each.fault == "pause"} == {3 * S // 2}
