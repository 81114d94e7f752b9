"""What a client is told of its operation, and tells of it beside the answer."""

from __future__ import annotations

import asyncio
from hashlib import sha256
from typing import Any

import msgspec
import pytest

from harness.contract.blocking import BlockingClient
from harness.contract.client import Failed, Target, grpc_trace_bin, tell, trace_id, traceparent
from harness.generator import invoke
from harness.history.operation import Operation
from harness.history.traces import index_of, span_id_of, trace_id_of
from tests.harness.run.dispatching import PATIENCE_S, Bench


def done(operation: Operation, value: Any = None) -> Operation:
    return msgspec.structs.replace(operation, type="ok", value=value)


def test_what_is_told_stands_in_the_completion_whatever_becomes_of_it() -> None:
    async def do(client: Any, operation: Operation) -> Operation:
        tell(served="n2", timestamps={"start": 17})
        if operation.value == "refused":
            raise Failed("conflict")
        if operation.value == "silent":
            raise ValueError
        tell(timestamps={"commit": "21.5"})
        return done(operation)

    async def main() -> None:
        bench = Bench(do, concurrency=1)
        await bench.run([invoke("w", what) for what in ("taken", "refused", "silent")])
        completions = [each for each in bench.journal.records if each.type != "invoke"]
        assert [(each.type, each.served, each.timestamps) for each in completions] == [
            ("ok", "n2", {"start": 17, "commit": "21.5"}),
            ("fail", "n2", {"start": 17}),
            ("info", "n2", {"start": 17}),
        ]

    asyncio.run(main())


def test_what_is_told_too_late_is_not_the_next_operations() -> None:
    tellers: list[asyncio.Task[None]] = []

    async def do(client: Any, operation: Operation) -> Operation:
        if operation.value == "first":
            late = asyncio.Event()

            async def teller() -> None:
                await late.wait()
                tell(served="too late")

            tellers.append(asyncio.create_task(teller()))
            asyncio.get_running_loop().call_later(0, late.set)
            return done(operation)
        await tellers[0]
        return done(operation)

    async def main() -> None:
        bench = Bench(do, concurrency=1)
        await bench.run([invoke("w", "first"), invoke("w", "second")])
        assert [each.served for each in bench.journal.records] == [None] * 4

    asyncio.run(main())


def test_what_was_told_before_the_time_was_over_is_kept() -> None:
    async def main() -> None:
        async def hang(client: Any, operation: Operation) -> Operation:
            tell(timestamps={"start": 3})
            bench.journal.let_pass(PATIENCE_S)
            await asyncio.Event().wait()
            return operation

        bench = Bench(hang, concurrency=1)
        await bench.run(invoke("w"))
        assert bench.journal.records[-1].type == "info"
        assert bench.journal.records[-1].timestamps == {"start": 3}

    asyncio.run(main())


def test_the_trace_id_follows_from_run_and_invocation_also_in_a_drivers_thread() -> None:
    class Driver:
        def open(self, target: Target) -> None:
            assert target.node == "n1"

        def close(self) -> None: ...

        def read(self, key: Any) -> Any:
            tell(served="n1")
            return trace_id()

    async def read(client: Any, operation: Operation) -> Operation:
        return done(operation, [trace_id(), await client.read(1)])

    async def main() -> None:
        bench = Bench(
            read,
            concurrency=1,
            nodes=[Target("localhost:1", node="n1")],
            client=lambda: BlockingClient(Driver()),
            run="a-run",
        )
        await bench.run([invoke("r"), invoke("r")])
        prefix = sha256(b"a-run").digest()[:8]
        expected = [(prefix + index.to_bytes(8, "big")).hex() for index in (0, 2)]
        completions = bench.journal.records[1::2]
        assert [each.value for each in completions] == [[trace, trace] for trace in expected]
        assert [each.served for each in completions] == ["n1", "n1"]
        assert [trace_id_of("a-run", 0), trace_id_of("a-run", 2)] == expected
        assert [index_of("a-run", trace) for trace in expected] == [0, 2]
        assert index_of("another", expected[0]) is None

    asyncio.run(main())


def test_servers_are_told_the_trace_in_the_forms_that_they_read() -> None:
    async def read(client: Any, operation: Operation) -> Operation:
        old = grpc_trace_bin()
        return done(operation, [traceparent(), None if old is None else old.hex()])

    async def main() -> None:
        bench = Bench(read, concurrency=1, run="a-run")
        await bench.run([invoke("r")])
        trace = trace_id_of("a-run", 0)
        span = span_id_of(trace)
        assert len(span) == 16
        assert bench.journal.records[1].value == [
            f"00-{trace}-{span}-01",
            f"0000{trace}01{span}0201",  # version, trace id, span id, options: sampled
        ]

    asyncio.run(main())


def test_outside_of_a_run_nothing_is_known_and_nothing_kept() -> None:
    tell(served="n1")
    assert trace_id() is None
    assert traceparent() is None
    assert grpc_trace_bin() is None
    with pytest.raises(TypeError, match="served is a name"):
        tell(served=1)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="timestamp"):
        tell(timestamps={"start": 1.5})  # type: ignore[dict-item]


def test_a_target_is_its_address_as_text() -> None:
    target = Target("host:1", node="n1", role="alpha", addresses={8080: "host:2"})
    assert target == "host:1"
    assert target.partition(":")[2] == "1"
    assert (target.node, target.role, target.addresses[8080]) == ("n1", "alpha", "host:2")
