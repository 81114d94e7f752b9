"""Independent keys: groups of threads, values as pairs, keys that end."""

from __future__ import annotations

from collections import defaultdict
from itertools import count
from typing import Any

import msgspec
import pytest

from harness.errors import UsageError
from harness.generator import (
    NOTHING,
    Context,
    clients,
    concurrent_generator,
    invoke,
    limit,
    on_update,
    repeat,
    sequential_generator,
    until_ok,
)
from harness.generator.simulate import crashing, invocations, perfect, simulate
from harness.history.operation import Operation


def run(gen: Any, concurrency: int = 4, client: Any = perfect) -> list[Operation]:
    return invocations(simulate(gen, client, concurrency=concurrency))


def by_key(found: list[Operation]) -> dict[Any, list[Operation]]:
    keys: dict[Any, list[Operation]] = defaultdict(list)
    for operation in found:
        keys[operation.value[0]].append(operation)
    return keys


def test_sequential_keys_come_one_after_the_other() -> None:
    gen = sequential_generator("ab", lambda k: limit(3, (invoke("w", i) for i in count())))
    assert [o.value for o in run(gen)] == [[k, i] for k in "ab" for i in range(3)]


def test_concurrent_keys_have_groups_of_their_own() -> None:
    gen = concurrent_generator(2, count(), lambda k: limit(10, repeat(invoke("r"))))
    keys = by_key(run(limit(100, gen)))
    groups = [{o.process // 2 for o in operations} for operations in keys.values()]  # type: ignore[operator]
    assert all(len(group) == 1 for group in groups)
    assert sorted(keys) == list(range(len(keys)))
    assert {frozenset(group) for group in groups} == {frozenset({0}), frozenset({1})}


def test_a_key_that_is_exhausted_gives_its_threads_to_the_next() -> None:
    gen = concurrent_generator(2, range(5), lambda k: limit(k + 1, repeat(invoke("r"))))
    assert {k: len(v) for k, v in by_key(run(gen)).items()} == {k: k + 1 for k in range(5)}


def test_a_key_whose_generator_is_empty_is_passed_over() -> None:
    gen = concurrent_generator(1, range(6), lambda k: invoke("r") if k % 2 else None)
    assert sorted(by_key(run(gen))) == [1, 3, 5]


def test_fewer_keys_than_groups_leave_threads_idle() -> None:
    gen = concurrent_generator(1, [7], lambda k: limit(5, repeat(invoke("r"))))
    assert [o.value for o in run(gen)] == [[7, None]] * 5


def test_a_key_ends_after_so_many_operations() -> None:
    gen = concurrent_generator(2, range(3), lambda k: repeat(invoke("r")), operations=7)
    assert {k: len(v) for k, v in by_key(run(gen)).items()} == {0: 7, 1: 7, 2: 7}


def test_a_key_ends_after_so_many_infos() -> None:
    gen = concurrent_generator(2, range(3), lambda k: repeat(invoke("r")), infos=4)
    keys = by_key(run(gen, client=crashing))
    assert all(4 <= len(v) <= 5 for v in keys.values())  # one more may be open by then
    assert len(keys) == 3


def test_the_generator_of_a_key_sees_plain_values_and_only_its_own() -> None:
    heard: list[tuple[Any, Any]] = []

    def fgen(key: int) -> Any:
        def listen(this: Any, context: Context, event: Operation) -> Any:
            heard.append((key, event.value))
            return this

        return on_update(listen, limit(4, (invoke("w", key * 100 + i) for i in count())))

    run(concurrent_generator(2, range(4), fgen))
    assert heard
    assert all(value // 100 == key for key, value in heard)


def test_a_late_answer_of_an_old_key_does_not_reach_the_new_one() -> None:
    """The last operation of a key is still open when its threads get the next key."""
    gen = concurrent_generator(2, range(2), lambda k: until_ok(limit(2, repeat(invoke("r")))))

    def client(context: Context, operation: Operation) -> Operation:
        from harness.generator.simulate import answered

        return answered(operation, "fail", 5 if operation.process else 100)

    keys = by_key(run(gen, concurrency=2, client=client))
    assert {k: len(v) for k, v in keys.items()} == {0: 2, 1: 2}


def test_threads_that_cannot_be_divided_are_refused_with_what_fits() -> None:
    gen = concurrent_generator(4, count(), lambda k: invoke("r"))
    with pytest.raises(UsageError, match="a concurrency of 4 or 8"):
        run(gen, concurrency=6)
    with pytest.raises(UsageError, match="a concurrency of 4"):
        run(gen, concurrency=3)
    with pytest.raises(UsageError, match="at least one thread"):
        concurrent_generator(0, count(), lambda k: None)


def test_the_nemesis_takes_no_part() -> None:
    gen = limit(40, concurrent_generator(2, count(), lambda k: repeat(invoke("r"))))
    assert "nemesis" not in {o.process for o in run(gen)}


def test_no_keys_are_nothing_to_do() -> None:
    assert run(concurrent_generator(2, [], lambda k: invoke("r"))) == []
    assert run(sequential_generator([], lambda k: invoke("r"))) == []
    assert run(clients(NOTHING)) == []


def test_each_key_draws_from_its_own_stream() -> None:
    def fgen(key: int) -> Any:
        return limit(3, lambda context: invoke("w", context.random.below(10**9)))

    keys = by_key(run(concurrent_generator(1, range(4), fgen)))
    drawn = [tuple(o.value[1] for o in operations) for operations in keys.values()]
    assert len(set(drawn)) == 4
    swapped = by_key(run(concurrent_generator(2, range(4), fgen)))
    assert [tuple(o.value[1] for o in swapped[k]) for k in sorted(swapped)] == [
        tuple(o.value[1] for o in keys[k]) for k in sorted(keys)
    ]


def test_what_was_refused_does_not_use_up_a_key_and_what_a_server_answered_does() -> None:
    """A fail with an error was refused or never sent; without one it is the server's answer."""

    def client(error: object) -> Any:
        def complete(context: Context, invocation: Operation) -> Operation:
            failed = msgspec.structs.replace(
                invocation, type="fail", time=invocation.time + 10, error=error
            )
            even = invocation.value[1] % 2 == 0
            return failed if even else perfect(context, invocation)

        return complete

    gen = limit(
        100,
        concurrent_generator(
            2, count(), lambda k: (invoke("w", i) for i in count()), operations=10
        ),
    )
    refused = by_key(run(gen, concurrency=2, client=client("refused")))
    answered = by_key(run(gen, concurrency=2, client=client(None)))
    assert all(18 <= len(each) <= 21 for each in list(refused.values())[:-1])
    assert {len(each) for each in list(answered.values())[:-1]} == {10}
