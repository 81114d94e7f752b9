"""How many operations a second the dispatcher carries out, with both records on disk.

A client that does nothing (but is a real coroutine that yields once) leaves the harness alone
to be measured: generator, dispatcher, workers, journal. ``noop`` has a plain generator,
``register`` the full one of the register workload under a time limit and a stagger of nothing.
``calibration`` is a bare loop that encodes and writes the same records, for comparison between
machines. Each figure is the best of some rounds, because what disturbs a round only slows it.
The last line is JSON. Run it as ``python benchmarks/interpreter.py``.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from harness.contract.workload import WorkloadOptions
from harness.generator import Liftable, clients, invoke, limit, repeat, stagger, time_limit
from harness.history.journal import Journal
from harness.history.operation import Header, Operation
from harness.run.dispatcher import Dispatcher
from workloads.register import Register

NODES = 5


class NoopClient:
    """A client without a database."""

    async def open(self, address: str) -> None:
        """Nothing to open."""

    async def close(self) -> None:
        """Nothing to close."""


async def answer_at_once(client: Any, operation: Operation) -> Operation:
    """Succeeds after yielding to the loop once."""
    await asyncio.sleep(0)
    return Operation(-1, -1, operation.process, "ok", operation.f, operation.value)


def plain(operations: int, concurrency: int) -> Liftable:
    """The same operation again and again."""
    return limit(operations, clients(repeat(invoke("noop"))))


def register(operations: int, concurrency: int) -> Liftable:
    """The register workload's generator, of keys that two threads a node share."""
    work = Register(WorkloadOptions(nodes=NODES, concurrency=concurrency, seed=0)).generator()
    return limit(operations, time_limit(600, stagger(0, clients(work))))


async def carry_out(make: Callable[[int, int], Liftable], operations: int, threads: int) -> float:
    """Operations a second."""
    with tempfile.TemporaryDirectory() as folder, journal_in(folder) as journal:
        dispatcher = Dispatcher(
            journal=journal,
            nodes=[(f"n{i}", f"10.0.0.{i}") for i in range(1, NODES + 1)],
            concurrency=threads,
            open_client=NoopClient,
            invoke=answer_at_once,
        )
        generator = make(operations, threads)
        gc.collect()
        gc.freeze()
        begun = time.perf_counter()
        await dispatcher.run(generator)
        journal.flush()
        spent = time.perf_counter() - begun
        await dispatcher.close()
        if journal.count != 2 * operations:
            raise SystemExit(f"{journal.count} records of {operations} operations")
        return operations / spent


def journal_in(folder: str) -> Journal:
    """A new history in ``folder``."""
    return Journal(Path(folder) / "history.jsonl", Header())


def calibrate(operations: int) -> float:
    """Pairs of records a second that a bare loop encodes and writes."""
    encode = msgspec.json.Encoder().encode_into
    with tempfile.TemporaryDirectory() as folder:
        file = os.open(Path(folder) / "history.jsonl", os.O_WRONLY | os.O_CREAT)
        begun = time.perf_counter()
        buffer = bytearray()
        for index in range(2 * operations):
            kind = "ok" if index & 1 else "invoke"
            record = Operation(index, time.monotonic_ns(), index % 10, kind, "read", [1, index])
            encode(record, buffer, -1)
            buffer += b"\n"
            if len(buffer) > 1 << 16:
                os.write(file, buffer)
                buffer.clear()
        os.write(file, buffer)
        spent = time.perf_counter() - begun
        os.close(file)
    return operations / spent


def run(main: Any) -> Any:
    """Run a coroutine on the fastest loop that there is."""
    try:
        import uvloop
    except ImportError:
        return asyncio.run(main)
    return uvloop.run(main)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--operations", type=int, default=100_000, help="in each round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", choices=["noop", "register"])
    arguments = parser.parse_args()
    operations, rounds = arguments.operations, range(arguments.rounds)
    figures: dict[str, Any] = {}
    for name, make in (("noop", plain), ("register", register)):
        if arguments.only in (None, name):
            figures[f"{name}_ops_per_s"] = {
                str(threads): round(max(run(carry_out(make, operations, threads)) for _ in rounds))
                for threads in (10, 100)
            }
    figures["calibration_ops_per_s"] = round(max(calibrate(operations) for _ in rounds))
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
