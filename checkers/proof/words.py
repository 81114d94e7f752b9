"""How proofs and verdicts put things: values, moments, operations, lists, counts and steps.

Every family of checkers says these the same way, so that whoever has read one proof can read them
all, and can find an operation of it in the history by its index.

    write 1 by process 0 on n1, invoked at index 0, 0.006 s, ok at index 1, 0.009 s
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from harness.history.calls import moment, short
from harness.history.operation import FAIL, INFO, INVOKE, Operation

__all__ = [
    "all_of",
    "counted",
    "moment",
    "one_of",
    "operation_line",
    "shortened",
    "shown",
    "then",
]

LONGEST_VALUE: Final = 400
"""Characters of a value that a proof shows."""
MOST_LISTED: Final = 8
OPEN: Final = "it may have happened at any later time"


def shown(value: Any) -> str:
    """A value as JSON, cut where it is very long."""
    return short(value, LONGEST_VALUE)


def operation_line(what: str, invocation: Operation, completion: Operation | None) -> str:
    """``what``, by whom, where, and both its records; one stands for one that is missing."""
    where = invocation.node or (completion.node if completion is not None else None)
    line = f"{what} by process {invocation.process}{f' on {where}' if where else ''}"
    if invocation is not completion or invocation.type == INVOKE:
        line += f", invoked at {moment(invocation)}"
    if completion is None or completion.type == INVOKE:
        return f"{line}, never answered: {OPEN}"
    line += f", {completion.type} at {moment(completion)}"
    if completion.type in (INFO, FAIL) and completion.error is not None:
        line += f" ({shown(completion.error)})"
    return f"{line}: {OPEN}" if completion.type == INFO else line


def shortened(items: Sequence[Any], most: int = MOST_LISTED) -> str:
    """``a, b and 3 more``."""
    first = ", ".join(str(item) for item in items[:most])
    return first if len(items) <= most else f"{first} and {len(items) - most} more"


def all_of(names: Sequence[str]) -> str:
    """``a, b and c``."""
    return _joined(names, "and")


def one_of(names: Sequence[str]) -> str:
    """``a, b or c``."""
    return _joined(names, "or")


def _joined(names: Sequence[str], last: str) -> str:
    return f" {last} ".join([", ".join(names[:-1]), names[-1]]) if names[1:] else "".join(names)


def counted(counts: Mapping[str, int]) -> str:
    """``2 G1a, 1 thin-air``."""
    return ", ".join(f"{count} {kind}" for kind, count in sorted(counts.items()))


def then(steps: Sequence[str]) -> list[str]:
    """The steps of a proof, each a whole clause without a full stop; the last contradicts."""
    lines = [f"  - {step}." for step in steps[:-1]]
    return [*lines, *(f"  - However, {step}: a contradiction!" for step in steps[-1:])]
