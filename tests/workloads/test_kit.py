"""What the workloads share: options that refuse what makes no sense, drawing, groups of threads."""

from __future__ import annotations

from typing import Any

import pytest

from harness.contract.workload import WorkloadOptions
from harness.errors import UsageError
from harness.generator import bind, clients, initial_context, invoke, limit
from harness.generator.simulate import perfect, simulate
from harness.history.operation import Operation
from workloads.kit import (
    Draw,
    Option,
    completed,
    draws,
    flag,
    groups_of,
    seconds,
    share,
    whole,
    whole_or_none,
    with_last,
    word,
)


def given(concurrency: int = 6, **extra: Any) -> WorkloadOptions:
    return WorkloadOptions(nodes=3, concurrency=concurrency, seed=0, extra=extra)


ROWS = whole("rows", 4, "rows", least=2)
SHARE = share("share", 0.5, "a share")
PAUSE = seconds("pause_s", 2.0, "a pause")
ORDER = word("order", "up", "which way", one_of=("up", "down"))


@pytest.mark.parametrize(
    ("option", "value"),
    [
        (ROWS, 1),
        (ROWS, 0),
        (SHARE, -0.1),
        (SHARE, 1.1),
        (SHARE, float("nan")),
        (PAUSE, -1.0),
        (ORDER, "sideways"),
        (whole_or_none("rows", "rows"), 0),
    ],
)
def test_a_value_that_makes_no_sense_is_refused_by_the_names_of_both(
    option: Option[Any], value: Any
) -> None:
    with pytest.raises(UsageError, match=f"^toy: {option.name} "):
        option.of(given(**{option.name: value}), "toy")


def test_what_is_not_given_is_the_default_and_the_ends_of_a_range_belong_to_it() -> None:
    assert ROWS.of(given(rows=None), "toy") == 4
    assert ROWS.of(given(rows=2), "toy") == 2
    assert [SHARE.of(given(share=end), "toy") for end in (0, 1)] == [0, 1]
    assert flag("yes", True, "yes").of(given(yes=False), "toy") is False
    assert whole_or_none("rows", "rows").of(given(), "toy") is None


def test_the_threads_must_make_whole_groups() -> None:
    assert groups_of(3, "toy", given(concurrency=6)) == 2
    with pytest.raises(UsageError, match=r"(?s)3 threads on every key.*--concurrency 6 or 9$"):
        groups_of(3, "toy", given(concurrency=7))
    with pytest.raises(UsageError, match=r"--concurrency 3$"):
        groups_of(3, "toy", given(concurrency=2))


def counting(draw: Draw, so_far: int) -> tuple[Operation, int]:
    return invoke("count", [so_far, draw.random.below(1000), draw.process]), so_far + 1


def test_what_is_drawn_knows_what_came_before_and_who_will_do_it() -> None:
    history = simulate(clients(limit(20, draws(counting, 0))), perfect, concurrency=3)
    asked = [operation for operation in history if operation.type == "invoke"]
    assert [operation.value[0] for operation in asked] == list(range(20))
    assert all(operation.value[2] == operation.process for operation in asked)
    assert len({operation.value[1] for operation in asked}) > 10


def test_an_operation_that_is_discarded_is_drawn_again_alike() -> None:
    generator, context = bind(draws(counting, 0), 5), initial_context(2, nemesis=False)
    first, again = generator.op(context), generator.op(context)
    assert isinstance(first, tuple)
    assert isinstance(again, tuple)
    assert first[0] == again[0]


def test_nothing_is_drawn_while_no_thread_is_free() -> None:
    context = initial_context(2, nemesis=False)
    step = bind(draws(counting, 0), 5).op(context.restrict(0))
    assert not isinstance(step, tuple)


def test_the_keys_of_the_final_reads_are_each_read_once() -> None:
    assert with_last([1, 9, 8], 9, 3) == [1, 7, 8, 9]
    assert with_last([], -1, 3) == []


def test_a_completion_is_of_its_invocations_process_and_kind() -> None:
    asked = Operation(4, 7, 2, "invoke", "write", 1)
    done = completed(asked, "fail", 1, ["conflict"])
    assert (done.process, done.f, done.type, done.error) == (2, "write", "fail", ["conflict"])
