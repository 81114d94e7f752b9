"""What becomes a generator by itself: nothing, templates, sequences, functions, promises."""

from __future__ import annotations

from concurrent.futures import Future
from itertools import count
from typing import Any

import pytest

from harness.errors import UsageError
from harness.generator import (
    NOTHING,
    PENDING,
    Context,
    any_,
    clients,
    deferred,
    function,
    initial_context,
    invoke,
    lift,
    limit,
    on_threads,
    on_update,
    phases,
    repeat,
    until_ok,
)
from harness.generator.simulate import answered, invocations, perfect, quick, simulate
from harness.history.operation import Operation


def values(gen: Any, client: Any = perfect) -> list[Any]:
    return [operation.value for operation in invocations(simulate(gen, client))]


def test_nothing_gives_nothing() -> None:
    assert simulate(None) == []
    assert lift(None) is NOTHING


def test_a_template_is_emitted_once_with_time_and_process_filled_in() -> None:
    (operation,) = invocations(simulate(invoke("write", 2)))
    assert operation == Operation(0, 0, 0, "invoke", "write", 2)


def test_six_operations_on_three_threads_take_two_rounds() -> None:
    found = invocations(simulate([invoke("write")] * 6))
    assert [(o.time, o.f) for o in found] == [(0, "write")] * 3 + [(10, "write")] * 3
    assert {o.process for o in found[:3]} == {o.process for o in found[3:]} == {0, 1, "nemesis"}


def test_a_template_is_pending_while_all_threads_are_busy() -> None:
    context = initial_context(2)
    for thread in range(3):
        context = context.busy(thread, 0)
    assert lift(invoke("write")).op(context) is PENDING


def test_what_the_nemesis_does_is_info_at_both_ends() -> None:
    history = simulate(on_threads({"nemesis"}, invoke("start")))
    assert [(o.process, o.type) for o in history] == [("nemesis", "info")] * 2


def test_sequences_give_their_elements_in_order_nested_or_not() -> None:
    assert values([[invoke("w", 1), invoke("w", 2)], [[invoke("w", 3)], invoke("w", 4)], None]) == [
        1,
        2,
        3,
        4,
    ]


def test_an_endless_iterable_is_read_no_further_than_needed() -> None:
    source = count()
    assert values(limit(3, (invoke("w", i) for i in source))) == [0, 1, 2]
    assert next(source) <= 4


def test_updates_reach_the_present_element_of_a_sequence() -> None:
    answers = iter(["fail", "fail", "ok", "ok", "ok"])

    def client(context: Context, operation: Operation) -> Operation:
        return answered(operation, next(answers), 10)

    gen = clients([until_ok(repeat(invoke("read"))), invoke("done")])
    history = simulate(gen, client)
    assert [(o.time, o.f, o.type) for o in history] == [
        (0, "read", "invoke"),
        (0, "read", "invoke"),
        (10, "read", "fail"),
        (10, "read", "invoke"),
        (10, "read", "fail"),
        (10, "read", "invoke"),
        (20, "read", "ok"),
        (20, "done", "invoke"),
        (20, "read", "ok"),
        (30, "done", "ok"),
    ]


def test_a_function_that_gives_none_is_exhausted() -> None:
    assert simulate(lambda: None) == []


def test_a_function_is_called_for_every_operation_and_draws_anew() -> None:
    gen = limit(50, function(lambda context: invoke("write", context.random.below(10))))
    drawn = values(gen)
    assert len(drawn) == 50
    assert set(drawn) == set(range(10))


def test_what_a_function_gives_is_emitted_to_its_end_first() -> None:
    """An endless generator made by a function is never left."""
    gen = limit(20, function(lambda context: repeat(invoke("write", context.random.below(1000)))))
    assert len(set(values(gen))) == 1
    twos = limit(20, function(lambda context: [invoke("w", context.random.below(10**9))] * 2))
    drawn = values(twos)
    assert drawn[::2] == drawn[1::2]
    assert len(set(drawn)) == 10


@pytest.mark.slow
def test_functions_that_give_generators_do_not_nest_for_ever() -> None:
    gen = limit(20_000, function(lambda context: [invoke("a"), invoke("b")]))
    assert len(invocations(simulate(gen, quick))) == 20_000


def test_a_function_is_not_asked_while_no_thread_is_free() -> None:
    asked: list[int] = []

    def fn(context: Context) -> Operation:
        asked.append(context.free)
        return invoke("a")

    simulate(limit(7, fn))
    assert len(asked) > 0
    assert 0 not in asked


def test_a_promise_is_pending_until_it_is_kept() -> None:
    promise: Future[Operation] = Future()

    def keep(this: Any, context: Context, event: Operation) -> Any:
        if event.type == "ok" and event.f == "write" and not promise.done():
            promise.set_result(invoke("confirm", event.value))
        return this

    work = [invoke("read"), invoke("write", "x"), repeat(invoke("hold"))]
    gen = on_threads({0, 1}, limit(40, on_update(keep, any_(promise, work))))
    found = invocations(simulate(gen))
    names = [operation.f for operation in found]
    assert names[:2] == ["read", "write"]
    assert names.count("confirm") == 1
    (confirmed,) = [o for o in found if o.f == "confirm"]
    assert confirmed.time >= 10
    assert confirmed.value == "x"


def test_a_deferred_generator_is_made_when_its_turn_has_come() -> None:
    made_at: list[tuple[int, int]] = []

    def make(context: Context) -> Any:
        made_at.append((context.time_ns, context.free))
        return limit(3, repeat(invoke("late")))

    found = invocations(simulate(clients(phases(invoke("a"), invoke("b"), deferred(make)))))
    assert [(o.f, o.time) for o in found] == [
        ("a", 0),
        ("b", 10),
        ("late", 20),
        ("late", 20),
        ("late", 30),
    ]
    assert made_at == [(20, 0b11)]


def test_what_cannot_be_a_generator_is_refused_with_a_hint() -> None:
    with pytest.raises(UsageError, match="7 is not a generator"):
        lift(7)
    with pytest.raises(UsageError, match="'read' is not a generator"):
        lift("read")
