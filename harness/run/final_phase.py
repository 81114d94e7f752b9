"""What is asked after recovery: the workload's final reads, also of keys that ended under a fault.

A workload over many keys goes from key to key, so a key that came to its end (its writes
acknowledged, and lost) would never be looked at again. Here it is noted when each key is in use.
The final reads take first all that were open under a fault or an action, up to a bound that is
told, and then of the others as many as the bound leaves: a failover goes on after its fault is
healed, and nobody knows for how long.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any, Final

from harness.contract.client import SystemClient
from harness.contract.workload import ReadsKeys
from harness.generator import Generator, clients, limit, stagger, time_limit
from harness.generator.core import NS_PER_S
from harness.history.faults import FOREVER_NS, RecordedFault, recorded_faults
from harness.history.ledger import LedgerEntry
from harness.history.operation import Operation
from harness.run.final import FinalReads
from harness.run.preparation import Parts
from harness.run.workers import Invoke
from harness.verdict.evidence import FinalKeys

FINAL_PHASE_S: Final = 30.0
LEAST_RATE: Final = 200.0
MOST_KEYS: Final = 100
"""So many keys are read in the end, those that were open under a fault or an action first."""

CLOSE_BEFORE_S: Final = 1.0
"""A key that ended so shortly before a fault was open under it: what it wrote may not be safe."""


class FinalPhase:
    """Notes what is in use during the run, and makes the generator of its end."""

    def __init__(self, parts: Parts) -> None:
        self.facts: FinalKeys | None = None
        self._parts = parts
        workload = parts.workload
        self._keys = KeyTimes(workload.keys_of) if isinstance(workload, ReadsKeys) else None

    def invoke(self) -> Invoke:
        """The workload's ``invoke``, with the keys noted that it is asked for."""
        keys, invoke = self._keys, self._parts.workload.invoke
        if keys is None:
            return invoke

        def noting(client: SystemClient, operation: Operation) -> Awaitable[Operation]:
            keys.note(operation)
            return invoke(client, operation)

        return noting

    def generator(self, ledger: Sequence[LedgerEntry]) -> Generator:
        """The workload's final reads, or a few more of its operations where it has none."""
        scenario, workload = self._parts.scenario, self._parts.workload
        final = self._reads(ledger)
        if final is None:
            final = limit(4 * scenario.threads, workload.generator())
        pace = stagger(1 / max(scenario.rate, LEAST_RATE), FinalReads().around(final))
        return time_limit(FINAL_PHASE_S, clients(pace))

    def _reads(self, ledger: Sequence[LedgerEntry]) -> Generator | None:
        workload = self._parts.workload
        if self._keys is None or not isinstance(workload, ReadsKeys):
            return workload.final_generator()
        spans = [span for each in recorded_faults(ledger) if (span := span_ns(each))]
        keys, every = self._keys.open_during(spans), self._keys.every()
        first = bounded(keys)
        taken = filled(first, every)
        self.facts = {
            "open_under_faults": len(keys),
            "read": len(first),
            "used": len(every),
            "read_of_all": len(taken),
        }
        return workload.final_reads(taken)


class KeyTimes:
    """When each key was in use, so that those that were open under a fault can be read again."""

    def __init__(self, keys_of: Callable[[Operation], Iterable[Any]]) -> None:
        self._keys_of = keys_of
        self._spans: dict[Any, list[int]] = {}

    def note(self, operation: Operation) -> None:
        """An operation was invoked."""
        for key in self._keys_of(operation):
            span = self._spans.get(key)
            if span is None:
                self._spans[key] = [operation.time, operation.time]
            else:
                span[1] = operation.time

    def every(self) -> list[Any]:
        """All keys, in order of their use."""
        return list(self._spans)

    def open_during(self, faults: Sequence[tuple[int, int]]) -> list[Any]:
        """The keys in use at some time of these spans, or just before one, in order of their use.

        A key is in use from its first operation to its last.
        """
        before_ns = round(CLOSE_BEFORE_S * NS_PER_S)
        return [
            key
            for key, (first, last) in self._spans.items()
            if any(first <= end and last >= start - before_ns for start, end in faults)
        ]


def span_ns(fault: RecordedFault) -> tuple[int, int] | None:
    """When a fault was in force, or an action may have been under way; ``None`` if it never was."""
    if not fault.is_action:
        return fault.proved_span_ns
    if fault.begun_ns is None or fault.refused_ns is not None:
        return None
    return fault.begun_ns, FOREVER_NS if fault.healed_ns is None else fault.healed_ns


def filled(first: Sequence[Any], every: Sequence[Any], most: int = MOST_KEYS) -> list[Any]:
    """``first``, and of ``every`` other key as many as there is room for up to ``most``."""
    taken = set(first)
    others = [key for key in every if key not in taken]
    room = max(0, most - len(first))
    taken.update(bounded(others, room) if room else ())
    return [key for key in every if key in taken]


def bounded(keys: Sequence[Any], most: int = MOST_KEYS) -> list[Any]:
    """At most ``most`` of the keys, evenly spread, the last one among them."""
    if len(keys) <= most:
        return list(keys)
    return [keys[(at + 1) * len(keys) // most - 1] for at in range(most)]
