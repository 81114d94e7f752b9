"""The dispatcher against clients that hang, and its end: time-outs, stop, cancellation."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import msgspec
import pytest

from harness.generator import any_, clients, invoke, limit, on_threads, repeat, sleep
from harness.history.operation import Operation
from harness.run.dispatcher import Dispatcher
from tests.harness.run.dispatching import PATIENCE_S, Memory


class Client:
    """Closes as it should."""

    def __init__(self) -> None:
        self.closed = asyncio.Event()

    async def open(self, address: str) -> None:
        pass

    async def close(self) -> None:
        self.closed.set()


def ok(operation: Operation) -> Operation:
    return msgspec.structs.replace(operation, type="ok")


def dispatcher_of(do: Any, journal: Memory, client: Any = Client, **others: Any) -> Dispatcher:
    others.setdefault("concurrency", 2)
    others.setdefault("op_timeout_s", PATIENCE_S)
    return Dispatcher(journal=journal, nodes=["a"], open_client=client, invoke=do, **others)


def test_an_operation_without_an_answer_becomes_info_and_its_client_is_closed() -> None:
    async def main() -> None:
        journal, seen = Memory(), []

        async def do(client: Client, operation: Operation) -> Operation:
            seen.append(client)
            if operation.value == "hang":
                journal.let_pass(PATIENCE_S)
                await asyncio.Event().wait()
            return ok(operation)

        dispatcher = dispatcher_of(do, journal, concurrency=1)
        await dispatcher.run([invoke("w", "hang"), invoke("w", "quick")])
        assert [(o.process, o.type) for o in journal.records] == [
            (0, "invoke"),
            (0, "info"),
            (1, "invoke"),
            (1, "ok"),
        ]
        assert "timeout" in journal.records[1].error
        assert journal.records[1].time - journal.records[0].time >= PATIENCE_S * 1e9
        await asyncio.wait_for(seen[0].closed.wait(), PATIENCE_S)
        assert seen[1] is not seen[0]
        await dispatcher.close()

    asyncio.run(main())


def test_a_late_answer_is_not_listened_to() -> None:
    """A client that does not obey cancellation still answers, long after the time-out."""

    async def main() -> None:
        journal, release, answered = Memory(), asyncio.Event(), asyncio.Event()

        async def do(client: Client, operation: Operation) -> Operation:
            if operation.value == "late":
                journal.let_pass(PATIENCE_S)
                while not release.is_set():
                    try:
                        await release.wait()
                    except asyncio.CancelledError:
                        continue
                answered.set()
            elif operation.value == "after":
                release.set()
                await answered.wait()
            return ok(operation)

        dispatcher = dispatcher_of(do, journal, concurrency=1)
        await dispatcher.run([invoke("w", "late"), invoke("w", "after"), invoke("w", "last")])
        assert [(o.type, o.value) for o in journal.records] == [
            ("invoke", "late"),
            ("info", "late"),
            ("invoke", "after"),
            ("ok", "after"),
            ("invoke", "last"),
            ("ok", "last"),
        ]
        await dispatcher.close()

    asyncio.run(main())


def test_an_opening_that_hangs_is_ended_by_the_same_time_out() -> None:
    class Hanging(Client):
        async def open(self, address: str) -> None:
            await asyncio.Event().wait()

    async def main() -> None:
        journal = Memory()

        async def do(client: Any, operation: Operation) -> Operation:
            raise AssertionError("never opened")

        dispatcher = dispatcher_of(do, journal, Hanging, concurrency=1, op_timeout_s=0.05)
        await dispatcher.run(limit(2, repeat(invoke("r"))))
        assert [o.type for o in journal.records] == ["invoke", "info"] * 2
        await dispatcher.close()

    asyncio.run(main())


def test_too_many_clients_that_hang_for_ever_end_the_run() -> None:
    """They hang in their operation and in close() as well."""
    release = asyncio.Event()

    class Stubborn(Client):
        async def close(self) -> None:
            await release.wait()

    async def main() -> None:
        journal = Memory()

        async def do(client: Any, operation: Operation) -> Operation:
            await release.wait()
            return ok(operation)

        dispatcher = dispatcher_of(do, journal, Stubborn, op_timeout_s=0.01)
        await dispatcher.run(clients(repeat(invoke("r"))))
        assert dispatcher.stuck is not None
        assert "clients hang" in dispatcher.stuck
        assert len(journal.records) % 2 == 0
        assert {o.type for o in journal.records} == {"invoke", "info"}
        release.set()
        await dispatcher.close()

    asyncio.run(main())


def test_stop_from_another_thread_ends_an_endless_run_with_nothing_open() -> None:
    async def main() -> None:
        journal, running = Memory(), threading.Event()

        async def do(client: Any, operation: Operation) -> Operation:
            if operation.index > 100:
                running.set()
            await asyncio.sleep(0)
            return ok(operation)

        dispatcher = dispatcher_of(do, journal)

        def stop() -> None:
            running.wait()
            dispatcher.stop()

        stopper = threading.Thread(target=stop)
        stopper.start()
        await dispatcher.run(repeat(invoke("r")))
        stopper.join()
        kinds = [o.type for o in journal.records]
        assert kinds.count("invoke") == kinds.count("ok") > 50
        count = len(kinds)
        await dispatcher.run(repeat(invoke("r")))  # stopped for good
        assert len(journal.records) == count
        await dispatcher.close()

    asyncio.run(main())


def test_what_is_open_when_it_is_stopped_becomes_info() -> None:
    async def main() -> None:
        journal = Memory()

        async def do(client: Any, operation: Operation) -> Operation:
            dispatcher.stop()
            await asyncio.Event().wait()
            return ok(operation)

        dispatcher = dispatcher_of(do, journal, op_timeout_s=0.05)
        await dispatcher.run(clients(repeat(invoke("r"))))
        assert [o.type for o in journal.records] == ["invoke", "invoke", "info", "info"]
        await dispatcher.close()

    asyncio.run(main())


def test_stopped_before_it_runs_it_does_nothing() -> None:
    async def main() -> None:
        journal = Memory()

        async def do(client: Any, operation: Operation) -> Operation:
            return ok(operation)

        dispatcher = dispatcher_of(do, journal)
        dispatcher.stop()
        await dispatcher.run(repeat(invoke("r")))
        assert journal.records == []
        await dispatcher.close()

    asyncio.run(main())


def test_stop_does_not_wait_for_sleepers() -> None:
    async def main() -> None:
        journal = Memory()

        async def do(client: Any, operation: Operation) -> Operation:
            dispatcher.stop()
            return ok(operation)

        dispatcher = dispatcher_of(do, journal)
        gen = any_(on_threads({0}, sleep(3600)), on_threads({1}, invoke("r")))
        await dispatcher.run(gen)
        assert [o.type for o in journal.records] == ["invoke", "ok"]
        await dispatcher.close()

    asyncio.run(main())


def test_a_run_that_is_cancelled_leaves_no_task_behind() -> None:
    async def main() -> None:
        journal, running = Memory(), asyncio.Event()

        async def do(client: Any, operation: Operation) -> Operation:
            running.set()
            await asyncio.Event().wait()
            return ok(operation)

        dispatcher = dispatcher_of(do, journal)
        run = asyncio.create_task(dispatcher.run(clients(repeat(invoke("r")))))
        await running.wait()
        run.cancel()
        with pytest.raises(asyncio.CancelledError):
            await run
        await dispatcher.close()
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(main())


def test_clients_stay_open_between_runs_and_are_closed_at_the_end() -> None:
    async def main() -> None:
        journal, used = Memory(), set()

        async def do(client: Client, operation: Operation) -> Operation:
            used.add(client)
            return ok(operation)

        dispatcher = dispatcher_of(do, journal)
        await dispatcher.run(limit(9, clients(repeat(invoke("r")))))
        await dispatcher.run(limit(9, clients(repeat(invoke("r")))))
        assert len(used) == 2
        assert not any(client.closed.is_set() for client in used)
        await dispatcher.close()
        assert all(client.closed.is_set() for client in used)
        await dispatcher.close()

    asyncio.run(main())
