"""A bound on the memory that reading takes, for a size in bytes says little of it.

Two characters of JSON may be an object of a hundred bytes, so a file of a few kilobytes may be
within every bound of size and still want gigabytes. Where the kernel offers it, it is told how much
more this process may take meanwhile, and what is beyond fails cleanly.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

_in_use = threading.Lock()
"""The limit is the whole process's, so one reader sets it at a time."""


class TooMuch(Exception):
    """What was done wanted more memory than it may have."""


@contextlib.contextmanager
def at_most(most_bytes: int | None) -> Iterator[None]:
    """:class:`TooMuch` once more than ``most_bytes`` are taken inside; ``None`` is no bound."""
    is_beyond = False
    with _limited(most_bytes) as is_limited:
        try:
            yield
        except MemoryError:
            if not is_limited:
                raise
            is_beyond = True
    if is_beyond:  # said out here, so that nothing holds what had been made
        raise TooMuch


@contextlib.contextmanager
def _limited(most_bytes: int | None) -> Iterator[bool]:
    """Whether the kernel has been told; it is told again what held before."""
    if most_bytes is None or sys.platform != "linux" or not _in_use.acquire(blocking=False):
        yield False
        return
    try:
        import resource

        held = _held_bytes()
        soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
        wanted = None if held is None else held + most_bytes
        if wanted is None or 0 <= soft <= wanted or 0 <= hard <= wanted:
            yield False
            return
        resource.setrlimit(resource.RLIMIT_DATA, (wanted, hard))
        try:
            yield True
        finally:
            resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))
    finally:
        _in_use.release()


def _held_bytes() -> int | None:
    """Bytes that this process has taken, as the kernel counts them for the limit."""
    try:
        pages = Path("/proc/self/statm").read_text().split()[5]
        return int(pages) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return None
