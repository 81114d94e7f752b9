"""The timeline's data: every call of the run as columns in one JSON script.

The page's own program draws from flat arrays, so the data travels as columns: times as differences
in microseconds (in records, where nobody took times), texts once in a table and as numbers
elsewhere. 100,000 calls take a few megabytes and no decompression. Where values are long, the limit
for each falls until all text fits; where there are more calls than a page can hold, those around
anomalies are kept and the rest is thinned evenly, and the page says so. O(calls).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from harness.report.bands import Band
from harness.report.display import visible
from harness.report.intervals import Calls
from harness.report.wording import Wording

MOST_CALLS: Final = 250_000
MOST_TEXT: Final = 6_000_000
"""Characters of values on the page."""
_LIMITS: Final = (400, 120, 40, 16)
_KEPT_AROUND: Final = 2_000
"""Calls kept on either side of each anomaly when thinning."""


@dataclass
class _Texts:
    """A table of texts, each stored once; number 0 is the empty text."""

    numbers: dict[str, int] = field(default_factory=lambda: {"": 0})
    characters: int = 0

    def number(self, text: str) -> int:
        known = self.numbers.get(text)
        if known is not None:
            return known
        self.characters += len(text)
        self.numbers[text] = len(self.numbers)
        return len(self.numbers) - 1


def script_json(data: Any) -> str:
    """JSON that may stand in a ``<script>``: ASCII, and no ``<``, ``>`` or ``&`` in it.

    Autoescape cannot do this (a script's text is not HTML), and ``</script>`` in a value would
    end the script; U+2028 and lone surrogates are escaped by the ASCII form.
    """
    text = json.dumps(data, separators=(",", ":"), ensure_ascii=True)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def timeline_data(
    calls: Calls,
    bands: Sequence[Band],
    anomalies: Sequence[dict[str, Any]],
    *,
    wording: Wording,
    threads: int | None,
) -> dict[str, Any]:
    """Everything the timeline needs; ``anomalies`` are ``{number, title, calls, start, end}``."""
    kept = _kept(calls, anomalies)
    renumbered = {call: at for at, call in enumerate(kept.tolist())}
    data = _columns(calls, kept, wording)
    data["threads"] = threads or 0
    wall_ns = calls.history.header.start_wall_ns
    data["wall_ms"] = None if wall_ns is None else wall_ns / 1e6
    data["left_out"] = len(calls) - len(kept)
    data["keyed"] = calls.keyed
    data["timed"] = calls.is_timed
    unit = _unit_ns(calls)
    data["bands"] = [_band(band, unit) for band in bands if band.was_injected]
    data["anomalies"] = [
        {
            **anomaly,
            "calls": [renumbered[call] for call in anomaly["calls"]],
            "start": anomaly["start"] // unit,
            "end": anomaly["end"] // unit,
        }
        for anomaly in anomalies
    ]
    return data


def _unit_ns(calls: Calls) -> int:
    """What one step on the page's axis is: a microsecond, or a record where nobody took times."""
    return 1000 if calls.is_timed else 1


def _kept(calls: Calls, anomalies: Sequence[dict[str, Any]]) -> Any:
    """Numbers of the calls that go into the page, ascending."""
    count = len(calls)
    if count <= MOST_CALLS:
        return np.arange(count)
    keep = np.zeros(count, dtype=bool)
    keep[:: -(-count // (MOST_CALLS // 2))] = True
    for anomaly in anomalies:
        for call in anomaly["calls"]:
            keep[max(call - _KEPT_AROUND, 0) : call + _KEPT_AROUND] = True
    return np.flatnonzero(keep)


def _columns(calls: Calls, kept: Any, wording: Wording) -> dict[str, Any]:
    unit = _unit_ns(calls)
    start, end = calls.start[kept] // unit, calls.end[kept] // unit
    return {
        "start": np.diff(start, prepend=0).tolist(),
        "took": (end - start).tolist(),
        "index": _indices(calls, calls.invoke[kept]),
        "done": _indices(calls, calls.complete[kept]),
        "process": calls.process[kept].tolist(),
        "type": "".join(map(str, calls.type[kept].tolist())),
        "f": calls.f[kept].tolist(),
        "f_names": [visible(name, 40) for name in calls.f_names],
        "txn_f": wording.transactions,
        **_texts(kept.tolist(), wording),
    }


def _indices(calls: Calls, positions: Any) -> list[int]:
    """Indices of the records at ``positions``; -1 where there is none."""
    operations = calls.history.operations
    return [operations[at].index if at >= 0 else -1 for at in positions.tolist()]


def _texts(kept: Sequence[int], wording: Wording) -> dict[str, Any]:
    """Keys, values, errors and nodes as numbers into one table, under the text budget."""
    for limit in _LIMITS:
        table = _Texts()
        columns = {
            "key": [table.number(wording.key(call) or "") for call in kept],
            "asked": [table.number(wording.asked(call, limit)) for call in kept],
            "answered": [table.number(wording.answered(call, limit)) for call in kept],
            "error": [table.number(wording.error(call, limit)) for call in kept],
            "node": [table.number(wording.node(call)) for call in kept],
        }
        if table.characters <= MOST_TEXT or limit == _LIMITS[-1]:
            break
    return {**columns, "texts": list(table.numbers), "value_limit": limit}


def _band(band: Band, unit_ns: int) -> dict[str, Any]:
    return {
        "fault": visible(band.fault, 60),
        "label": visible(band.label, 100),
        "start": band.start // unit_ns,
        "end": band.end // unit_ns,
        "healed": "healed" in band.times or band.is_moment,
        "moment": band.is_moment,
        "targets": visible(", ".join(band.targets), 200),
    }
