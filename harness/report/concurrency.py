"""Lanes by thread: which processes followed one another in the same worker.

After an ``info`` a process is retired and its thread goes on as the old number plus the
concurrency, so a long run under faults has hundreds of processes but a steady handful of threads.
The timeline draws a lane per thread where that can be proved from the history: calls in one lane
must not overlap. O(calls).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from harness.report.intervals import OPEN_TYPE, Calls


def thread_count(calls: Calls, scenario: Mapping[str, Any]) -> int | None:
    """How many threads the run had, or ``None`` where folding by it would overlap calls."""
    for candidate in (_asked(scenario), _guess(calls)):
        if candidate and _is_sequential(calls, candidate):
            return candidate
    return None


def _asked(scenario: Mapping[str, Any]) -> int | None:
    """The scenario's concurrency: a number, or ``3n`` for three a node."""
    match = re.fullmatch(r"(\d{1,6})(n?)", str(scenario.get("concurrency", "")))
    if not match:
        return None
    nodes = scenario.get("nodes", 5)
    per_node = nodes if isinstance(nodes, int) else len(nodes) if isinstance(nodes, list) else 1
    return int(match[1]) * (per_node if match[2] else 1)


def _guess(calls: Calls) -> int | None:
    """One more than the highest process seen before the first one was retired."""
    highest = -1
    for call in range(len(calls)):
        highest = max(highest, int(calls.process[call]))
        if calls.type[call] == OPEN_TYPE:
            retired = int(calls.complete[call])
            before = calls.process[: int((calls.invoke < retired).sum())] if retired >= 0 else None
            return int(before.max()) + 1 if before is not None and len(before) else highest + 1
    return highest + 1 if highest >= 0 else None


def _is_sequential(calls: Calls, threads: int) -> bool:
    busy_until: dict[int, int] = {}
    for call in range(len(calls)):
        lane = int(calls.process[call]) % threads
        first, last = calls.span(call)
        if first < busy_until.get(lane, -1):
            return False
        busy_until[lane] = last
    return True
