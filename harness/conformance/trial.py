"""The operations that the conformance kit puts a client through, by ability.

A trial is one operation as a workload would do it. Its name is the key of
:attr:`harness.conformance.speaker.Speaker.requests`. Under an honest server that answers with a
value, the trial gives :meth:`Trial.expected` of that value.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final

from harness.client import Registers, Transactions

_KEY: Final = "k"
_OTHER_KEY: Final = "l"


@dataclass(frozen=True)
class Trial:
    """One operation. ``shows_value`` says whether its result is what the server answered."""

    ability: type
    name: str
    call: Callable[[Any], Awaitable[Any]]
    shows_value: bool = False
    constant: Any = None

    def expected(self, value: Any) -> Any:
        """The result if the server answered honestly with ``value``."""
        return value if self.shows_value else self.constant


async def _read(client: Any) -> Any:
    return await client.read(_KEY)


async def _write(client: Any) -> Any:
    return await client.write(_KEY, 1)


async def _compare_and_set(client: Any) -> Any:
    return await client.compare_and_set(_KEY, 1, 2)


async def _read_only_transaction(client: Any) -> Any:
    transaction = client.transaction()
    found = await transaction.get_many([_KEY, _OTHER_KEY])
    await transaction.commit()
    return found[_KEY]


async def _transaction(client: Any) -> Any:
    transaction = client.transaction()
    found = await transaction.get(_KEY)
    await transaction.put(_OTHER_KEY, 1)
    await transaction.commit()
    return found


TRIALS: Final = (
    Trial(Registers, "read", _read, shows_value=True),
    Trial(Registers, "write", _write),
    Trial(Registers, "compare_and_set", _compare_and_set, constant=True),
    Trial(Transactions, "read_only_transaction", _read_only_transaction, shows_value=True),
    Trial(Transactions, "transaction", _transaction, shows_value=True),
)
"""Every operation of every ability."""
