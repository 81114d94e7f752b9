"""Sets, counters, queues, logs, locks and ids, of the types that Redis has for them.

========  ==========================================================================================
set       a set: ``SADD``, ``SMEMBERS``
counter   a number: ``INCRBY``, ``GET``
queue     a list: ``LPUSH`` at one end, ``RPOP`` at the other
log       a list: ``RPUSH``, whose answer less one is the offset; ``LRANGE`` from an offset on
lock      the lock on a single server, as Redis documents it (set if absent, with a token, given
          back by a script that compares the token), whose token is a number that ``INCR`` gives,
          so that tokens rise; it ends by itself only where a time to live is asked for
id        ``INCR``
========  ==========================================================================================

Each is one command, a script is one as well, so nothing is ever done half.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from systems.drivers.resp import Word
from systems.redis.asks import Asks
from systems.redis.stored import (
    counted,
    is_number,
    is_number_or_nil,
    is_value_or_nil,
    loaded,
    loaded_list,
    storable,
    stored,
)

ACQUIRE: Final = (
    "if redis.call('EXISTS', KEYS[1]) == 1 then return false end "
    "local token = redis.call('INCR', KEYS[2]) "
    "if ARGV[1] == '0' then redis.call('SET', KEYS[1], token) "
    "else redis.call('SET', KEYS[1], token, 'PX', ARGV[1]) end "
    "return token"
)
RELEASE: Final = (
    "if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end return redis.call('DEL', KEYS[1])"
)


class RedisSets:
    """The ability ``Sets``."""

    def __init__(self, asks: Asks) -> None:
        self._asks = asks

    async def add_to_set(self, name: Any, element: Any) -> None:
        """``SADD``."""
        key = self._asks.key("set", stored(name))
        await self._asks.change(is_number, "SADD", key, stored(element))

    async def read_set(self, name: Any) -> Sequence[Any]:
        """``SMEMBERS``."""
        return loaded_list(await self._asks.read("SMEMBERS", self._asks.key("set", stored(name))))


class RedisCounters:
    """The ability ``Counters``."""

    def __init__(self, asks: Asks) -> None:
        self._asks = asks

    async def add_to_counter(self, name: Any, delta: int) -> None:
        """``INCRBY``."""
        key = self._asks.key("counter", stored(name))
        await self._asks.change(is_number, "INCRBY", key, delta)

    async def read_counter(self, name: Any) -> int:
        """``GET``."""
        return counted(await self._asks.read("GET", self._asks.key("counter", stored(name))))


class RedisQueues:
    """The ability ``Queues``."""

    def __init__(self, asks: Asks) -> None:
        self._asks = asks

    async def enqueue(self, name: Any, value: Any) -> None:
        """``LPUSH``."""
        key = self._asks.key("queue", stored(name))
        await self._asks.change(is_number, "LPUSH", key, storable(value))

    async def dequeue(self, name: Any) -> Any:
        """``RPOP``; what it takes is gone, whether or not its answer arrives."""
        key = self._asks.key("queue", stored(name))
        return loaded(await self._asks.change(is_value_or_nil, "RPOP", key))


class RedisLogs:
    """The ability ``Logs``."""

    def __init__(self, asks: Asks) -> None:
        self._asks = asks

    async def append_to_log(self, name: Any, value: Any) -> int | None:
        """``RPUSH``."""
        key = self._asks.key("log", stored(name))
        length = await self._asks.change(is_number, "RPUSH", key, storable(value))
        return length - 1 if isinstance(length, int) else None

    async def poll_log(self, name: Any, after: int) -> Sequence[tuple[int, Any]]:
        """``LRANGE``."""
        key = self._asks.key("log", stored(name))
        values = loaded_list(await self._asks.read("LRANGE", key, after + 1, -1))
        return list(enumerate(values, after + 1))


class RedisLocks:
    """The ability ``Locks``."""

    def __init__(self, asks: Asks) -> None:
        self._asks = asks

    async def acquire(self, name: Any) -> int | None:
        """A script: takes the lock with the next token if nobody holds it."""
        ttl_s = self._asks.manner.lock_ttl_s
        keys = (self._key(name), self._asks.key("lock-tokens", stored(name)))
        command: tuple[Word, ...] = ("EVAL", ACQUIRE, 2, *keys, int((ttl_s or 0) * 1000))
        token = await self._asks.change(is_number_or_nil, *command)
        return token if isinstance(token, int) else None

    async def release(self, name: Any, token: int) -> bool:
        """A script: deletes the key if it holds that token."""
        return await self._asks.change(is_number, "EVAL", RELEASE, 1, self._key(name), token) == 1

    def _key(self, name: Any) -> bytes:
        return self._asks.key("lock", stored(name))


class RedisIds:
    """The ability ``Ids``."""

    def __init__(self, asks: Asks) -> None:
        self._asks = asks

    async def generate_id(self) -> Any:
        """``INCR``."""
        return await self._asks.change(is_number, "INCR", self._asks.key("ids", b"all"))
