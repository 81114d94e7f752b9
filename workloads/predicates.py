"""Predicates: transactions that ask for rows by a condition, over a universe that is closed.

After Elle's closed predicates. A group has a few rows, none of which is there at first, and each
is inserted once, with a value that is known beforehand. So what a condition did *not* find is known
as well: a row that would have matched was not there yet. Half of the transactions ask for the
rows of their group by a condition and then insert one (which may change what others would have
found), half only ask, some twice. A share of those with several steps is held open between them
(:mod:`workloads.holding`): whoever asks twice must find the same rows.

Micro-operations: ``["rp", condition, null]``, with the rows found in the completion
(``{"2": 7}``), and ``["insert", row, value]``. Conditions: ``"true"``, ``["=", 7]`` and
``["mod", 2, 0]``. Values travel as ``[group, micro-operations]``. A condition is a scan of the
group's rows, of which those that match are told: what is tested is whether the scan is safe from
rows that come meanwhile.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from itertools import count
from typing import Any, ClassVar, Final

from checkers.isolation.predicates.checker import matches
from harness.contract.client import Predicates
from harness.contract.option import SystemOption
from harness.contract.workload import WorkloadOptions
from harness.generator import Context, Generator, concurrent_generator, deferred, invoke
from harness.history.operation import OK, Operation
from workloads.holding import OPTIONS as HOLDING
from workloads.holding import Holding
from workloads.kit import completed, groups_of, whole
from workloads.micro_operations import TXN, pauses_of

THREADS_PER_GROUP: Final = 4
FINAL_GROUPS: Final = 20
VALUES: Final = 10

ROWS = whole("rows", 4, "rows that a group has in the end")


class PredicatesWorkload:
    """The workload ``predicates``."""

    name = "predicates"
    needs = (Predicates,)
    checkers = ("predicates",)
    model = "predicates"
    independent = True
    options: ClassVar[tuple[SystemOption, ...]] = (ROWS, *HOLDING)

    def __init__(self, options: WorkloadOptions) -> None:
        groups_of(THREADS_PER_GROUP, self.name, options)
        self._rows = ROWS.of(options, self.name)
        self._holding = Holding.of(options, self.name)
        self._last_group = -1

    async def setup(self, client: Predicates) -> None:
        """Nothing to make: no row is there before."""

    def generator(self) -> Generator:
        """Endless: one group after the other for each few threads."""
        return concurrent_generator(
            THREADS_PER_GROUP, count(), lambda _: deferred(self._group(self._holding))
        )

    def final_generator(self) -> Generator:
        """A few more groups, after all is healed."""
        first = self._last_group + 1
        groups = range(first, first + FINAL_GROUPS)
        return concurrent_generator(
            THREADS_PER_GROUP, groups, lambda _: deferred(self._group(None))
        )

    def _group(self, holding: Holding | None) -> Callable[[Context], list[Operation]]:
        def made(context: Context) -> list[Operation]:
            random = context.random
            found = []
            for row in range(self._rows):
                value = random.below(VALUES)
                ask = ["rp", _condition(random), None]
                found.append(invoke(TXN, [ask, ["insert", str(row), value]]))
                asks = [["rp", _condition(random), None] for _ in range(1 + random.below(2))]
                found.append(invoke(TXN, asks))
            asked = random.shuffled(found)
            if holding is None:
                return asked
            return [holding.some(each, len(each.value), random) for each in asked]

        return made

    async def invoke(self, client: Predicates, operation: Operation) -> Operation:
        """One transaction. A refused commit passes through as ``Failed``."""
        group, steps = operation.value
        self._last_group = max(self._last_group, group)
        prefix = f"predicates-{group}-"
        transaction = await client.begin(read_only=all(step[0] == "rp" for step in steps))
        done: list[list[Any]] = []
        pauses = pauses_of(operation) or [0.0] * len(steps)
        for step, pause_s in zip(steps, pauses, strict=True):
            if pause_s > 0:
                await asyncio.sleep(pause_s)
            if step[0] == "rp":
                rows = await transaction.scan(prefix)
                found = {
                    name.removeprefix(prefix): value
                    for name, value in rows.items()
                    if matches(step[1], value)
                }
                done.append(["rp", step[1], found])
            else:
                await transaction.put(prefix + step[1], step[2])
                done.append(step)
        await transaction.commit()
        return completed(operation, OK, [group, done])


def _condition(random: Any) -> Any:
    kind = random.below(4)
    if kind < 2:
        return "true"
    return ["=", random.below(VALUES)] if kind == 2 else ["mod", 2, random.below(2)]


WORKLOADS = {PredicatesWorkload.name: PredicatesWorkload}
