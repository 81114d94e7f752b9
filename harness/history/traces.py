"""Trace ids: 16 bytes that follow from the run and the operation, so that none need be stored."""

from __future__ import annotations

from functools import lru_cache
from hashlib import sha256

_BYTES = 8


def trace_id_of(run: str, index: int) -> str:
    """The trace id of the operation whose invocation is record ``index`` of ``run``, in hex.

    The first 8 bytes of the SHA-256 of the run's id, then the index as 8 bytes, big-endian.
    """
    return _prefix(run) + format(index, "016x")


def span_id_of(trace_id: str) -> str:
    """The id of the span that the client's own work on an operation is, in hex; it follows, too.

    The first 8 bytes of the SHA-256 of the trace id's 16 bytes.
    """
    return sha256(bytes.fromhex(trace_id)).digest()[:_BYTES].hex()


def index_of(run: str, trace_id: str) -> int | None:
    """The index of the invocation that ``trace_id`` is of, or ``None`` if it is not of ``run``."""
    prefix = _prefix(run)
    if len(trace_id) != 4 * _BYTES or not trace_id.lower().startswith(prefix):
        return None
    try:
        return int(trace_id[2 * _BYTES :], 16)
    except ValueError:
        return None


@lru_cache(maxsize=16)
def _prefix(run: str) -> str:
    return sha256(run.encode()).digest()[:_BYTES].hex()
