"""What a client does, raises or answers, and what the history then says."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest

from harness.contract.client import Failed, Indeterminate
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


@pytest.mark.parametrize(
    ("session_ended", "processes"), [(None, [0, 0, 1, 1]), (True, [0, 0, 1, 1]), (False, [0] * 4)]
)
def test_a_process_is_no_longer_than_the_session_of_its_client(
    session_ended: bool | None, processes: list[int]
) -> None:
    """One that cannot tell whether it lost its session may have; its client is kept either way."""

    async def fail_every_other(client: Any, operation: Operation) -> Operation:
        if len(client.done) % 2:
            client.done.append(operation)
            raise Failed("reset", session_ended=session_ended)
        client.done.append(operation)
        return msgspec.structs.replace(operation, type="ok")

    async def main() -> None:
        bench = Bench(fail_every_other, concurrency=1)
        records = await bench.run(limit(4, repeat(invoke("r"))))
        assert [o.process for o in records if o.type == "invoke"] == processes
        assert len(bench.opened) == 1

    asyncio.run(main())


def test_renewed_processes_have_new_clients_and_go_on_anew_after_each_failure() -> None:
    async def fail_some(client: Any, operation: Operation) -> Operation:
        if operation.f == "odd":
            raise Failed("refused", session_ended=False)
        return msgspec.structs.replace(operation, type="ok")

    async def main() -> None:
        bench = Bench(fail_some, concurrency=1)
        await bench.dispatcher.run(invoke("r"))
        bench.dispatcher.renew(after_failures=True)
        await bench.dispatcher.run([invoke("r"), invoke("odd"), invoke("r")])
        invocations = [o for o in bench.journal.records if o.type == "invoke"]
        assert [o.process for o in invocations] == [0, 1, 1, 2]
        assert len(bench.opened) == 3
        assert [client.closed for client in bench.opened] == [1, 1, 0]
        await bench.dispatcher.close()

    asyncio.run(main())


def test_the_first_defect_of_a_client_is_told_with_its_place() -> None:
    async def main() -> None:
        told: list[str] = []
        bench = Bench(raise_, concurrency=1, on_defect=told.append)
        records = await bench.run(limit(3, repeat(invoke("w"))))
        assert [o.type for o in records] == ["invoke", "info"] * 3
        assert len(told) == 1
        assert told[0].startswith("w: ZeroDivisionError: of mine (")
        assert "test_dispatcher_clients.py:" in told[0]

    asyncio.run(main())
