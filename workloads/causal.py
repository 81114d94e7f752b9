"""Causal: a chain of causes over two keys and three sites, judged for causal consistency.

For every pair of keys x and y three threads, on three nodes where there are as many:

    writer    r x   w x 1   r x   w x 2   r x        (jepsen.tests.causal's five operations)
    relay     r x   w y 1   r x   w y 2   …          what it has seen of x causes what it writes
    observer  r y   r x     r y   r x     …          who sees y must see the x that caused it

Each is a transaction of one step, so nothing but causality relates them. Values are
``[["w", key, value]]`` and ``[["r", key, null]]`` with keys ``x0``, ``y0``, ``x1``, …
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count
from typing import Any, ClassVar, Final

from harness.contract.client import Transactions
from harness.contract.option import SystemOption
from harness.contract.workload import WorkloadOptions
from harness.errors import UsageError
from harness.generator import (
    Generator,
    concurrent_generator,
    invoke,
    lift,
    map_,
    on_threads,
    reserve,
)
from harness.history.operation import Operation
from workloads.kit import on_every_node, with_last
from workloads.micro_operations import TXN, carry_out

SITES: Final = 3
ROUNDS: Final = 4
FINAL_PAIRS: Final = 20


class Causal:
    """The workload ``causal``."""

    name = "causal"
    needs = (Transactions,)
    checkers = ("causal",)
    model = "causal"
    independent = False
    options: ClassVar[tuple[SystemOption, ...]] = ()

    def __init__(self, options: WorkloadOptions) -> None:
        if options.concurrency < SITES:
            raise UsageError(
                f"causal needs {SITES} clients, and the concurrency is {options.concurrency}",
                f"--concurrency {SITES}",
            )
        self._threads = options.concurrency // SITES * SITES
        self._nodes = options.nodes
        self._last_pair = 0

    async def setup(self, client: Transactions) -> None:
        """Nothing to make: no key is there before."""

    def generator(self) -> Generator:
        """Endless: one pair of keys after the other for each three threads; one or two may rest."""
        pairs = concurrent_generator(SITES, count(), _pair)
        return on_threads(range(self._threads), map_(_without_key, pairs))

    def final_generator(self) -> Generator:
        """The effects and then the causes of the pairs used last, read on every node."""
        return self.final_reads([])

    def keys_of(self, operation: Operation) -> Sequence[Any]:
        """The number of the pair."""
        return [int(operation.value[0][1][1:])]

    def final_reads(self, keys: Sequence[Any]) -> Generator:
        """The same of the pairs ``keys``, and of those used last."""
        pairs = with_last(keys, self._last_pair, FINAL_PAIRS)
        reads = [_read(f"{name}{number}") for number in pairs for name in "yx"]
        return on_every_node(self._nodes, reads)

    async def invoke(self, client: Transactions, operation: Operation) -> Operation:
        """One transaction of one step."""
        self._last_pair = max(self._last_pair, int(operation.value[0][1][1:]))
        return await carry_out(client, operation, lambda key: f"causal-{key}")


def _pair(number: int) -> Generator:
    x, y = f"x{number}", f"y{number}"
    writer = [_read(x), _write(x, 1), _read(x), _write(x, 2), _read(x)]
    relay = [step for value in range(ROUNDS) for step in (_read(x), _write(y, value + 1))]
    observer = [step for _ in range(ROUNDS) for step in (_read(y), _read(x))]
    return reserve(1, lift(writer), 1, lift(relay), lift(observer))


def _read(key: str) -> Operation:
    return invoke(TXN, [["r", key, None]])


def _write(key: str, value: Any) -> Operation:
    return invoke(TXN, [["w", key, value]])


def _without_key(operation: Operation) -> Operation:
    """The keys name the pair themselves, so the pair's number is dropped from the value."""
    return Operation(
        -1, operation.time, operation.process, operation.type, operation.f, operation.value[1]
    )


WORKLOADS = {Causal.name: Causal}
