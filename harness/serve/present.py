"""What a run under way last said of itself, cut to the shape that the live page shows."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

from harness.report.display import visible
from harness.store.untrusted import Folder

MOST_BYTES: Final = 1 << 20
MOST_ENTRIES: Final = 200
TYPES: Final = ("ok", "fail", "info")
_TEXTS: Final = ("phase", "last_error")
_NUMBERS: Final = ("time_s", "limit_s")
_LATENCIES: Final = ("p50_ms", "p99_ms")
MOST_BUCKETS: Final = 1000
_MOST: Final = 1 << 53
"""The greatest number that a browser's arithmetic knows exactly."""


def present_of(run: Folder) -> dict[str, Any]:
    """``evidence/progress.json``, of which only what has its right shape is taken."""
    try:
        said = run.json("evidence/progress.json", MOST_BYTES)
    except (OSError, ValueError):
        return {}
    if not isinstance(said, dict):
        return {}
    found: dict[str, Any] = {
        name: visible(said[name]) for name in _TEXTS if isinstance(said.get(name), str)
    }
    found |= {name: said[name] for name in _NUMBERS if _is_number(said.get(name))}
    if isinstance(said.get("operations"), dict):
        found["operations"] = {visible(f): _counts(n) for f, n in _some(said["operations"])}
    if isinstance(said.get("faults"), list):
        faults = said["faults"][:MOST_ENTRIES]
        found["faults"] = [visible(fault) for fault in faults if isinstance(fault, str)]
    if isinstance(said.get("nodes"), dict):
        nodes = _some(said["nodes"])
        found["nodes"] = {
            visible(n): visible(state) for n, state in nodes if isinstance(state, str)
        }
    pace = pace_of(said.get("pace"))
    if pace:
        found["pace"] = pace
    if isinstance(said.get("bands"), list):
        bands = (band_of(band) for band in said["bands"][-MOST_ENTRIES:])
        found["bands"] = [band for band in bands if band]
    anomaly = said.get("anomaly")
    if isinstance(anomaly, dict) and _is_number(anomaly.get("time_s")):
        texts = {name: _text(anomaly.get(name)) for name in ("kind", "message")}
        found["anomaly"] = {"time_s": anomaly["time_s"], **texts}
    if isinstance(said.get("watched"), list):
        watched = said["watched"][:MOST_ENTRIES]
        found["watched"] = [visible(name) for name in watched if isinstance(name, str)]
    return found


def pace_of(said: Any) -> dict[str, Any]:
    """The buckets of :mod:`harness.run.pace`, all of one length; empty where they are not so."""
    if not isinstance(said, dict) or not _is_number(said.get("width_s")) or said["width_s"] <= 0:
        return {}
    lists = {name: said.get(name) for name in (*TYPES, *_LATENCIES)}
    if not all(isinstance(values, list) for values in lists.values()):
        return {}
    length = min(MOST_BUCKETS, *(len(values or ()) for values in lists.values()))
    counts = {name: [_count(n) for n in (lists[name] or ())[:length]] for name in TYPES}
    times = {name: [_time(t) for t in (lists[name] or ())[:length]] for name in _LATENCIES}
    return {"width_s": said["width_s"], **counts, **times}


def band_of(said: Any) -> dict[str, Any]:
    """One fault; empty where it has no beginning."""
    if not isinstance(said, dict) or not _is_number(said.get("start_s")):
        return {}
    targets = said["targets"][:MOST_ENTRIES] if isinstance(said.get("targets"), list) else []
    end = said.get("end_s")
    return {
        "fault": _text(said.get("fault")),
        "targets": [visible(target) for target in targets if isinstance(target, str)],
        "start_s": said["start_s"],
        "end_s": end if _is_number(end) else None,
    }


def _text(value: Any) -> str:
    return visible(value) if isinstance(value, str) else ""


def _count(value: Any) -> float:
    return value if _is_number(value) and value >= 0 else 0


def _time(value: Any) -> float | None:
    return value if _is_number(value) and value > 0 else None


def _some(values: Mapping[str, Any]) -> list[tuple[str, Any]]:
    return list(values.items())[:MOST_ENTRIES]


def _counts(value: Any) -> dict[str, int]:
    known = value if isinstance(value, dict) else {}
    return {kind: int(known[kind]) for kind in TYPES if _is_number(known.get(kind))}


def _is_number(value: Any) -> bool:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return is_number and abs(value) < _MOST and math.isfinite(value)
