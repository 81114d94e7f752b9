"""List-append: random transactions that append to lists and read them, judged as Elle does.

The value of a key is a list, and every append adds a value that is unique in its key. A read
therefore tells the whole history of the key, in order: that is what makes this the workload from
which most can be inferred. Values are ``[["append", 3, 7], ["r", 5, null]]``; the completion has
the lists (``null`` where the key was not there).

Transactions and options: :mod:`workloads.transactions`. An append is the system's own where its
transactions have one (``append(key, element)``), else a get and a put of the longer list, in the
one transaction that all steps share; the history's header tells which.
"""

from __future__ import annotations

from workloads.transactions import RandomTransactions


class ListAppend(RandomTransactions):
    """The workload ``list-append``."""

    name = "list-append"
    write = "append"
    checkers = ("list-append",)
    model = "list-append"


WORKLOADS = {ListAppend.name: ListAppend}
