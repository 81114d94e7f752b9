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
    return found


def _some(values: Mapping[str, Any]) -> list[tuple[str, Any]]:
    return list(values.items())[:MOST_ENTRIES]


def _counts(value: Any) -> dict[str, int]:
    known = value if isinstance(value, dict) else {}
    return {kind: int(known[kind]) for kind in TYPES if _is_number(known.get(kind))}


def _is_number(value: Any) -> bool:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return is_number and abs(value) < _MOST and math.isfinite(value)
