"""The laws of mix, any, shortest_any and reserve: who comes next, and that nobody starves."""

from __future__ import annotations

from collections import Counter
from itertools import count, pairwise
from typing import Any

import pytest

from harness.errors import UsageError
from harness.generator import (
    NOTHING,
    any_,
    clients,
    delay,
    invoke,
    limit,
    mix,
    nemesis,
    on_threads,
    repeat,
    reserve,
    shortest_any,
    stagger,
)
from harness.generator.simulate import imperfect, invocations, perfect, simulate
from harness.history.operation import Operation


def integers(f: str) -> Any:
    return (invoke(f, i) for i in count())


def run(gen: Any, concurrency: int = 2, seed: int = 0, client: Any = perfect) -> list[Operation]:
    return invocations(simulate(gen, client, concurrency=concurrency, seed=seed))


@pytest.mark.parametrize(
    "made", [mix([None, None]), mix([]), any_(), any_(None, None), shortest_any()]
)
def test_combinators_of_nothing_are_nothing(made: object) -> None:
    assert made is NOTHING


def test_mix_emits_everything_in_a_mixed_order() -> None:
    found = [o.f for o in run(mix([repeat(invoke("a"), 5), repeat(invoke("b"), 10)]))]
    assert Counter(found) == {"a": 5, "b": 10}
    assert found not in (["a"] * 5 + ["b"] * 10, ["b"] * 10 + ["a"] * 5)


def test_mix_is_uniform_and_differs_by_seed() -> None:
    gens = mix([repeat(invoke("a")), repeat(invoke("b")), repeat(invoke("c"))])
    found = [[o.f for o in run(limit(3000, gens), seed=seed)] for seed in (1, 2)]
    assert found[0] != found[1]
    assert all(900 < n < 1100 for n in Counter(found[0]).values())


def test_any_interleaves_generators_that_take_their_time() -> None:
    gens = [on_threads({i}, delay(20e-9, repeat(invoke(f)))) for i, f in enumerate("ab")]
    found = run(limit(4, any_(*gens)))
    assert Counter((o.f, o.process, o.time) for o in found) == Counter(
        [("a", 0, 0), ("b", 1, 0), ("a", 0, 20), ("b", 1, 20)]
    )


def test_any_takes_the_soonest() -> None:
    slow, fast = delay(1e-6, repeat(invoke("slow"))), delay(1e-7, repeat(invoke("fast")))
    found = run(limit(1100, any_(slow, fast)))
    assert 95 <= Counter(o.f for o in found)["slow"] <= 105


def test_any_starves_no_stagger() -> None:
    gens = [stagger(3, repeat(invoke("a"))), stagger(5, repeat(invoke("b")))]
    found = run(clients(limit(2000, any_(*gens))))
    for f, low, high in (("a", 2.5, 3.5), ("b", 4.5, 5.5)):
        times = [o.time for o in found if o.f == f]
        gaps = [late - early for early, late in pairwise(times)]
        assert low < sum(gaps) / len(gaps) / 1e9 < high


def test_any_breaks_ties_evenly() -> None:
    found = run(limit(3000, any_(*[repeat(invoke(f)) for f in "abc"])))
    assert all(900 < n < 1100 for n in Counter(o.f for o in found).values())


def test_any_tells_every_part_of_every_event() -> None:
    from harness.generator import initial_context, until_ok

    gen = any_(until_ok(invoke("a")), until_ok(invoke("b")))
    assert [o.f for o in run(gen)] in (["a", "b"], ["b", "a"])
    stranger = Operation(0, 0, 7, "ok", "x", None)
    assert gen.update(initial_context(2), stranger) is gen


def test_shortest_any_ends_with_the_first_that_ends() -> None:
    found = run(shortest_any(repeat(invoke("a"), 3), repeat(invoke("b"))))
    assert Counter(o.f for o in found)["a"] == 3
    ending = run(
        shortest_any(delay(1e-6, repeat(invoke("a"), 2)), delay(1e-7, repeat(invoke("b"))))
    )
    assert [o.f for o in ending].count("a") == 2
    assert len(ending) < 20


def test_any_goes_on_until_the_last_ends() -> None:
    found = run(any_(repeat(invoke("a"), 3), repeat(invoke("b"), 7), None))
    assert Counter(o.f for o in found) == {"a": 3, "b": 7}


def test_reserve_of_only_a_default_is_the_default() -> None:
    found = run(limit(3, reserve(integers("a"))))
    assert [(o.f, o.value) for o in found] == [("a", 0), ("a", 1), ("a", 2)]


def test_reserve_gives_each_range_its_own_generator() -> None:
    gen = reserve(2, integers("a"), 3, integers("b"), integers("c"))
    found = run(limit(600, gen), concurrency=5)
    doers = {f: {o.process for o in found if o.f == f} for f in "abc"}
    assert doers == {"a": {0, 1}, "b": {2, 3, 4}, "c": {"nemesis"}}
    for f in "abc":
        assert [o.value for o in found if o.f == f] == list(range(sum(o.f == f for o in found)))
    shares = Counter(o.f for o in found)
    assert shares["a"] == pytest.approx(200, abs=6)
    assert shares["b"] == pytest.approx(300, abs=6)


def test_a_range_that_is_all_busy_does_not_stop_the_others() -> None:
    """The reason for reserve: writes that hang keep no reader from reading."""

    def client(context: Any, operation: Operation) -> Operation:
        from harness.generator.simulate import answered

        return answered(operation, "ok", 10**6 if operation.f == "write" else 10)

    gen = reserve(2, repeat(invoke("write")), repeat(invoke("read")))
    found = run(clients(limit(100, gen)), concurrency=4, client=client)
    assert Counter(o.f for o in found) == {"write": 2, "read": 98}


def test_reserve_counts_within_the_threads_that_it_is_given() -> None:
    gen = on_threads({2, 3}, reserve(1, repeat(invoke("a")), repeat(invoke("b"))))
    found = run(limit(20, gen), concurrency=4)
    assert {(o.f, o.process) for o in found} == {("a", 2), ("b", 3)}


def test_a_range_without_threads_is_exhausted() -> None:
    gen = reserve(2, repeat(invoke("a"), 4), repeat(invoke("never")))
    found = run(clients(gen))
    assert [o.f for o in found] == ["a"] * 4


def test_reserve_passes_updates_to_the_range_of_the_thread_only() -> None:
    from harness.generator import until_ok

    gen = reserve(1, until_ok(repeat(invoke("a"))), until_ok(repeat(invoke("b"))))
    found = run(clients(gen), client=imperfect())
    assert Counter(o.f for o in found) == {"a": 3, "b": 3}


def test_reserve_refuses_what_is_not_pairs_and_a_default() -> None:
    with pytest.raises(UsageError, match="pairs"):
        reserve(1, invoke("a"))
    with pytest.raises(UsageError, match="whole numbers"):
        reserve(-1, invoke("a"), invoke("b"))


def test_a_client_and_a_nemesis_generator_run_side_by_side() -> None:
    gen = limit(60, any_(clients(repeat(invoke("a"))), nemesis(delay(1e-8, repeat(invoke("cut"))))))
    found = simulate(gen)
    assert {o.process for o in found if o.f == "cut"} == {"nemesis"}
    assert {o.f for o in found if o.process == "nemesis"} == {"cut"}
    assert Counter(o.f for o in found)["cut"] > 10
