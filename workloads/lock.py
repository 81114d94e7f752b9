"""Lock: processes take a lock and give it back; two must never hold it, and tokens must rise.

Every process acquires and releases in turn, without waiting: an ``acquire`` of a lock that
another holds is ``fail``, and so is the ``release`` after it. A client that is cut off in the
midst of an acquire may leave the lock taken for ever, so a lock ends after some operations, or
after two whose outcome nobody knows, and its threads take the next one.
"""

from __future__ import annotations

from itertools import count
from typing import ClassVar

from harness.contract.client import Locks, SystemClient
from harness.contract.system import SystemOption
from harness.contract.workload import WorkloadOptions
from harness.errors import SetupError
from harness.generator import (
    Generator,
    concurrent_generator,
    cycle,
    each_thread,
    invoke,
    limit,
)
from harness.history.operation import FAIL, OK, Operation, Process
from workloads.answers import chosen, completed

FINAL_OPERATIONS = 4
"""Operations a thread after recovery."""

_PROBE = "probe"


class Lock:
    """The workload ``lock``; values are ``[lock, token]``."""

    name = "lock"
    needs = (Locks,)
    checkers = ("lock",)
    model = "lock"
    independent = True
    options: ClassVar[tuple[SystemOption, ...]] = (
        SystemOption(
            name="key_operations", kind=int, default=200, help="operations after which a lock ends"
        ),
        SystemOption(
            name="key_infos",
            kind=int,
            default=2,
            help="operations of unknown outcome after which a lock ends",
        ),
    )

    def __init__(self, options: WorkloadOptions) -> None:
        self._concurrency = options.concurrency
        self._chosen = chosen(self.name, self.options, options)
        self._tokens: dict[tuple[Process, int], int] = {}
        self._last_key = -1

    async def setup(self, client: SystemClient) -> None:
        """Proves that a lock can be taken and given back."""
        locks = _locks(client)
        token = await locks.acquire(_PROBE)
        if token is None or not await locks.release(_PROBE, token):
            raise SetupError(
                "lock: the probe lock could not be taken and given back", "an empty database"
            )

    def generator(self) -> Generator:
        """Endless: every thread acquires and releases one lock, and then the next one."""
        return self._from(0)

    def _from(self, key: int) -> Generator:
        return concurrent_generator(
            self._concurrency,
            count(key),
            self._key,
            operations=self._chosen["key_operations"],
            infos=self._chosen["key_infos"],
        )

    def _key(self, key: int) -> Generator:
        return each_thread(cycle([invoke("acquire"), invoke("release")]))

    def final_generator(self) -> Generator:
        """A few more of fresh locks: who held the others may be gone, and nobody gets them then."""
        return limit(FINAL_OPERATIONS * self._concurrency, self._from(self._last_key + 1))

    async def invoke(self, client: SystemClient, operation: Operation) -> Operation:
        """One call of the client; a release of what is not held sends nothing."""
        locks, process = _locks(client), operation.process
        key = operation.value[0]
        self._last_key = max(self._last_key, key)
        if operation.f == "acquire":
            token = await locks.acquire(key)
            if token is None:
                return completed(operation, FAIL, [key, None])  # held by another
            self._tokens[process, key] = token
            return completed(operation, OK, [key, token])
        if (process, key) not in self._tokens:
            return completed(operation, FAIL, [key, None], ["not held"])
        token = self._tokens.pop((process, key))
        if await locks.release(key, token):
            return completed(operation, OK, [key, token])
        return completed(operation, FAIL, [key, token])  # held no more


def _locks(client: SystemClient) -> Locks:
    return client  # type: ignore[return-value]


WORKLOADS = {Lock.name: Lock}
