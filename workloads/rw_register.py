"""Read-write registers: random transactions that write and read registers, judged as Elle does.

Writes are blind and their values unique in a key, so a read names the write that it saw, and no
more: in which order a key's values came must be inferred. What may be assumed for that is said by
options, for it depends on the system: that a transaction which reads and then writes a key comes
between the two values (``wfr_keys``), that no process sees a key go back (``sequential_keys``),
that nobody does (``linearizable_keys``). Values are ``[["w", 4, 2], ["r", 5, null]]``.

Transactions and other options: :mod:`workloads.transactions`.
"""

from __future__ import annotations

from harness.contract.option import SystemOption
from workloads.kit import flag
from workloads.transactions import OPTIONS, RandomTransactions


class RwRegister(RandomTransactions):
    """The workload ``rw-register``."""

    name = "rw-register"
    write = "w"
    checkers = ("rw-register",)
    model = "rw-register"
    options = (
        *OPTIONS,
        flag(
            "wfr_keys",
            True,
            "assume that in a transaction the value written to a key follows the value read",
        ),
        flag("sequential_keys", False, "assume that each key is sequentially consistent"),
        SystemOption(
            name="linearizable_keys",
            kind=bool,
            default=None,
            help="assume that each key is linearizable (strict serializability says so anyway)",
        ),
    )


WORKLOADS = {RwRegister.name: RwRegister}
