"""Large histories that are in memory as bytes (they came compressed, or by standard input).

The compiled scanners read files in blocks, from two threads, and again where an operation is
asked for. So the bytes go into a file of the kernel's memory that has no name anywhere and ends
with the history.
"""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable
from pathlib import Path

from harness.history.history import History


def read_spooled(data: bytes, read: Callable[[Path], History | None]) -> History | None:
    """What ``read`` makes of a file that holds ``data``; ``None`` where it declines.

    Also where the system has no such files (they are Linux's).
    """
    if not hasattr(os, "memfd_create"):
        return None
    descriptor = os.memfd_create("history")
    history = None
    try:
        with open(descriptor, "wb", closefd=False) as file:
            file.write(data)
        history = read(Path(f"/proc/self/fd/{descriptor}"))
    finally:
        if history is None:
            os.close(descriptor)
    if history is not None:
        weakref.finalize(history.operations, os.close, descriptor)
    return history
