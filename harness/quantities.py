"""Lengths of time and sizes as people write them: ``90``, ``90s``, ``1m``, ``8h``; ``8GiB``.

One spelling for every flag, scenario key and environment twin. A bare number is seconds, or bytes.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any, Final

TIMES: Final = "90, 90s, 1.5s, 200ms, 1m, 8h or 1h30m"
SIZES: Final = "8GiB, 500MB or 1000000"

_UNITS_S: Final[Mapping[str, float]] = {
    "ns": 1e-9,
    "us": 1e-6,
    "µs": 1e-6,
    "ms": 1e-3,
    "s": 1.0,
    "m": 60.0,
    "min": 60.0,
    "h": 3600.0,
    "d": 86400.0,
}
_NUMBER: Final = r"\d+(?:\.\d+)?|\.\d+"
_PART: Final = re.compile(
    rf"({_NUMBER})\s*({'|'.join(sorted(_UNITS_S, key=len, reverse=True))})\s*"
)
_SIZE: Final = re.compile(rf"({_NUMBER})\s*(?:([KMGT])(i?)B?|B)?", re.IGNORECASE)


def seconds(value: Any, unit_s: float = 1.0) -> float:
    """``value`` in seconds; ``ValueError`` if it is no length of time.

    A bare number, in text or not, counts units of ``unit_s`` seconds.
    """
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ValueError(f"{value} is no length of time")
    if isinstance(value, int | float):
        return _finite(float(value) * unit_s)
    text = value.strip()
    if re.fullmatch(rf"[-+]?(?:{_NUMBER})(?:e[-+]?\d+)?", text, re.IGNORECASE):
        return _finite(float(text) * unit_s)
    parts, at = [], 0
    while match := _PART.match(text, at):
        parts.append(float(match[1]) * _UNITS_S[match[2]])
        at = match.end()
    if not parts or at != len(text):
        raise ValueError(f"{value} is no length of time")
    return _finite(sum(parts))


def size(value: Any) -> int:
    """``value`` in bytes, as ``8GiB``, ``500MB`` or a number; ``ValueError`` if it is no size."""
    match = _SIZE.fullmatch(str(value).strip())
    if match is None or isinstance(value, bool):
        raise ValueError(f"{value} is no size")
    power = " KMGT".index(match[2].upper()) if match[2] else 0
    bytes_ = int(float(match[1]) * (1024 if match[3] else 1000) ** power)
    if bytes_ < 1:
        raise ValueError(f"{value} is no size")
    return bytes_


def spelled(seconds_: float) -> str:
    """A length of time as it can be read back: ``60s``, ``2.5s``."""
    return f"{seconds_:.15g}s"


def _finite(value: float) -> float:
    if not math.isfinite(value):
        raise ValueError(f"{value} is no length of time")
    return value
