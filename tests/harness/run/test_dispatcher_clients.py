"""What a client does, raises or answers, and what the history then says."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest

from harness.client import Failed, Indeterminate
from harness.generator import clients, invoke, limit, on_threads, repeat
from harness.history.operation import Operation
from tests.harness.run.dispatching import Bench, Client, Invoke, carried_out


def test_after_info_the_process_is_replaced_on_the_same_node() -> None:
    async def lose(client: Any, operation: Operation) -> Operation:
        raise Indeterminate("reset by peer")

    async def main() -> None:
        bench = Bench(lose)
        records = await bench.run(on_threads({1}, limit(3, repeat(invoke("w")))))
        assert [(o.process, o.type, o.error) for o in records] == [
            (process, kind, error)
            for process in (1, 3, 5)
            for kind, error in (("invoke", None), ("info", "reset by peer"))
        ]
        assert [client.addresses for client in bench.opened] == [["b"]] * 3
        assert [client.closed for client in bench.opened] == [1, 1, 1]
        assert bench.dispatcher.last_error == "w: reset by peer"

    asyncio.run(main())


def test_failed_is_fail_and_keeps_process_and_client() -> None:
    async def refuse(client: Any, operation: Operation) -> Operation:
        raise Failed(["refused", 7])

    async def main() -> None:
        bench = Bench(refuse, concurrency=1)
        records = await bench.run(limit(3, repeat(invoke("w"))))
        assert {(o.process, o.type) for o in records} == {(0, "invoke"), (0, "fail")}
        assert records[1].error == ["refused", 7]
        assert len(bench.opened) == 1

    asyncio.run(main())


async def raise_(client: Any, operation: Operation) -> Operation:
    raise ZeroDivisionError("of mine")


async def cancelled_inside(client: Any, operation: Operation) -> Operation:
    raise asyncio.CancelledError


async def answer_for_another(client: Any, operation: Operation) -> Operation:
    return msgspec.structs.replace(operation, type="ok", process=99)


async def answer_with_an_invocation(client: Any, operation: Operation) -> Operation:
    return operation


async def answer_nothing(client: Any, operation: Operation) -> None:
    return None


async def answer_what_is_not_json(client: Any, operation: Operation) -> Operation:
    return msgspec.structs.replace(operation, type="ok", value=object())


@pytest.mark.parametrize(
    ("do", "told"),
    [
        (raise_, "ZeroDivisionError: of mine"),
        (cancelled_inside, "CancelledError"),
        (answer_for_another, "by process 99"),
        (answer_with_an_invocation, "answered with invoke"),
        (answer_nothing, "answered None"),
        (answer_what_is_not_json, "TypeError"),
    ],
)
def test_whatever_else_a_client_does_is_info_with_what_it_was(do: Invoke, told: str) -> None:
    records = carried_out(limit(3, clients(repeat(invoke("w", 1)))), do)
    completions = [o for o in records if o.type != "invoke"]
    assert len(completions) == 3
    for completion in completions:
        assert completion.type == "info"
        assert told in completion.error
        assert completion.value == 1


def test_a_client_that_cannot_be_opened_fails_and_is_tried_anew() -> None:
    class Refusing(Client):
        async def open(self, address: str) -> None:
            raise Failed("connection refused")

    async def main() -> None:
        bench = Bench(client=Refusing, concurrency=1)
        records = await bench.run(limit(3, repeat(invoke("r"))))
        assert [o.type for o in records] == ["invoke", "fail"] * 3
        assert {o.process for o in records} == {0}
        assert [client.closed for client in bench.opened] == [1, 1, 1]

    asyncio.run(main())


def test_an_opening_that_breaks_otherwise_is_info() -> None:
    class Broken(Client):
        async def open(self, address: str) -> None:
            raise OSError("odd")

    records = carried_out(limit(2, repeat(invoke("r"))), client=Broken, concurrency=1)
    assert [(o.process, o.type) for o in records] == [
        (0, "invoke"),
        (0, "info"),
        (1, "invoke"),
        (1, "info"),
    ]
