"""Which statements each operation of :class:`~systems.drivers.sql.client.SqlClient` sends.

For the speakers of both protocols: the conformance kit tells from it which request of an operation
it is that is answered wrongly, late or not at all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

REQUESTS: Final[Mapping[str, int | Sequence[str]]] = {
    "read": ("select",),
    "write": ("insert",),
    "compare_and_set": ("update",),
    "read_only_transaction": ("begin", "select", "commit"),
    "transaction": ("begin", "select", "update", "commit"),
    "append": ("begin", "insert", "commit"),
    "scan": ("begin", "select", "commit"),
    "scan_and_insert": ("begin", "select", "insert", "commit"),
    "scan_and_delete": ("begin", "select", "delete", "commit"),
    "add_to_set": ("insert",),
    "read_set": ("select",),
    "add_to_counter": ("insert",),
    "read_counter": ("select",),
    "enqueue": ("insert",),
    "dequeue": ("begin", "select", "delete", "commit"),
    "append_to_log": ("begin", "insert", "select", "insert", "commit"),
    "poll_log": ("select",),
    "acquire": ("begin", "update", "select", "commit"),
    "release": ("update",),
    "generate_id": ("insert",),
}
