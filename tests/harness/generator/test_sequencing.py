"""The laws of once, limit, repeat, cycle, phases, then, synchronize, concat, until_ok, ..."""

from __future__ import annotations

from itertools import count
from typing import Any

import pytest

from harness.generator import (
    NOTHING,
    Context,
    clients,
    concat,
    cycle,
    flip_flop,
    function,
    invoke,
    limit,
    log,
    mix,
    on_threads,
    once,
    phases,
    repeat,
    sleep,
    synchronize,
    then,
    until_ok,
)
from harness.generator.simulate import imperfect, invocations, simulate
from harness.history.operation import Operation


def integers() -> Any:
    return (invoke("w", i) for i in count())


def values(gen: Any) -> list[Any]:
    return [operation.value for operation in invocations(simulate(gen))]


def names(gen: Any) -> list[str]:
    return [operation.f for operation in invocations(simulate(gen))]


@pytest.mark.parametrize(
    "made",
    [
        limit(5, None),
        limit(0, repeat(invoke("a"))),
        once(None),
        repeat(None),
        repeat(invoke("a"), 0),
        cycle(None),
        cycle(None, 3),
        cycle(invoke("a"), 0),
        phases(),
        phases(None),
        phases(None, None),
        then(None, None),
        concat(None, None),
        until_ok(None),
        flip_flop(),
    ],
)
def test_combinators_of_nothing_are_nothing(made: object) -> None:
    assert made is NOTHING


def test_limit_ends_after_that_many() -> None:
    assert values(limit(2, repeat(invoke("write", 1)))) == [1, 1]
    assert values(once(integers())) == [0]


def test_repeat_does_not_advance_what_it_repeats() -> None:
    assert values(repeat([invoke("w", i) for i in range(5)], 3)) == [0, 0, 0]


def test_repeat_draws_anew_each_time() -> None:
    drawn = values(repeat(function(lambda c: invoke("w", c.random.below(10**9))), 20))
    assert len(set(drawn)) == 20


def test_cycle_begins_again_as_often_as_asked() -> None:
    round_ = phases(limit(3, repeat(invoke("a"))), invoke("b"))
    found = invocations(simulate(clients(cycle(round_, 2))))
    assert [(o.time, o.f) for o in found] == [
        (0, "a"),
        (0, "a"),
        (10, "a"),
        (20, "b"),
        (30, "a"),
        (30, "a"),
        (40, "a"),
        (50, "b"),
    ]


def test_cycle_without_a_number_never_ends_and_draws_anew_each_round() -> None:
    round_ = mix([repeat(invoke("a"), 3), repeat(invoke("b"), 3)])
    found = names(limit(60, cycle(round_)))
    rounds = {tuple(found[i : i + 6]) for i in range(0, 60, 6)}
    assert all(sorted(each) == ["a"] * 3 + ["b"] * 3 for each in rounds)
    assert len(rounds) > 3


def test_a_cycle_of_an_empty_round_ends() -> None:
    assert values(cycle(function(lambda c: None))) == []


def test_phases_wait_for_all_threads_between() -> None:
    gen = phases(*[limit(n, repeat(invoke(f))) for n, f in ((2, "a"), (1, "b"), (3, "c"))])
    found = invocations(simulate(clients(gen)))
    assert [(o.f, o.time) for o in found] == [
        ("a", 0),
        ("a", 0),
        ("b", 10),
        ("c", 20),
        ("c", 20),
        ("c", 30),
    ]


def test_synchronize_begins_only_when_the_last_thread_is_free() -> None:
    def first(context: Context) -> Operation:
        process = context.processes[context.some_free_thread()]
        late = 1 if process == 1 else 2
        return Operation(-1, context.time_ns + late, process, "invoke", "a", None)  # type: ignore[arg-type]

    gen = [limit(3, first), synchronize(repeat(invoke("b"), 2))]
    found = invocations(simulate(gen))
    starts = [o.time for o in found if o.f == "a"]
    assert len(set(starts)) == 3
    assert [o.time for o in found if o.f == "b"] == [max(starts) + 10] * 2


def test_synchronize_of_nothing_is_still_a_barrier() -> None:
    found = invocations(simulate(clients([invoke("a"), synchronize(None), invoke("b")])))
    assert [(o.f, o.time) for o in found] == [("a", 0), ("b", 10)]


def test_then_puts_a_barrier_between() -> None:
    found = invocations(simulate(clients(then(limit(3, repeat(invoke("a"))), invoke("b")))))
    assert [(o.f, o.time) for o in found] == [("a", 0), ("a", 0), ("a", 10), ("b", 20)]
    assert names(then(None, invoke("r"))) == names(then(invoke("r"), None)) == ["r"]


def test_concat_goes_on_without_a_barrier() -> None:
    gen = concat([invoke("a"), invoke("b")], limit(1, invoke("c")), None, invoke("d"))
    found = invocations(simulate(clients(gen)))
    assert [(o.f, o.time) for o in found] == [("a", 0), ("b", 0), ("c", 10), ("d", 10)]


def test_until_ok_goes_on_past_failures_until_one_succeeds() -> None:
    history = simulate(clients(limit(10, until_ok(repeat(invoke("read"))))), imperfect())
    kinds = [(o.time, o.type) for o in history]
    assert kinds == [
        (0, "invoke"),
        (0, "invoke"),
        (10, "fail"),
        (10, "invoke"),
        (10, "fail"),
        (10, "invoke"),
        (20, "info"),
        (20, "invoke"),
        (20, "info"),
        (20, "invoke"),
        (30, "ok"),
        (30, "ok"),
    ]
    assert {o.process for o in history} == {0, 1, 2, 3}


def test_until_ok_is_not_ended_by_the_success_of_others() -> None:
    gen = until_ok(repeat(invoke("mine")))
    stranger = Operation(0, 0, 9, "ok", "other", None)
    from harness.generator import initial_context

    assert gen.update(initial_context(2), stranger).op(initial_context(2)) is not None


def test_flip_flop_takes_turns_and_ends_with_the_first_that_ends() -> None:
    gen = flip_flop(integers(), [invoke("read"), invoke("finalize")])
    found = invocations(simulate(clients(limit(10, gen))))
    assert [(o.f, o.value) for o in found] == [
        ("w", 0),
        ("read", None),
        ("w", 1),
        ("finalize", None),
        ("w", 2),
    ]


def test_log_and_sleep_are_not_recorded() -> None:
    gen = phases(log("first"), invoke("a"), on_threads({0}, sleep(1e-6)), invoke("b"))
    history = simulate(clients(gen))
    assert [(o.f, o.time) for o in invocations(history)] == [("a", 0), ("b", 1010)]
    assert {o.type for o in history} == {"invoke", "ok"}


def test_sleep_keeps_only_one_thread_busy() -> None:
    found = invocations(simulate(clients([sleep(1e-6), repeat(invoke("a"), 5)])))
    assert {o.process for o in found} == {1}
    assert [o.time for o in found] == [0, 10, 20, 30, 40]
