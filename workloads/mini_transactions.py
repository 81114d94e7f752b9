"""Mini-transactions: each writes a register only after it has read it, so reads tell the order.

Blind writes leave it open in which order the values of a key came, and whether an order explains
all reads is then NP-complete. Where every write follows a read of its key in its transaction, a
value names the one that it replaced, and serializability and snapshot isolation are decided without
a choice (Tan et al., "MTC: Mini-Transactions for Checking", ICDE 2025). The price: who reads first
finds fewer lost blind writes (those are for :mod:`workloads.rw_register`).

Transactions and other options: :mod:`workloads.transactions`; a read that a write wants comes on
top of ``max_txn_length``.
"""

from __future__ import annotations

from workloads.transactions import RandomTransactions


class MiniTransactions(RandomTransactions):
    """The workload ``mini-transactions``."""

    name = "mini-transactions"
    write = "w"
    checkers = ("rw-register",)
    model = "rw-register"
    reads_first = True


WORKLOADS = {MiniTransactions.name: MiniTransactions}
