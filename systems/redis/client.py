"""The client of Redis and Valkey, with all that the abilities need.

An ability is an object of its own: it turns what is wanted into commands and hands them to the one
:class:`systems.redis.asks.Asks`, which sends each once and says what became of it. This file puts
them together: the methods of all the abilities are the client's, as the contract wants it.
"""

from __future__ import annotations

from typing import Final

from harness.contract.client import (
    Counters,
    Ids,
    Locks,
    Logs,
    Predicates,
    Queues,
    Registers,
    Sets,
    Transactions,
)
from systems.redis.asks import Asks, Manner
from systems.redis.objects import (
    RedisCounters,
    RedisIds,
    RedisLocks,
    RedisLogs,
    RedisQueues,
    RedisSets,
)
from systems.redis.places import Places
from systems.redis.registers import RedisRegisters
from systems.redis.transaction import RedisTransactions

ABILITIES: Final[tuple[type, ...]] = (
    *(Registers, Transactions, Predicates),
    *(Sets, Counters, Queues, Logs, Locks, Ids),
)
"""What a client can do; no ``Watches``, for Redis keeps no history of a key's changes."""


class RedisClient:
    """Speaks to whoever leads, or to one server where there is no Sentinel."""

    def __init__(self, op_timeout_s: float, places: Places, manner: Manner) -> None:
        asks = Asks(op_timeout_s, places, manner)
        self.open, self.close = asks.open, asks.close

        registers, transactions = RedisRegisters(asks), RedisTransactions(asks)
        self.read, self.write = registers.read, registers.write
        self.compare_and_set = registers.compare_and_set
        self.begin = transactions.begin

        sets, counters = RedisSets(asks), RedisCounters(asks)
        self.add_to_set, self.read_set = sets.add_to_set, sets.read_set
        self.add_to_counter, self.read_counter = counters.add_to_counter, counters.read_counter

        queues, logs = RedisQueues(asks), RedisLogs(asks)
        self.enqueue, self.dequeue = queues.enqueue, queues.dequeue
        self.append_to_log, self.poll_log = logs.append_to_log, logs.poll_log

        locks, ids = RedisLocks(asks), RedisIds(asks)
        self.acquire, self.release = locks.acquire, locks.release
        self.generate_id = ids.generate_id
