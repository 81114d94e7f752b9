"""Counts what the journal of a run has taken, in a page of memory that outlives ``kill -9``.

Put first on PYTHONPATH by ``kill_runs.py``, for run processes alone. The file that
``POLYGRAPH_COUNTED`` names holds numbers of eight bytes: how many records ``Journal.append`` has
returned, how many of them are ``ok``, and the times of the last ones, that of record i at place
i modulo ``LAST``. A page that is mapped belongs to the kernel: a process that dies without a word
has written it all the same. So what is in it and not in the history was lost.
"""

from __future__ import annotations

import os
import sys

LAST = 1 << 14
HEAD = 16


def count(path: str) -> None:
    """Have every append noted in the file ``path``."""
    import mmap
    import struct

    from harness.history.journal import Journal
    from harness.history.operation import Operation

    with open(path, "wb+") as file:
        file.truncate(HEAD + 8 * LAST)
        page = mmap.mmap(file.fileno(), HEAD + 8 * LAST)
    taken, oks = Journal.append, 0

    def append(journal: Journal, operation: Operation) -> Operation:
        nonlocal oks
        recorded = taken(journal, operation)
        oks += recorded.type == "ok"
        struct.pack_into("<Q", page, HEAD + 8 * (recorded.index % LAST), recorded.time)
        struct.pack_into("<2Q", page, 0, recorded.index + 1, oks)
        return recorded

    Journal.append = append  # type: ignore[method-assign]


if "POLYGRAPH_COUNTED" in os.environ and "harness.run" in sys.orig_argv:
    count(os.environ["POLYGRAPH_COUNTED"])
