"""Lock: processes take a lock and give it back; two must never hold it, and tokens must rise.

Every process acquires and releases in turn, without waiting: an ``acquire`` of a lock that
another holds is ``fail``, and so is the ``release`` after it. A client that is cut off in the
midst of an acquire may leave the lock taken for ever, so a lock ends after some operations, or
after two whose outcome nobody knows, and its threads take the next one.
"""

from __future__ import annotations

from itertools import count
from typing import ClassVar

from harness.contract.client import Locks
from harness.contract.option import SystemOption
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
from workloads.kit import completed, whole

FINAL_OPERATIONS = 4
"""Operations a thread after recovery."""

_PROBE = "probe"

KEY_OPERATIONS = whole("key_operations", 200, "operations after which a lock ends")
KEY_INFOS = whole("key_infos", 2, "operations of unknown outcome after which a lock ends")


class Lock:
    """The workload ``lock``; values are ``[lock, token]``."""

    name = "lock"
    needs = (Locks,)
    checkers = ("lock",)
    model = "lock"
    independent = True
    options: ClassVar[tuple[SystemOption, ...]] = (KEY_OPERATIONS, KEY_INFOS)

    def __init__(self, options: WorkloadOptions) -> None:
        self._concurrency = options.concurrency
        self._key_operations = KEY_OPERATIONS.of(options, self.name)
        self._key_infos = KEY_INFOS.of(options, self.name)
        self._tokens: dict[tuple[Process, int], int] = {}
        self._last_key = -1

    async def setup(self, client: Locks) -> None:
        """Proves that a lock can be taken and given back."""
        token = await client.acquire(_PROBE)
        if token is None or not await client.release(_PROBE, token):
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
            operations=self._key_operations,
            infos=self._key_infos,
        )

    def _key(self, key: int) -> Generator:
        return each_thread(cycle([invoke("acquire"), invoke("release")]))

    def final_generator(self) -> Generator:
        """A few more of fresh locks: who held the others may be gone, and nobody gets them then."""
        return limit(FINAL_OPERATIONS * self._concurrency, self._from(self._last_key + 1))

    async def invoke(self, client: Locks, operation: Operation) -> Operation:
        """One call of the client; a release of what is not held sends nothing."""
        process, key = operation.process, operation.value[0]
        self._last_key = max(self._last_key, key)
        if operation.f == "acquire":
            token = await client.acquire(key)
            if token is None:
                return completed(operation, FAIL, [key, None])  # held by another
            self._tokens[process, key] = token
            return completed(operation, OK, [key, token])
        if (process, key) not in self._tokens:
            return completed(operation, FAIL, [key, None], ["not held"])
        token = self._tokens.pop((process, key))
        if await client.release(key, token):
            return completed(operation, OK, [key, token])
        return completed(operation, FAIL, [key, token])  # held no more


WORKLOADS = {Lock.name: Lock}
