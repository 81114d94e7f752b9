"""Log: messages are appended and polled by position; none may be lost, moved or turned round.

After Jepsen's Kafka tests, without consumer groups: every process is assigned all logs and keeps
its own position in each. Operations are ``send`` ``[["send", key, value]]`` (values unique) and
``poll`` ``[["poll"]]``, which reads one log, in turn, from the process's position to its end. At
the end every log is read from its beginning on every node (``final-poll``).
"""

from __future__ import annotations

from itertools import count
from typing import Any, ClassVar

from harness.contract.client import Logs
from harness.contract.option import SystemOption
from harness.contract.workload import WorkloadOptions
from harness.generator import Generator, invoke, mix, repeat
from harness.history.operation import OK, Operation, Process
from workloads.kit import completed, not_new, on_every_node, whole

START = -1
"""The position before the first message."""

LOGS = whole("logs", 4, "how many logs there are")


class Log:
    """The workload ``log``."""

    name = "log"
    needs = (Logs,)
    checkers = ("log",)
    model = "log"
    independent = False
    options: ClassVar[tuple[SystemOption, ...]] = (LOGS,)

    def __init__(self, options: WorkloadOptions) -> None:
        self._nodes = options.nodes
        self._logs = LOGS.of(options, self.name)
        self._positions: dict[tuple[Process, int], int] = {}
        self._turns: dict[Process, int] = {}

    async def setup(self, client: Logs) -> None:
        """Nothing to make; proves that polls answer and that the logs are empty."""
        for log in range(self._logs):
            found = await client.poll_log(log, START)
            if found:
                raise not_new(self.name, f"log {log} holds {found[0]}")

    def generator(self) -> Generator:
        """Endless: sends and polls, as likely."""
        sends = (invoke("send", [["send", n % self._logs, n]]) for n in count())
        return mix([repeat(invoke("poll", [["poll"]])), sends])

    def final_generator(self) -> Generator:
        """Every log from its beginning, on every node."""
        return on_every_node(self._nodes, invoke("final-poll", [["poll"]]))

    async def invoke(self, client: Logs, operation: Operation) -> Operation:
        """One call of the client; a final poll is one for each log."""
        if operation.f == "send":
            ((_, log, value),) = operation.value
            offset = await client.append_to_log(log, value)
            return completed(operation, OK, [["send", log, [offset, value]]])
        if operation.f == "final-poll":
            all_of_them = {str(log): await _polled(client, log, START) for log in range(self._logs)}
            return completed(operation, OK, [["poll", all_of_them]])
        return completed(operation, OK, [["poll", await self._poll(client, operation.process)]])

    async def _poll(self, logs: Logs, process: Process) -> dict[str, list[Any]]:
        turn = self._turns.get(process, 0)
        self._turns[process] = turn + 1
        log = turn % self._logs
        found = await _polled(logs, log, self._positions.get((process, log), START))
        if found:
            self._positions[process, log] = found[-1][0]
        return {str(log): found}


async def _polled(logs: Logs, log: int, after: int) -> list[Any]:
    return [list(message) for message in await logs.poll_log(log, after)]


WORKLOADS = {Log.name: Log}
