"""The dispatcher: what is recorded, in which order, and by whom operations are carried out."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import pytest
import uvloop

from harness.contract.client import Indeterminate
from harness.errors import StoreError
from harness.generator import (
    NOTHING,
    Combinator,
    Context,
    GeneratorError,
    any_,
    clients,
    delay,
    invoke,
    limit,
    log,
    on_update,
    phases,
    repeat,
    sleep,
)
from harness.generator.streams import Random
from harness.history.journal import Journal
from harness.history.operation import Header, Operation
from harness.history.reader import read_history
from tests.harness.run.dispatching import Bench, Memory, carried_out


def test_both_ends_of_every_operation_are_recorded_and_counted() -> None:
    async def main() -> None:
        bench = Bench()
        records = await bench.run(limit(20, repeat(invoke("read", 5))))
        assert [o.index for o in records] == list(range(40))
        assert all(late.time >= early.time for early, late in pairwise(records))
        assert {o.value for o in records} == {5}
        assert bench.dispatcher.counts == {"read": {"invoke": 20, "ok": 20, "fail": 0, "info": 0}}

    asyncio.run(main())


def test_an_invocation_is_recorded_before_the_client_sees_it() -> None:
    async def main() -> None:
        journal = Memory()

        async def do(client: Any, operation: Operation) -> Operation:
            assert journal.records[operation.index] == operation
            return msgspec.structs.replace(operation, type="ok")

        records = await Bench(do, journal=journal).run(limit(20, repeat(invoke("r"))))
        assert {o.type for o in records} == {"invoke", "ok"}

    asyncio.run(main())


def test_threads_talk_to_nodes_in_turn_and_open_one_client_each() -> None:
    async def main() -> None:
        bench = Bench(concurrency=5, nodes=[("n1", "a"), ("n2", "b"), ("n3", "c")])
        await bench.run(limit(50, repeat(invoke("r"))))
        assert len(bench.opened) == 5
        for client in bench.opened:
            (address,) = client.addresses
            threads = {o.process for o in client.done}
            assert len(threads) == 1
            assert address == "abc"[threads.pop() % 3]  # type: ignore[operator]
            assert client.closed == 1

    asyncio.run(main())


def test_an_invocation_carries_the_name_of_its_node() -> None:
    records = carried_out(limit(20, repeat(invoke("r"))), nodes=[("n1", "a"), ("n2", "b")])
    for operation in records:
        name = f"n{operation.process % 2 + 1}"  # type: ignore[operator]
        assert operation.node == (name if operation.type == "invoke" else operation.node)
    assert {o.node for o in carried_out(invoke("r")) if o.type == "invoke"} == {None}


@pytest.mark.parametrize("make_loop", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_no_operation_begins_before_an_answer_that_had_already_come(
    make_loop: Callable[[], asyncio.AbstractEventLoop],
) -> None:
    """Two answers come in one tick, the second by a longer way; a third client is busy."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        answers = [loop.create_future() for _ in range(3)]
        started: list[int] = []

        def answer_two() -> None:
            answers[0].set_result(None)
            loop.call_soon(answers[1].set_result, None)

        async def do(client: Any, operation: Operation) -> Operation:
            started.append(operation.index)
            if len(started) == 3:
                loop.call_soon(answer_two)
            if len(started) <= 3:
                await answers[len(started) - 1]
            elif len(started) == 5:
                answers[2].set_result(None)
            return msgspec.structs.replace(operation, type="ok")

        records = await Bench(do, concurrency=3).run(limit(5, repeat(invoke("r"))))
        assert [o.type for o in records[:6]] == ["invoke"] * 3 + ["ok", "ok", "invoke"]

    with asyncio.Runner(loop_factory=make_loop) as runner:
        runner.run(main())


def test_processes_and_time_go_on_from_one_generator_to_the_next() -> None:
    async def lose(client: Any, operation: Operation) -> Operation:
        raise OSError("lost")

    async def main() -> None:
        bench = Bench(lose, concurrency=1)
        await bench.dispatcher.run(invoke("first"))
        await bench.dispatcher.run(invoke("second"))
        records = bench.journal.records
        assert [(o.process, o.f) for o in records if o.type == "invoke"] == [
            (0, "first"),
            (1, "second"),
        ]
        assert all(late.time >= early.time for early, late in pairwise(records))
        await bench.dispatcher.close()

    asyncio.run(main())


