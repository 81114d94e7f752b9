"""The client of Dgraph: its abilities, over one connection to one Alpha."""

from __future__ import annotations

from typing import Final

from harness.contract.client import Counters, Ids, Predicates, Registers, Sets, Transactions
from systems.dgraph.asks import Asks
from systems.dgraph.objects import DgraphCounters, DgraphIds, DgraphRegisters, DgraphSets
from systems.dgraph.records import Layout
from systems.dgraph.transaction import DgraphTransactions

ABILITIES: Final = (Registers, Transactions, Predicates, Sets, Counters, Ids)


class DgraphClient:
    """Speaks to one Alpha. All of :data:`ABILITIES`."""

    def __init__(self, op_timeout_s: float, layout: Layout) -> None:
        asks = Asks(op_timeout_s)
        self.open, self.close = asks.open, asks.close

        transactions = DgraphTransactions(asks, layout)
        self.begin = transactions.begin

        registers = DgraphRegisters(transactions)
        self.read, self.write = registers.read, registers.write
        self.compare_and_set = registers.compare_and_set

        sets, counters = DgraphSets(transactions), DgraphCounters(transactions)
        self.add_to_set, self.read_set = sets.add_to_set, sets.read_set
        self.add_to_counter, self.read_counter = counters.add_to_counter, counters.read_counter
        self.generate_id = DgraphIds(asks, layout).generate_id
