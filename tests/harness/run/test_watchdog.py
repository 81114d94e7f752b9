"""The watchdog tells of a loop that stands still, once, and of nothing else."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import msgspec
import pytest

from harness.generator import clients, invoke, limit, repeat
from harness.history.operation import Operation
from harness.run.watchdog import LOOKS_PER_LIMIT, Watchdog, stall_limit_s
from tests.harness.run.dispatching import Bench, succeed


class Bed:
    """A watchdog of ten seconds with a clock that is moved by hand."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.told: list[float] = []
        self.dog = Watchdog(10.0, self.told.append, clock=lambda: round(self.now_s * 1e9))

    def pass_s(self, seconds: float, *, beating: bool = False) -> None:
        """Let time pass in the watchdog's own steps."""
        for _ in range(round(seconds * LOOKS_PER_LIMIT / 10.0)):
            self.now_s += 10.0 / LOOKS_PER_LIMIT
            if beating:
                self.dog.beat()
            self.dog.look()


@pytest.mark.parametrize(("op_timeout_s", "limit_s"), [(0.5, 10.0), (5.0, 10.0), (30.0, 60.0)])
def test_the_limit_is_ten_seconds_or_two_time_outs(op_timeout_s: float, limit_s: float) -> None:
    assert stall_limit_s(op_timeout_s) == limit_s


def test_a_loop_that_beats_is_left_alone() -> None:
    bed = Bed()
    bed.pass_s(100, beating=True)
    assert bed.told == []


def test_a_stall_is_told_once_and_the_next_one_again() -> None:
    bed = Bed()
    bed.pass_s(5, beating=True)
    bed.pass_s(9)
    assert bed.told == []
    bed.pass_s(30)
    assert len(bed.told) == 1
    assert 10.0 <= bed.told[0] < 11.0
    bed.pass_s(5, beating=True)
    bed.pass_s(30)
    assert len(bed.told) == 2


def test_a_loop_that_rests_or_has_not_begun_does_not_stall() -> None:
    bed = Bed()
    bed.pass_s(30)
    bed.dog.beat()
    bed.dog.rest()
    bed.pass_s(30)
    assert bed.told == []
    bed.dog.beat()
    bed.pass_s(30)
    assert len(bed.told) == 1


def test_time_in_which_the_watchdog_did_not_run_is_no_stall() -> None:
    bed = Bed()
    bed.pass_s(1, beating=True)
    bed.now_s += 3600  # the process was stopped, or the machine suspended
    bed.dog.look()
    bed.pass_s(5)
    assert bed.told == []


def test_a_dispatcher_feeds_it_while_it_runs_and_lets_it_rest_after() -> None:
    async def main() -> None:
        bed = Bed()
        bench = Bench(succeed, watchdog=bed.dog)
        await bench.dispatcher.run(limit(3, clients(repeat(invoke("w")))))
        bed.pass_s(30)
        assert bed.told == []

    asyncio.run(main())


def test_a_client_that_blocks_the_loop_is_told_of_while_it_does() -> None:
    told, noticed = [], threading.Event()

    def notice(seconds: float) -> None:
        told.append(seconds)
        noticed.set()

    async def block(client: Any, operation: Operation) -> Operation:
        assert noticed.wait(60), "nobody noticed"  # the loop stands still until it was noticed
        return msgspec.structs.replace(operation, type="ok")

    async def main() -> list[Operation]:
        dog = Watchdog(0.2, notice)
        dog.start()
        try:
            return await Bench(block, watchdog=dog, concurrency=1).run(invoke("w"))
        finally:
            dog.stop()
            dog.stop()

    records = asyncio.run(main())
    assert len(told) == 1
    assert told[0] >= 0.2
    assert [o.type for o in records] == ["invoke", "ok"]
