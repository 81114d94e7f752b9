"""Rate and latency of a run as it goes on, in buckets of time, in bounded memory.

Each bucket counts completions by type and holds the latencies of those that were ``ok`` in a
histogram of logarithmic steps (an eighth of a doubling: a quantile is told to within 5 %), as
histograms of equal steps can be added. When there are more than :data:`MOST_BUCKETS`, each two
neighbours become one, so that a run of a minute is shown in half seconds and one of a day in
minutes. Completions count where they end. Cost: about half a microsecond a record.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Final

from harness.history.operation import FAIL, INFO, INVOKE, OK, Operation, Process

MOST_BUCKETS: Final = 240
FIRST_WIDTH_S: Final = 0.5
_STEPS: Final = 8
"""Of a histogram, in one doubling."""


@dataclass(slots=True)
class _Bucket:
    """What ended within one stretch of time."""

    counts: dict[str, int] = field(default_factory=lambda: {OK: 0, FAIL: 0, INFO: 0})
    latencies: Counter[int] = field(default_factory=Counter)

    def add(self, other: _Bucket) -> None:
        """Take in the neighbour."""
        for kind, count in other.counts.items():
            self.counts[kind] += count
        self.latencies.update(other.latencies)

    def quantile_ms(self, quantile: float) -> float | None:
        """A quantile of the latencies; ``None`` where nothing was ``ok``."""
        total = self.latencies.total()
        if not total:
            return None
        wanted, seen = max(1, math.ceil(quantile * total)), 0
        for step in sorted(self.latencies):
            seen += self.latencies[step]
            if seen >= wanted:
                return round(float(2 ** ((step + 0.5) / _STEPS)) / 1e6, 4)
        raise AssertionError("unreachable")


class Pace:
    """Sees the client's records of one run in their order; ``told`` gives the buckets."""

    def __init__(self) -> None:
        self.width_s = FIRST_WIDTH_S
        self._buckets: list[_Bucket] = []
        self._began: dict[Process, int] = {}
        self._now_ns = 0

    def see(self, operation: Operation) -> None:
        """Take in the next record."""
        self._now_ns = operation.time
        if not operation.is_client:
            return
        if operation.type == INVOKE:
            self._began[operation.process] = operation.time
            return
        began_ns = self._began.pop(operation.process, None)
        bucket = self._bucket(operation.time)
        if operation.type in bucket.counts:
            bucket.counts[operation.type] += 1
        if operation.type == OK and began_ns is not None:
            bucket.latencies[_step(operation.time - began_ns)] += 1

    def pass_time(self, now_ns: int) -> None:
        """It is so late now, also if nothing was recorded."""
        self._now_ns = max(self._now_ns, now_ns)

    def told(self) -> dict[str, Any]:
        """The buckets that are over: their width, counts by type and quantiles, as JSON has it."""
        over = int(self._now_ns / 1e9 / self.width_s)
        if over:
            self._bucket(int((over - 0.5) * self.width_s * 1e9))
            over = int(self._now_ns / 1e9 / self.width_s)  # the width may have doubled
        full = self._buckets[:over]
        return {
            "width_s": self.width_s,
            **{kind: [bucket.counts[kind] for bucket in full] for kind in (OK, FAIL, INFO)},
            "p50_ms": [bucket.quantile_ms(0.5) for bucket in full],
            "p99_ms": [bucket.quantile_ms(0.99) for bucket in full],
        }

    def _bucket(self, time_ns: int) -> _Bucket:
        at = int(max(0, time_ns) / 1e9 / self.width_s)
        while at >= MOST_BUCKETS:
            self._halve()
            at //= 2
        while len(self._buckets) <= at:
            self._buckets.append(_Bucket())
        return self._buckets[at]

    def _halve(self) -> None:
        for first, second in zip(self._buckets[::2], self._buckets[1::2], strict=False):
            first.add(second)
        del self._buckets[1::2]
        self.width_s *= 2


def _step(latency_ns: int) -> int:
    return int(math.log2(max(1, latency_ns)) * _STEPS)
