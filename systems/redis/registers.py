"""Registers on Redis: a key each, one command an operation."""

from __future__ import annotations

from typing import Any, Final

from systems.redis.asks import Asks
from systems.redis.stored import is_number, is_ok, loaded, storable, stored

COMPARE_AND_SET: Final = (
    "if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end "
    "redis.call('SET', KEYS[1], ARGV[2]) return 1"
)
CREATE: Final = "return redis.call('SETNX', KEYS[1], ARGV[1])"


class RedisRegisters:
    """The ability ``Registers``."""

    def __init__(self, asks: Asks) -> None:
        self._asks = asks

    async def read(self, key: Any) -> Any:
        """``GET``."""
        return loaded(await self._asks.read("GET", self._key(key)))

    async def write(self, key: Any, value: Any) -> None:
        """``SET``."""
        await self._asks.change(is_ok, "SET", self._key(key), storable(value))

    async def compare_and_set(self, key: Any, old: Any, new: Any) -> bool:
        """A script, which is executed as one command: it writes once, after it has compared."""
        where, value = self._key(key), storable(new)
        if old is None:
            command: tuple[str | bytes | int, ...] = ("EVAL", CREATE, 1, where, value)
        else:
            command = ("EVAL", COMPARE_AND_SET, 1, where, stored(old), value)
        return await self._asks.change(is_number, *command) == 1

    def _key(self, key: Any) -> bytes:
        return self._asks.key("register", stored(key))
