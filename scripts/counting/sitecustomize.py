"""Counts what the journal of a run has taken, in a page of memory that outlives ``kill -9``.

Put first on PYTHONPATH by ``kill_runs.py``, for run processes alone. The file that
``POLYGRAPH_COUNTED`` names holds, as three numbers of eight bytes: the records that
``Journal.append`` has returned, how many of them are ``ok``, and the time of the last. A page that
is mapped belongs to the kernel: a process that dies without a word has written it all the same.
So what is in it and not in the history was lost.
"""

from __future__ import annotations

import os
import sys

SIZE = 24


def count(path: str) -> None:
    """Have every append noted in the file ``path``."""
    import mmap
    import struct

    from harness.history.journal import Journal
    from harness.history.operation import Operation

    with open(path, "wb+") as file:
        file.truncate(SIZE)
        page = mmap.mmap(file.fileno(), SIZE)
    taken, oks = Journal.append, 0

    def append(journal: Journal, operation: Operation) -> Operation:
        nonlocal oks
        recorded = taken(journal, operation)
        oks += recorded.type == "ok"
        struct.pack_into("<3Q", page, 0, recorded.index + 1, oks, recorded.time)
        return recorded

    Journal.append = append  # type: ignore[method-assign]


if "POLYGRAPH_COUNTED" in os.environ and "harness.run" in sys.orig_argv:
    count(os.environ["POLYGRAPH_COUNTED"])
