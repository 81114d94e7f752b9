"""The present of a run, as its events tell it: what every view of a run under way shows.

``pace``, ``bands``, ``watched`` and ``anomaly`` are those of :mod:`harness.run.onlooker`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Watch:
    """The present of a run, as its events tell it. Times are seconds on the history's clock."""

    run_dir: str = ""
    phase: str = "begin"
    time_s: float = 0.0
    limit_s: float = 0.0
    operations: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    rate: float = 0.0
    faults: tuple[str, ...] = ()
    nodes: Mapping[str, str] = field(default_factory=dict)
    last_error: str = ""
    pace: Mapping[str, Any] = field(default_factory=dict)
    bands: Sequence[Mapping[str, Any]] = ()
    watched: Sequence[str] = ()
    anomaly: Mapping[str, Any] | None = None

    def see(self, event: Mapping[str, Any]) -> list[str]:
        """Take in one event; what of it is told once, at once."""
        was_sighted = self.sighted()
        self._take_in(event)
        told = [self.sighted()] if self.sighted() != was_sighted else []
        if event["event"] == "warning":
            told.append(f"warning: {event.get('message')}")
        if event["event"] == "phase" and event.get("run_dir"):
            told.append(f"run: {event['run_dir']}")
        if event["event"] == "phase" and event.get("message"):
            told.append(f"{event['name']}: {event['message']}")
        return told

    def _take_in(self, event: Mapping[str, Any]) -> None:
        if event["event"] == "phase":
            self.phase = str(event.get("name", ""))
            self.run_dir = str(event.get("run_dir", self.run_dir))
            self.limit_s, self.rate, self.faults = 0.0, 0.0, ()
        elif event["event"] == "progress":
            self._see_progress(event)

    def _see_progress(self, event: Mapping[str, Any]) -> None:
        before, since_s = self.completed, self.time_s
        self.time_s = float(event["time_ns"]) / 1e9
        self.limit_s = float(event.get("limit_s") or 0.0)
        self.operations = event.get("operations") or {}
        self.faults = tuple(map(str, event.get("faults") or ()))
        self.nodes = event.get("nodes") or {}
        self.last_error = str(event.get("last_error") or "")
        self.pace, self.bands = event.get("pace") or {}, event.get("bands") or ()
        self.watched, self.anomaly = event.get("watched") or (), event.get("anomaly")
        if self.time_s > since_s:
            self.rate = (self.completed - before) / (self.time_s - since_s)

    @property
    def completed(self) -> int:
        """Operations with a completion of any type."""
        return sum(
            counts.get(type_, 0)
            for counts in self.operations.values()
            for type_ in ("ok", "fail", "info")
        )

    def headline(self) -> str:
        """Phase, time and pace in one line."""
        clock = f"{self.time_s:.0f}/{self.limit_s:.0f} s" if self.limit_s else ""
        pace = f"{self.rate:.0f} ops/s" if self.rate else ""
        return "  ".join(part for part in (self.phase, clock, pace) if part)

    def latencies(self) -> str:
        """``p50 1.2 ms, p99 14 ms`` of the latest stretch that had an answer."""
        latest = {name: _latest(self.pace.get(f"{name}_ms") or ()) for name in ("p50", "p99")}
        return ", ".join(f"{name} {ms(at)}" for name, at in latest.items() if at is not None)

    def sighted(self) -> str:
        """The first anomaly so far; empty where none was told."""
        found = self.anomaly
        if not found:
            return ""
        what = f"{found.get('kind')} at {float(found.get('time_s') or 0.0):.1f} s"
        return f"first anomaly so far: {what}: {found.get('message')}"

    def tallies(self) -> list[str]:
        """``read 10 ok 2 fail 1 info`` for each f."""
        return [
            f + "".join(f" {counts.get(t, 0)} {t}" for t in ("ok", "fail", "info"))
            for f, counts in sorted(self.operations.items())
        ]

    def trouble(self) -> list[str]:
        """What is wrong now: active faults, nodes that do not run, the last error."""
        lines = [f"faults: {', '.join(self.faults)}"] if self.faults else []
        if self.nodes:
            lines.append("nodes: " + " ".join(f"{n}={s}" for n, s in self.nodes.items()))
        return lines + ([f"last error: {self.last_error}"] if self.last_error else [])


def ms(value: float) -> str:
    """A latency in milliseconds, of three digits or so."""
    return f"{value:.0f} ms" if value >= 100 else f"{value:.2g} ms"


def _latest(values: Sequence[float | None]) -> float | None:
    return next((value for value in reversed(values) if value is not None), None)
