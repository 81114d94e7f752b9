"""The laws of clients, nemesis, on_threads, each_thread, each_process and the limits."""

from __future__ import annotations

from collections import Counter
from itertools import count
from typing import Any

import pytest

from harness.errors import UsageError
from harness.generator import (
    NOTHING,
    any_,
    clients,
    concurrency_limit,
    delay,
    each_process,
    each_thread,
    initial_context,
    invoke,
    limit,
    nemesis,
    on_threads,
    process_limit,
    repeat,
)
from harness.generator.simulate import crashing, imperfect, invocations, perfect, simulate
from harness.history.operation import Operation


def run(gen: Any, concurrency: int = 2, client: Any = perfect) -> list[Operation]:
    return invocations(simulate(gen, client, concurrency=concurrency))


@pytest.mark.parametrize(
    "made",
    [
        clients(None),
        nemesis(None),
        clients(None, None),
        on_threads(lambda thread: True, None),
        each_thread(None),
        each_process(None),
        process_limit(2, None),
        process_limit(0, [invoke("x")]),
        concurrency_limit(2, None),
        concurrency_limit(0, [invoke("x")]),
    ],
)
def test_combinators_of_nothing_are_nothing(made: object) -> None:
    assert made is NOTHING


def test_clients_leaves_out_the_nemesis() -> None:
    assert {o.process for o in run(limit(5, clients(repeat(invoke("a")))))} == {0, 1}


def test_nemesis_leaves_out_the_clients() -> None:
    assert {o.process for o in run(limit(5, nemesis(repeat(invoke("a")))))} == {"nemesis"}


def test_the_two_generator_form_sends_each_to_its_own() -> None:
    for gen in (
        clients(repeat(invoke("c"), 9), repeat(invoke("n"), 3)),
        nemesis(repeat(invoke("n"), 3), repeat(invoke("c"), 9)),
    ):
        found = Counter((o.process == "nemesis", o.f) for o in run(gen))
        assert found == {(False, "c"): 9, (True, "n"): 3}


def test_on_threads_takes_a_set_or_a_predicate() -> None:
    for which in ({1}, lambda thread: thread == 1):
        assert {o.process for o in run(limit(5, on_threads(which, repeat(invoke("a")))))} == {1}


def test_on_threads_may_be_used_again_with_another_concurrency() -> None:
    gen = on_threads({"nemesis"}, repeat(invoke("a"), 3))
    assert {o.process for o in run(gen, concurrency=1)} == {"nemesis"}
    assert simulate(gen, context=initial_context(2, nemesis=False)) == []


def test_on_threads_keeps_a_thread_when_its_process_changes() -> None:
    found = run(limit(4, on_threads({1}, repeat(invoke("a")))), client=crashing)
    assert [o.process for o in found] == [1, 3, 5, 7]


def test_a_set_of_threads_that_is_empty_has_nothing_to_do() -> None:
    """Else it would be pending for ever, and the run with it."""
    gen = any_(on_threads({77}, repeat(invoke("never"))), repeat(invoke("a"), 3))
    assert [o.f for o in run(gen)] == ["a"] * 3


def test_each_thread_runs_its_own_copy() -> None:
    found = run(each_thread([invoke("a"), invoke("b")]))
    assert {(o.time, o.process, o.f) for o in found} == {
        (time_ns, process, f)
        for time_ns, f in ((0, "a"), (10, "b"))
        for process in (0, 1, "nemesis")
    }
    assert len(found) == 6


def test_each_thread_collapses_when_every_copy_is_exhausted() -> None:
    assert each_thread(limit(0, invoke("read"))) is NOTHING
    assert each_thread(lambda: None).op(initial_context(2)) is None


def test_each_thread_draws_differently_on_every_thread() -> None:
    def write(context: Any) -> Operation:
        return invoke("w", context.random.below(10**9))

    assert len({o.value for o in run(each_thread(limit(3, write)))}) == 9


def test_each_thread_tells_a_copy_only_of_its_own_thread() -> None:
    from harness.generator import until_ok

    found = run(clients(each_thread(until_ok(repeat(invoke("a"))))), client=imperfect())
    assert Counter(o.process % 2 for o in found) == {0: 3, 1: 3}  # type: ignore[operator]


def test_each_process_begins_anew_with_every_process() -> None:
    steps = [invoke("connect"), invoke("work")]
    found = run(clients(limit(8, each_process(steps))), client=crashing)
    assert {o.f for o in found} == {"connect"}
    assert len({o.process for o in found}) == 8
    calm = run(clients(each_process(steps)))
    assert Counter((o.process, o.f) for o in calm) == Counter(
        [(p, f) for p in (0, 1) for f in ("connect", "work")]
    )


def test_process_limit_counts_every_process_that_could_have_taken_part() -> None:
    values = (invoke("w", i) for i in count())
    found = run(clients(process_limit(5, values)), client=crashing)
    assert [o.value for o in found] == list(range(len(found)))
    assert len({o.process for o in found}) <= 5
    assert len(found) == 5


def test_concurrency_limit_keeps_the_rest_idle() -> None:
    gen = limit(3, concurrency_limit(1, clients(any_(repeat(invoke("w")), repeat(invoke("r"))))))
    kinds = [o.type for o in simulate(gen)]
    assert kinds == ["invoke", "ok"] * 3


def test_concurrency_limit_allows_as_many_as_it_says() -> None:
    history = simulate(limit(40, concurrency_limit(3, clients(repeat(invoke("a"))))), concurrency=8)
    is_open, most = 0, 0
    for operation in history:
        is_open += 1 if operation.type == "invoke" else -1
        most = max(most, is_open)
    assert most == 3


def test_a_negative_limit_is_refused() -> None:
    with pytest.raises(UsageError, match="at least 0"):
        concurrency_limit(-1, invoke("a"))


def test_a_busy_nemesis_holds_up_no_client() -> None:
    gen = clients(repeat(invoke("a"), 20), delay(1e-8, repeat(invoke("n"), 2)))
    assert Counter(o.f for o in run(gen)) == {"a": 20, "n": 2}
