"""What workloads over single objects share: how an operation ends, and an option's value."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from harness.contract.system import SystemOption
from harness.contract.workload import WorkloadOptions
from harness.errors import UsageError
from harness.history.operation import Operation


def completed(invocation: Operation, kind: str, value: Any, error: Any = None) -> Operation:
    """The completion of ``invocation``."""
    return Operation(-1, -1, invocation.process, kind, invocation.f, value, error)


def key_of(operation: Operation) -> list[Any]:
    """The key of an invocation whose value is ``[key, value]`` (``ReadsKeys.keys_of``)."""
    return [operation.value[0]]


def with_last(keys: Sequence[int], last_key: int, most: int) -> list[int]:
    """``keys``, and the ``most`` used last up to ``last_key``: each once, in order."""
    return sorted({*keys, *range(max(0, last_key + 1 - most), last_key + 1)})


def chosen(
    workload: str, declared: Sequence[SystemOption], options: WorkloadOptions, *, least: int = 1
) -> dict[str, int]:
    """The value of each declared option; ``UsageError`` for a number below ``least``."""
    found = {option.name: option.default for option in declared}
    found.update({k: v for k, v in options.extra.items() if k in found and v is not None})
    for name, value in found.items():
        if isinstance(value, int) and not isinstance(value, bool) and value < least:
            raise UsageError(f"{workload}: {name} must be at least {least}, not {value}")
    return found