def test_an_operation_waits_for_its_time() -> None:
    async def main() -> None:
        bench = Bench()
        begun = bench.journal.now()
        records = await bench.run(limit(5, delay(0.004, repeat(invoke("r")))))
        times = [o.time - begun for o in records if o.type == "invoke"]
        assert len(times) == 5
        assert all(at_ns >= number * 4_000_000 for number, at_ns in enumerate(times))

    asyncio.run(main())


def test_sleep_and_log_are_done_and_not_recorded() -> None:
    async def main() -> None:
        said: list[str] = []
        bench = Bench(concurrency=1, say=said.append)
        begun = bench.journal.now()
        records = await bench.run([log("hello"), sleep(0.01), invoke("r")])
        assert said == ["hello"]
        assert [o.type for o in records] == ["invoke", "ok"]
        assert records[0].time - begun >= 10_000_000

    asyncio.run(main())


def test_a_pending_generator_is_asked_again() -> None:
    promise: Future[Operation] = Future()

    async def main() -> list[Operation]:
        bench = Bench()
        keeper = threading.Timer(0.02, promise.set_result, [invoke("late")])
        keeper.start()
        return await bench.run([invoke("early"), promise])

    assert [o.f for o in asyncio.run(main()) if o.type == "invoke"] == ["early", "late"]


def test_a_phase_waits_for_the_slowest_operation_of_the_one_before() -> None:
    async def do(client: Any, operation: Operation) -> Operation:
        for _ in range(operation.value):
            await asyncio.sleep(0)
        return msgspec.structs.replace(operation, type="ok")

    gen = phases([invoke("a", n) for n in (1, 50, 3)], [invoke("b", n) for n in (1, 2)])
    records = carried_out(gen, do, concurrency=3)
    assert "".join(o.f for o in records) == "aaaaaabbbb"


def test_the_generator_hears_of_every_record_in_order() -> None:
    heard: list[int] = []

    def listen(this: Any, context: Context, event: Operation) -> Any:
        heard.append(event.index)
        assert context.time_ns == event.time
        return this

    records = carried_out(on_update(listen, limit(30, repeat(invoke("r")))))
    assert heard == [o.index for o in records]


def test_a_generator_that_raises_ends_the_run_and_keeps_the_history() -> None:
    async def main() -> None:
        bench = Bench()
        made: list[int] = []

        def fn(context: Context) -> Operation:
            if len(made) == 6:
                raise KeyError("seven")
            made.append(1)
            return invoke("r")

        with pytest.raises(GeneratorError, match=r"raised KeyError\('seven'\) when it was asked"):
            await bench.run(fn)
        kinds = [o.type for o in bench.journal.records]
        assert kinds.count("invoke") == kinds.count("ok") == 6
        await bench.dispatcher.close()

    asyncio.run(main())


def test_a_generator_that_cannot_take_an_event_ends_the_run() -> None:
    def deaf(this: Any, context: Context, event: Operation) -> Any:
        if event.type == "ok":
            raise ValueError("no")
        return this

    with pytest.raises(GeneratorError, match=r"raised ValueError\('no'\) when it was told"):
        carried_out(on_update(deaf, repeat(invoke("r"))))


def test_an_invocation_that_the_generator_cannot_take_is_still_carried_out() -> None:
    """It is in the history already, so it must be completed; then the run ends."""

    def deaf(this: Any, context: Context, event: Operation) -> Any:
        if event.type == "invoke" and event.index > 5:
            raise ValueError("no")
        return this

    async def main() -> None:
        bench = Bench()
        with pytest.raises(GeneratorError, match="ValueError"):
            await bench.run(on_update(deaf, repeat(invoke("r"))))
        kinds = [o.type for o in bench.journal.records]
        assert kinds.count("invoke") == kinds.count("ok") > 3
        await bench.dispatcher.close()

    asyncio.run(main())


class Impossible(Combinator, frozen=True, gc=False):
    """Gives an operation that nobody can do."""

    process: int
    type: str

    def op(self, context: Context) -> Any:
        return Operation(-1, context.time_ns, self.process, self.type, "r", None), self


def test_an_operation_that_nobody_can_do_ends_the_run() -> None:
    with pytest.raises(GeneratorError, match="whose process is not free"):
        carried_out(Impossible(17, "invoke"))
    with pytest.raises(GeneratorError, match="whose type is not invoke"):
        carried_out(Impossible(0, "ok"))


