"""Which operations only read, and what each asks: how the final phase is run, and judged.

After recovery every read is asked until it is answered (:mod:`harness.run.final`); one that never
was shows nothing of what the faults left, and makes a run unknown (:mod:`harness.judge.health`).
"""

from __future__ import annotations

import json
from typing import Final

from harness.history.operation import Operation, is_transaction

READS: Final = frozenset({"read", "get", "drain", "poll", "watch"})
READ_STEPS: Final = frozenset({"r", "read", "rp", "poll", "get"})


def is_final_read(operation: Operation) -> bool:
    """Whether an operation of the final phase only reads, by its name or by its steps."""
    value = operation.value
    if is_transaction(value):
        return all(step[0] in READ_STEPS for step in value)
    return operation.f in READS or operation.f.startswith("final-")


def read_key(operation: Operation) -> tuple[str, str]:
    """What an invocation asks: its kind, and its value as text."""
    return operation.f, json.dumps(operation.value, sort_keys=True, default=str)
