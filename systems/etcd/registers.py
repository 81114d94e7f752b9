"""Registers on etcd: a key each, one request an operation."""

from __future__ import annotations

from typing import Any

from harness.contract.client import Failed
from systems.etcd import gateway
from systems.etcd.asks import Asks


class EtcdRegisters:
    """The ability ``Registers``."""

    def __init__(self, asks: Asks) -> None:
        self._asks = asks

    async def read(self, key: Any) -> Any:
        """The value of ``key`` (``None`` if absent), linearizable unless asked otherwise."""
        stored_key = gateway.stored(key)
        request = gateway.range_of(stored_key, serializable=self._asks.serializable)
        answer = await self._asks.ask(gateway.RANGE, request, gateway.RangeAnswer, mutates=False)
        return gateway.sole(answer.kvs, stored_key)[1]

    async def write(self, key: Any, value: Any) -> None:
        """Put ``value``."""
        await self._asks.put(gateway.stored(key), _storable(value))

    async def compare_and_set(self, key: Any, old: Any, new: Any) -> bool:
        """Put ``new`` if ``key`` holds ``old`` (``None``: does not exist), as one transaction."""
        stored_key = gateway.stored(key)
        if old is None:
            compare = gateway.is_absent(stored_key)
        else:
            compare = gateway.value_is(stored_key, gateway.stored(old))
        put = {"request_put": gateway.put_of(stored_key, _storable(new))}
        request = {"compare": [compare], "success": [put], "failure": []}
        answer = await self._asks.ask(gateway.TXN, request, gateway.TxnAnswer, mutates=True)
        return answer.succeeded


def _storable(value: Any) -> bytes:
    """``value`` as stored; ``None`` means absent and cannot be put."""
    if value is None:
        raise Failed(
            ["request", "a register cannot be set to null, which stands for absent"],
            session_ended=False,
        )
    return gateway.stored(value)
