"""The rules that make a list of operations a history; what breaks one cannot be judged.

A client process is a single thread: it has at most one open operation, and whatever completes
must have been invoked. Broken, precedence means nothing, so such a file is refused and the
operation named, instead of judged wrongly. The nemesis may do as it likes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from harness.errors import HistoryError
from harness.history.operation import INVOKE, TYPES, Operation

MOST: Final = 1 << 63
MOST_PROCESSES: Final = (1 << 31) - 1
"""Columns hold times in 64 bits and processes in 32."""


def check_rules(operations: Sequence[Operation], name: str) -> None:
    """Raise ``HistoryError`` naming the first operation that breaks a rule."""
    open_operations: dict[int, Operation] = {}
    last_index = -1
    for operation in operations:
        if operation.index <= last_index:
            _refuse(name, operation, f"expected an index above {last_index}")
        if operation.index >= MOST:
            _refuse(name, operation, "expected an index that 64 bits hold")
        last_index = operation.index
        if not -MOST <= operation.time < MOST:
            _refuse(name, operation, "expected a time that 64 bits hold")
        if operation.type not in TYPES:
            _refuse(name, operation, f"expected a type out of {' '.join(TYPES)}")
        process = operation.process
        if not isinstance(process, int) or process < 0:
            continue
        if process > MOST_PROCESSES:
            _refuse(name, operation, f"expected a process up to {MOST_PROCESSES}")
        if operation.type == INVOKE:
            if process in open_operations:
                _refuse(name, operation, f"{describe(open_operations[process])} is still open")
            open_operations[process] = operation
            continue
        invocation = open_operations.pop(process, None)
        if invocation is None:
            _refuse(name, operation, f"process {process} has nothing open that this could complete")
        elif invocation.f != operation.f:
            _refuse(name, operation, f"it completes {describe(invocation)}, of another f")


def describe(operation: Operation) -> str:
    """An operation in a few words, to be found again in the file."""
    return (
        f"operation {operation.index} (process {operation.process} {operation.type} {operation.f})"
    )


def _refuse(name: str, operation: Operation, why: str) -> None:
    raise HistoryError(f"{name}: {describe(operation)} breaks the rules of a history: {why}")
