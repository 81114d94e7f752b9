"""Fault bands: when which fault was in force, from the ledger or else from the history.

The ledger is the truth (it is written before each injection and carries the proofs). An imported
history has none; there the nemesis' own operations (``start-partition`` ... ``stop-partition``,
Jepsen's ``start`` ... ``stop``) give the bands.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from harness.history.faults import RecordedFault, recorded_faults
from harness.history.history import History
from harness.history.ledger import (
    BIT,
    DISARMED,
    DONE,
    FAILED,
    HEALED,
    INJECTED,
    INTEND,
    REFUSED,
    LedgerEntry,
)
from harness.report.display import shown, visible

_OPENS = re.compile(r"^(?:start|begin|inject)(?:[-_](?P<what>.+))?$")
_CLOSES = re.compile(r"^(?:stop|heal|end)(?:[-_](?P<what>.+))?$")


@dataclass(frozen=True, kw_only=True)
class Band:
    """One injection of one fault, or one action; times in nanoseconds since the start of the run.

    ``start`` is the intention, which is on disk before the injection: a fault whose injection never
    came back may have been in force. One that was armed ahead starts when it was fired. ``end`` is
    the end of the history where no heal is known; an action is a moment. ``what`` says it in words;
    ``proofs`` are the measured sentences by event.
    """

    fault: str
    start: int
    end: int
    targets: tuple[str, ...] = ()
    shape: str = ""
    what: str = ""
    is_moment: bool = False
    times: Mapping[str, int] = field(default_factory=dict)
    proofs: Mapping[str, str] = field(default_factory=dict)

    @property
    def was_injected(self) -> bool:
        """Whether the fault was, or may have been, in force."""
        known = any(event in self.times for event in (INJECTED, BIT, HEALED))
        return known or not {FAILED, DISARMED} & self.times.keys() or self.is_moment

    @property
    def label(self) -> str:
        """Name and shape, for the picture."""
        return f"{self.fault} ({self.shape})" if self.shape else self.fault

    def overlaps(self, start: int, end: int) -> bool:
        """Whether the fault was in force at some moment of ``[start, end]``."""
        return self.start <= end and self.end >= start


def bands_of_ledger(entries: Iterable[LedgerEntry], last_ns: int) -> list[Band]:
    """One band for each fault id, in order of their intention."""
    bands = [_band(fault, last_ns) for fault in recorded_faults(entries)]
    return sorted(bands, key=lambda band: band.start)


def _band(fault: RecordedFault, last_ns: int) -> Band:
    group = fault.entries
    times: dict[str, int] = {}
    proofs: dict[str, str] = {}
    targets: dict[str, None] = {}
    for entry in group:
        times.setdefault(entry.event, entry.time)
        targets.update(dict.fromkeys(visible(name, 60) for name in entry.targets))
        if entry.event in (BIT, HEALED, FAILED, DISARMED, DONE, REFUSED):
            proofs[entry.event] = _proof(entry.detail)
    start = group[0].time if fault.intended_ns is None else fault.intended_ns
    start = start if fault.fired_ns is None else fault.fired_ns
    end = max(last_ns, start) if fault.healed_ns is None else fault.healed_ns
    is_moment = fault.is_action and fault.disarmed_ns is None
    if is_moment and fault.healed_ns is None:
        end = start
    shape = next((text for entry in group if (text := _shape(entry.detail))), "")
    return Band(
        fault=visible(fault.fault, 60),
        start=start,
        end=max(end, start),
        targets=tuple(targets),
        shape=shape,
        is_moment=is_moment,
        what=next((shown(e.detail["what"]) for e in group if _tells(e)), ""),
        times=times,
        proofs=proofs,
    )


def _tells(entry: LedgerEntry) -> bool:
    return entry.event in (INTEND, INJECTED) and isinstance(entry.detail.get("what"), str)


def _proof(detail: Mapping[str, Any]) -> str:
    """The sentence of a measurement, wherever the writer put it; else the whole detail."""
    nested = detail.get("proof")
    source = nested if isinstance(nested, Mapping) else detail
    for key in ("what", "why", "message", "error"):
        if isinstance(source.get(key), str):
            return shown(source[key])
    return shown(nested if nested is not None else dict(detail)) if detail else ""


def _shape(detail: Mapping[str, Any]) -> str:
    for source in (detail, detail.get("plan")):
        if isinstance(source, Mapping):
            for key in ("shape", "action", "target"):
                if isinstance(source.get(key), str):
                    return shown(source[key], 40)
    return ""


def bands_of_history(history: History, last_ns: int) -> list[Band]:
    """Bands from the nemesis' operations alone, for histories without a ledger.

    A fault counts from the first record of its start to the last record of its stop.
    """
    bands: list[Band] = []
    open_at: dict[str, int] = {}
    for position, operation in enumerate(history.operations):
        if operation.is_client:
            continue
        opens, closes = _OPENS.match(operation.f), _CLOSES.match(operation.f)
        if opens:
            open_at.setdefault(opens["what"] or "fault", operation.time)
        elif closes and history.pairs[position] < position:
            name = closes["what"] or "fault"
            if name in open_at:
                bands.append(_plain(name, open_at.pop(name), operation.time, last_ns))
    bands.extend(_plain(name, start, None, last_ns) for name, start in open_at.items())
    return sorted(bands, key=lambda band: band.start)


def _plain(name: str, start: int, healed: int | None, last_ns: int) -> Band:
    times = {"injected": start} if healed is None else {"injected": start, "healed": healed}
    end = max(last_ns, start) if healed is None else healed
    return Band(fault=visible(name, 60), start=start, end=end, times=times)
