"""The program that tries a disk: what fails of ordinary calls, and how long they take.

``disk_trial PATH COUNT`` says it as JSON on its output. A process of its own, because a disk that
is slow on purpose keeps whoever calls it waiting.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
from functools import partial

from .disk_rules import CALLS, CHANGE, READ, SYNC, WRITE
from .disk_store import PAGE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


def main() -> None:
    """``sys.argv[2:]``: the file, and how often each call is made."""
    print(json.dumps(tried(sys.argv[2], int(sys.argv[3]))))


def tried(path: str, count: int) -> dict[str, Any]:
    """Do each of :data:`CALLS` ``count`` times to a file; what failed, by number, and the times."""
    took: dict[str, list[float]] = {call: [] for call in CALLS}
    errors: dict[str, dict[str, int]] = {call: {} for call in CALLS}

    def attempt(call: str, work: Callable[[], object]) -> None:
        began = time.monotonic()
        try:
            work()
        except OSError as error:
            number = str(error.errno)
            errors[call][number] = errors[call].get(number, 0) + 1
        took[call].append(time.monotonic() - began)

    may_write = True
    try:
        fd = os.open(path, os.O_RDWR)
    except OSError as error:  # a disk that may only be read is not opened for more
        errors[WRITE][str(error.errno)] = count
        fd = os.open(path, os.O_RDONLY)
        may_write = False
    place = os.fstat(fd).st_size
    direct = os.open(path, os.O_RDONLY | os.O_DIRECT)
    for at in range(count):
        if may_write:
            attempt(WRITE, partial(os.pwrite, fd, bytes(PAGE), place + at * PAGE))
        attempt(SYNC, lambda: os.fsync(fd))
        attempt(READ, lambda: os.pread(direct, PAGE, 0))
        attempt(CHANGE, lambda: os.fchmod(fd, 0o600))
    with contextlib.suppress(OSError):
        os.ftruncate(fd, PAGE)
    return {
        call: {
            "errors": errors[call],
            "median_s": sorted(took[call])[len(took[call]) // 2] if took[call] else 0.0,
        }
        for call in CALLS
    }
