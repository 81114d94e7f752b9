"""The laws of map, f_map, filter, on_update, ignore_updates, trace, validate and the rest."""

from __future__ import annotations

from itertools import count
from typing import Any

import msgspec
import pytest

from harness.errors import UsageError
from harness.generator import (
    NOTHING,
    Combinator,
    Context,
    GeneratorError,
    clients,
    f_map,
    filter_,
    friendly_exceptions,
    ignore_updates,
    initial_context,
    invoke,
    limit,
    map_,
    on_update,
    repeat,
    trace,
    until_ok,
    validate,
)
from harness.generator.simulate import invocations, simulate
from harness.history.operation import Operation


def run(gen: Any) -> list[Operation]:
    return invocations(simulate(gen))


def increased(operation: Operation) -> Operation:
    return msgspec.structs.replace(operation, value=operation.value + 1)


@pytest.mark.parametrize(
    "made",
    [
        map_(increased, None),
        f_map({}, None),
        filter_(bool, None),
        ignore_updates(None),
        trace("k", None),
        validate(None),
        friendly_exceptions(None),
    ],
)
def test_combinators_of_nothing_are_nothing(made: object) -> None:
    assert made is NOTHING


def test_map_changes_operations_with_or_without_the_context() -> None:
    assert run(map_(increased, invoke("w", 1)))[0].value == 2

    def stamped(operation: Operation, context: Context) -> Operation:
        return msgspec.structs.replace(operation, value=[operation.value, context.time_ns])

    assert [o.value for o in run(clients(map_(stamped, [invoke("w", 1)] * 3)))] == [
        [1, 0],
        [1, 0],
        [1, 10],
    ]


def test_map_draws_from_a_stream_of_its_own() -> None:
    def drawn(operation: Operation, context: Context) -> Operation:
        return msgspec.structs.replace(operation, value=context.random.below(10**9))

    gen = limit(20, map_(drawn, repeat(invoke("w"))))
    values = [o.value for o in run(gen)]
    assert len(set(values)) == 20
    assert values == [o.value for o in run(gen)]


def test_where_a_draw_could_not_be_repeated_it_is_refused() -> None:
    def careless(this: Any, context: Context, event: Operation) -> Any:
        return invoke("w", context.random.below(5))

    with pytest.raises(UsageError, match="for the functions that make or map operations"):
        simulate(on_update(careless, invoke("a")))


def test_f_map_renames_and_leaves_the_rest() -> None:
    found = run(f_map({"a": "b"}, [invoke("a", 2), invoke("c", 3)]))
    assert [(o.f, o.value) for o in found] == [("b", 2), ("c", 3)]


def test_filter_keeps_what_matches() -> None:
    ten = limit(10, (invoke("w", i) for i in count()))
    assert [o.value for o in run(filter_(lambda o: o.value % 2 == 0, ten))] == [0, 2, 4, 6, 8]


def test_on_update_can_replace_the_generator() -> None:
    def swapped(this: Any, context: Context, event: Operation) -> Any:
        return invoke("after") if event.type == "ok" else this

    found = run(clients(on_update(swapped, repeat(invoke("before")))))
    assert [o.f for o in found] == ["before", "before", "after"]


def test_ignore_updates_is_deaf() -> None:
    gen = clients(limit(9, ignore_updates(until_ok(repeat(invoke("a"))))))
    assert len(run(gen)) == 9


def test_trace_tells_and_changes_nothing() -> None:
    told: list[str] = []
    gen = limit(3, until_ok(repeat(invoke("a"))))
    assert simulate(trace("here", gen, told.append)) == simulate(gen)
    assert any(line.startswith("here op at 0 ns") for line in told)
    assert any(line.startswith("here update at 10 ns") for line in told)


class Faulty(Combinator, frozen=True, gc=False):
    """Gives whatever it was made with."""

    step: Any

    def op(self, context: Context) -> Any:
        return self.step


@pytest.mark.parametrize(
    ("step", "complaint"),
    [
        ("nonsense", "should be an operation and a generator"),
        (("nonsense", NOTHING), "should be an Operation"),
        ((Operation(-1, 0, 0, "ok", "a", None), NOTHING), "not 'ok'"),
        ((Operation(-1, 0, 0, "invoke", "a", None), None), "second should be a generator"),
        ((Operation(-1, 0, 7, "invoke", "a", None), NOTHING), "process 7 is not free"),
        ((Operation(-1, -5, 0, "invoke", "a", None), NOTHING), "lies before now"),
    ],
)
def test_validate_says_what_is_wrong(step: Any, complaint: str) -> None:
    with pytest.raises(GeneratorError, match=complaint):
        validate(Faulty(step)).op(initial_context(2))


def test_validate_refuses_a_busy_process() -> None:
    step = (Operation(-1, 0, 0, "invoke", "a", None), NOTHING)
    with pytest.raises(GeneratorError, match="process 0 is not free"):
        validate(Faulty(step)).op(initial_context(2).busy(0, 0))


def test_validate_passes_what_is_right() -> None:
    gen = limit(5, repeat(invoke("a")))
    assert simulate(validate(gen)) == simulate(gen)


def test_an_exception_is_told_with_what_was_asked() -> None:
    def broken(context: Context) -> Operation:
        raise KeyError("oops")

    with pytest.raises(GeneratorError, match=r"KeyError: 'oops'.*asked for an operation at 0 ns"):
        friendly_exceptions(broken).op(initial_context(2))

    def deaf(this: Any, context: Context, event: Operation) -> Any:
        raise ValueError("no")

    with pytest.raises(GeneratorError, match=r"ValueError: no when it was told of"):
        simulate(friendly_exceptions(on_update(deaf, invoke("a"))))
