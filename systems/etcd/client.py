"""The client of etcd: every ability there is, over one connection to one member.

An ability is an object of its own, in a file of its own where it is long: it turns what is wanted
into requests of etcd's JSON gateway (:mod:`systems.etcd.gateway`) and hands them to the one
:class:`systems.etcd.asks.Asks`, which sends each once and says what became of it. This file puts
them together: the methods of all the abilities are the client's, as the contract wants it.
"""

from __future__ import annotations

from systems.etcd.asks import Asks
from systems.etcd.objects import (
    EtcdCounters,
    EtcdIds,
    EtcdLocks,
    EtcdLogs,
    EtcdQueues,
    EtcdSets,
)
from systems.etcd.registers import EtcdRegisters
from systems.etcd.transaction import EtcdTransactions
from systems.etcd.watches import EtcdWatches


class EtcdClient:
    """Speaks to one etcd member. All of :data:`harness.contract.client.ABILITIES`."""

    def __init__(
        self, op_timeout_s: float, *, serializable_reads: bool = False, prefix: bytes = b""
    ) -> None:
        asks = Asks(op_timeout_s, serializable=serializable_reads, prefix=prefix)
        self.open, self.close = asks.open, asks.close

        registers = EtcdRegisters(asks)
        self.read, self.write = registers.read, registers.write
        self.compare_and_set = registers.compare_and_set

        transactions = EtcdTransactions(asks)
        self.begin = transactions.begin

        sets, counters = EtcdSets(asks), EtcdCounters(asks)
        self.add_to_set, self.read_set = sets.add_to_set, sets.read_set
        self.add_to_counter, self.read_counter = counters.add_to_counter, counters.read_counter

        queues, logs = EtcdQueues(asks), EtcdLogs(asks)
        self.enqueue, self.dequeue = queues.enqueue, queues.dequeue
        self.append_to_log, self.poll_log = logs.append_to_log, logs.poll_log

        locks, ids = EtcdLocks(asks), EtcdIds(asks)
        self.acquire, self.release = locks.acquire, locks.release
        self.generate_id = ids.generate_id

        watches = EtcdWatches(asks)
        self.write_watched, self.watch = watches.write_watched, watches.watch
