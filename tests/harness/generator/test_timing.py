"""The laws of time_limit, stagger, delay, cycle_times and cache."""

from __future__ import annotations

from itertools import count, pairwise
from typing import Any

import pytest

from harness.errors import UsageError
from harness.generator import (
    NOTHING,
    Context,
    cache,
    clients,
    cycle_times,
    delay,
    flip_flop,
    initial_context,
    invoke,
    limit,
    repeat,
    stagger,
    time_limit,
    until_told,
)
from harness.generator.simulate import invocations, perfect, quick, simulate
from harness.history.operation import Operation

NS = 1e-9


def run(gen: Any, client: Any = perfect, seed: int = 0) -> list[Operation]:
    return invocations(simulate(gen, client, seed=seed))


@pytest.mark.parametrize(
    "made",
    [
        time_limit(2, None),
        time_limit(0, [invoke("x")]),
        stagger(1, None),
        cache(1, None),
        cycle_times(),
    ],
)
def test_combinators_of_nothing_are_nothing(made: object) -> None:
    assert made is NOTHING


def test_time_limits_in_succession_each_count_from_their_first_operation() -> None:
    gen = [
        time_limit(20 * NS, repeat(invoke("w", "a"))),
        time_limit(10 * NS, repeat(invoke("w", "b"))),
    ]
    assert [(o.time, o.value) for o in run(gen)] == [
        *[(0, "a")] * 3,
        *[(10, "a")] * 3,
        *[(20, "b")] * 3,
    ]


def test_a_time_limit_ends_what_would_only_wait() -> None:
    from harness.generator import PENDING

    first = time_limit(5 * NS, clients(repeat(invoke("a")))).op(initial_context(1))
    assert isinstance(first, tuple)
    all_busy = initial_context(1).busy(0, 0)
    assert first[1].op(all_busy) is PENDING
    assert first[1].op(all_busy.at(5)) is None


def test_somebody_outside_ends_it_also_where_it_would_only_wait() -> None:
    from harness.generator import PENDING

    told: list[bool] = []
    first = until_told(lambda: bool(told), clients(repeat(invoke("a")))).op(initial_context(1))
    assert isinstance(first, tuple)
    all_busy = initial_context(1).busy(0, 0)
    assert first[1].op(all_busy) is PENDING
    told.append(True)
    assert first[1].op(all_busy) is None
    assert first[1].op(initial_context(1)) is None
    assert run(until_told(lambda: False, limit(2, repeat(invoke("a"))))) == run(
        limit(2, repeat(invoke("a")))
    )


def test_delay_keeps_an_even_pace_unless_all_are_busy() -> None:
    found = run(limit(5, delay(3 * NS, repeat(invoke("w")))))
    assert [o.time for o in found] == [0, 3, 6, 10, 13]


def test_stagger_gives_the_rate_asked() -> None:
    n, dt = 1000, 20
    found = run(stagger(dt * NS, [invoke("w", i) for i in range(n)]))
    assert n * dt * 0.9 < found[-1].time < n * dt * 1.1
    gaps = [late.time - early.time for early, late in pairwise(found)]
    assert min(gaps) >= 0
    assert max(gaps) <= 2 * dt
    assert len(set(gaps)) > 20


def test_stagger_of_zero_is_the_generator_itself() -> None:
    gen = repeat(invoke("a"))
    assert stagger(0, gen) is gen


def test_stagger_makes_up_for_a_late_timer_but_not_for_an_outage() -> None:
    gen = stagger(1e-3, repeat(invoke("a")))

    def emitted_at(late_ns: int) -> int:
        step = gen.op(initial_context(1))
        assert isinstance(step, tuple)
        at_once, context = 0, initial_context(1).at(late_ns)
        while isinstance(step, tuple) and step[0].time <= late_ns:
            at_once += 1
            step = step[1].op(context)
        return at_once

    assert 3 <= emitted_at(5_000_000) <= 9  # five were due: they come now
    assert emitted_at(60_000_000_000) < 150  # sixty thousand were due: they do not


def test_stagger_is_the_same_however_often_it_is_asked() -> None:
    gen = stagger(1e-3, repeat(invoke("a")))
    context = initial_context(2)
    first = gen.op(context)
    assert isinstance(first, tuple)
    assert first[1].op(context) == first[1].op(context)


def test_cycle_times_takes_turns_by_the_clock_and_keeps_state() -> None:
    a = delay(1, (invoke("a", i) for i in count()))
    b = limit(5, delay(3, (invoke("b", i) for i in count())))
    found = run(clients(cycle_times(5, a, 10, b)))
    assert [(o.time // 10**9, o.f, o.value) for o in found] == [
        *[(i, "a", i) for i in range(5)],
        *[(5 + 3 * i, "b", i) for i in range(4)],
        *[(15 + i, "a", 5 + i) for i in range(5)],
        (20, "b", 4),
    ]


def test_cycle_times_refuses_intervals_that_never_end() -> None:
    with pytest.raises(UsageError, match="above 0"):
        cycle_times(0, invoke("a"))
    with pytest.raises(UsageError, match="pairs"):
        cycle_times(1)


def slow_and_asked() -> tuple[Any, list[int]]:
    asked: list[int] = []

    def slow(context: Context) -> Operation:
        asked.append(context.time_ns)
        return invoke("write", context.time_ns)

    return slow, asked


def test_cache_spares_the_calls_whose_operations_are_discarded() -> None:
    def alternating(writes: Any) -> list[tuple[int, str]]:
        gen = limit(10, clients(delay(15 * NS, flip_flop(writes, repeat(invoke("read"))))))
        return [(o.time, o.f) for o in run(gen)]

    slow, without = slow_and_asked()
    plain = alternating(slow)
    slow, with_cache = slow_and_asked()
    assert alternating(cache(1, slow)) == plain
    assert len(with_cache) == 5 < len(without)


def test_a_cached_operation_gets_a_process_that_is_free_now() -> None:
    gen = cache(1, repeat(invoke("a")))
    context = initial_context(2)
    first = gen.op(context)
    again = gen.op(context.busy(0, 7))
    assert isinstance(first, tuple)
    assert isinstance(again, tuple)
    assert first[0].process == 0
    assert again[0].process == 1
    assert again[0].time == 7


def test_cache_forgets_what_was_made_before_an_event_that_matters() -> None:
    from harness.generator import until_ok

    gen = delay(15 * NS, cache(1, until_ok(repeat(invoke("a")))))
    assert [o.time for o in run(clients(gen))] == [0]  # the second was made for 15, ok came at 10


def test_zero_latency_clients_do_not_stop_the_clock_for_a_time_limit() -> None:
    found = run(time_limit(1e-6, stagger(1e-8, repeat(invoke("a")))), quick)
    assert 70 < len(found) < 140