def test_a_full_disk_ends_the_run_at_once_with_what_there_is() -> None:
    async def main() -> None:
        bench = Bench(journal=Memory(room=7))
        for _ in range(2):
            with pytest.raises(StoreError, match="disk is full"):
                await bench.dispatcher.run(repeat(invoke("r")))
        assert len(bench.journal.records) == 7
        await bench.dispatcher.close()

    asyncio.run(main())


def test_the_nemesis_works_beside_the_clients_and_is_info_at_both_ends() -> None:
    async def main() -> None:
        async def do(client: Any, operation: Operation) -> Operation:
            if operation.value in (3, 30):
                await asyncio.to_thread(cut, operation.value)
            return msgspec.structs.replace(operation, type="ok")

        def cut(number: int) -> None:
            bench.dispatcher.note(Operation(-1, -1, "nemesis", "ok", "cut", number))

        bench = Bench(do)
        records = await bench.run(clients([invoke("r", n) for n in range(40)]))
        cuts = [o for o in records if o.process == "nemesis"]
        assert [(o.type, o.f, o.value) for o in cuts] == [("info", "cut", 3), ("info", "cut", 30)]
        assert [o.index for o in records] == list(range(len(records)))
        assert "cut" not in bench.dispatcher.counts

    asyncio.run(main())


def test_when_nothing_of_the_nemesis_can_be_recorded_the_run_ends() -> None:
    async def main() -> None:
        async def do(client: Any, operation: Operation) -> Operation:
            bench.journal.room = 0
            told = Operation(-1, -1, "nemesis", "info", "cut", None)
            assert await asyncio.to_thread(bench.dispatcher.note, told) is None
            return await asyncio.Event().wait()  # type: ignore[return-value]

        bench = Bench(do)
        with pytest.raises(StoreError):
            await bench.dispatcher.run(clients(repeat(invoke("r"))))
        await bench.dispatcher.close()

    asyncio.run(main())


def test_a_generator_of_the_nemesis_is_refused() -> None:
    with pytest.raises(GeneratorError, match="process is not free"):
        carried_out(any_(Raw(), clients(repeat(invoke("r")))))


class Raw(Combinator, frozen=True, gc=False):
    """An operation of the nemesis."""

    def op(self, context: Context) -> Any:
        return Operation(-1, context.time_ns, "nemesis", "info", "cut", None), NOTHING


def test_without_a_nemesis_there_is_no_nemesis_thread() -> None:
    assert {o.process for o in carried_out(limit(10, repeat(invoke("r"))))} == {0, 1}


def test_a_history_on_disk_obeys_the_rules(tmp_path: Path) -> None:
    async def erratic(client: Any, operation: Operation) -> Operation:
        random = Random(1, operation.index)
        for _ in range(random.below(5)):
            await asyncio.sleep(0)
        if random.below(4) == 0:
            raise Indeterminate("lost")
        return msgspec.structs.replace(operation, type=random.choice(["ok", "fail"]))

    async def main() -> None:
        with Journal(tmp_path / "history.jsonl", Header()) as journal:
            bench = Bench(erratic, journal=journal, concurrency=7)
            await bench.dispatcher.run(limit(2000, repeat(invoke("r"))))
            await bench.dispatcher.close()

    asyncio.run(main())
    history = read_history(tmp_path / "history.jsonl")
    assert len(history) == 4000
    is_open: set[Any] = set()
    retired: set[Any] = set()
    for operation in history:
        process = operation.process
        assert process not in retired
        if operation.type == "invoke":
            assert process not in is_open
            is_open.add(process)
            assert len(is_open) <= 7
        else:
            is_open.remove(process)
        if operation.type == "info":
            retired.add(process)
    assert len(retired) > 300


def test_the_lag_of_the_loop_is_measured() -> None:
    async def hog(client: Any, operation: Operation) -> Operation:
        time.sleep(0.03)  # noqa: ASYNC251 - the misdeed that is to be seen
        return msgspec.structs.replace(operation, type="ok")

    async def main() -> dict[str, float]:
        bench = Bench(hog, concurrency=1)
        assert bench.dispatcher.lag == {"p50": 0, "p99": 0, "max": 0}
        await bench.run(limit(4, repeat(invoke("r"))))
        return bench.dispatcher.lag

    lag = asyncio.run(main())
    assert lag["max"] >= 15
    assert lag["max"] >= lag["p99"] >= lag["p50"] >= 0
