"""Simulation: equal seeds give equal bytes, in any process; and what every history obeys."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.generator import (
    GeneratorError,
    any_,
    clients,
    concurrent_generator,
    cycle,
    each_thread,
    function,
    invoke,
    limit,
    mix,
    nemesis,
    phases,
    repeat,
    reserve,
    stagger,
    time_limit,
    until_ok,
)
from harness.generator.simulate import (
    Client,
    crashing,
    erratic,
    imperfect,
    invocations,
    perfect,
    quick,
    simulate,
)
from harness.history.operation import Operation

ROOT = Path(__file__).parents[3]


def full() -> Any:
    """A generator with all that draws: keys, reserve, mix, stagger, functions, the nemesis."""
    write = function(lambda context: invoke("write", context.random.below(5)))
    cas = function(lambda c: invoke("cas", [c.random.below(5), c.random.below(5)]))
    keys = concurrent_generator(
        2, count(), lambda k: reserve(1, repeat(invoke("read")), mix([write, cas, cas])), infos=3
    )
    faults = nemesis(stagger(1e-6, cycle([invoke("start"), invoke("stop")])))
    return time_limit(1e-4, any_(clients(stagger(1e-7, keys)), faults))


def as_bytes(history: list[Operation]) -> bytes:
    return b"\n".join(map(msgspec.json.encode, history))


def test_equal_seeds_give_equal_bytes_and_others_do_not() -> None:
    first, again, other = (
        as_bytes(simulate(full(), erratic(1), concurrency=4, seed=seed)) for seed in (5, 5, 6)
    )
    assert first == again
    assert first != other
    assert first.count(b"\n") > 500


def test_one_generator_may_be_run_twice() -> None:
    gen = full()
    runs = [as_bytes(simulate(gen, erratic(1), concurrency=4, seed=5)) for _ in range(2)]
    assert runs[0] == runs[1] == as_bytes(simulate(full(), erratic(1), concurrency=4, seed=5))


@pytest.mark.slow
def test_another_interpreter_gives_the_same_bytes() -> None:
    """Nothing hangs on the order of a set or the hash of a string."""
    program = (
        "import sys; sys.path.insert(0, sys.argv[1]); import test_simulate as t; "
        "h = t.simulate(t.full(), t.erratic(1), concurrency=4, seed=5); "
        "sys.stdout.buffer.write(t.as_bytes(h))"
    )
    found = set()
    for hash_seed in ("1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(ROOT)}
        command = [sys.executable, "-c", program, str(Path(__file__).parent)]
        found.add(subprocess.run(command, env=environment, capture_output=True, check=True).stdout)
    assert found == {as_bytes(simulate(full(), erratic(1), concurrency=4, seed=5))}


def test_clients_answer_as_they_are_called() -> None:
    gen = limit(6, clients(repeat(invoke("a"))))
    assert {o.time for o in simulate(gen, quick)} == {0}
    assert {o.type for o in simulate(gen, perfect)} == {"invoke", "ok"}
    assert {o.type for o in simulate(gen, crashing)} == {"invoke", "info"}
    mixed = [o.type for o in simulate(gen, imperfect()) if o.type != "invoke"]
    assert sorted(mixed) == ["fail", "fail", "info", "info", "ok", "ok"]


def test_a_generator_that_waits_for_nothing_is_told() -> None:
    from harness.generator import PENDING

    with pytest.raises(GeneratorError, match="waits and no operation is open"):
        simulate(lambda: PENDING)


def test_an_endless_generator_is_told() -> None:
    with pytest.raises(GeneratorError, match="did not end within 100 records"):
        simulate(repeat(invoke("a")), most=100)


def leaf() -> st.SearchStrategy[Any]:
    return st.sampled_from(["r", "w", "c"]).flatmap(
        lambda f: st.sampled_from(
            [
                invoke(f),
                repeat(invoke(f), 7),
                limit(5, function(lambda c, f=f: invoke(f, c.random.below(9)))),
                None,
            ]
        )
    )


def wrapped(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    some = st.lists(inner, min_size=1, max_size=3)
    one: list[Callable[[Any], Any]] = [
        lambda g: limit(4, g),
        lambda g: stagger(2e-8, g),
        lambda g: until_ok(g),
        lambda g: each_thread(g),
        lambda g: time_limit(3e-7, g),
        lambda g: cycle(g, 2),
        lambda g: clients(g),
    ]
    many: list[Callable[[list[Any]], Any]] = [
        lambda gs: phases(*gs),
        lambda gs: mix(gs),
        lambda gs: any_(*gs),
        lambda gs: list(gs),
        lambda gs: reserve(1, gs[0], gs[-1]),
    ]
    return st.one_of(
        st.builds(lambda make, g: make(g), st.sampled_from(one), inner),
        st.builds(lambda make, gs: make(gs), st.sampled_from(many), some),
    )


GENERATORS = st.recursive(leaf(), wrapped, max_leaves=6)
CLIENTS: list[Callable[[], Client]] = [
    lambda: quick,
    lambda: perfect,
    lambda: crashing,
    imperfect,
    lambda: erratic(3, 50),
]


@settings(max_examples=100)
@given(GENERATORS, st.sampled_from(CLIENTS), st.integers(1, 6), st.integers(0, 3))
def test_every_history_obeys_the_rules(
    gen: Any, client: Callable[[], Client], concurrency: int, seed: int
) -> None:
    history = simulate(gen, client(), concurrency=concurrency, seed=seed)
    open_at: dict[Any, Operation] = {}
    retired: set[Any] = set()
    for index, operation in enumerate(history):
        assert operation.index == index
        assert index == 0 or operation.time >= history[index - 1].time
        invoked = open_at.pop(operation.process, None)
        if invoked is None:
            assert operation.type == ("invoke" if operation.is_client else "info")
            assert operation.process not in retired
            open_at[operation.process] = operation
        else:
            assert (operation.f, operation.type in ("ok", "fail", "info")) == (invoked.f, True)
            if operation.is_client and operation.type == "info":
                retired.add(operation.process)
    assert not open_at
    again = simulate(gen, client(), concurrency=concurrency, seed=seed)
    assert as_bytes(history) == as_bytes(again)


@settings(max_examples=50)
@given(st.lists(st.integers(1, 9), min_size=1, max_size=4), st.integers(1, 5))
def test_no_phase_begins_before_the_one_before_it_has_ended(
    sizes: list[int], concurrency: int
) -> None:
    gen = phases(*[repeat(invoke(str(i)), n) for i, n in enumerate(sizes)])
    history = simulate(gen, erratic(9, 100), concurrency=concurrency)
    assert [int(o.f) for o in history] == sorted(int(o.f) for o in history)
    assert [int(o.f) for o in invocations(history)] == [
        i for i, n in enumerate(sizes) for _ in range(n)
    ]


@settings(max_examples=50)
@given(st.lists(st.integers(0, 4), max_size=3), st.integers(1, 9))
def test_every_operation_of_a_reserve_is_done_in_its_range(
    sizes: list[int], concurrency: int
) -> None:
    pairs = [part for i, n in enumerate(sizes) for part in (n, repeat(invoke(str(i)), 20))]
    gen = clients(reserve(*pairs, repeat(invoke("rest"), 20)))
    allowed: dict[str, set[int]] = {}
    threads = list(range(concurrency))
    for i, n in enumerate(sizes):
        allowed[str(i)], threads = set(threads[:n]), threads[n:]
    allowed["rest"] = set(threads)
    for operation in simulate(gen, erratic(2, 30), concurrency=concurrency):
        assert isinstance(operation.process, int)
        assert operation.process % concurrency in allowed[operation.f]
