"""The hand that tells what a daemon has in use: processes, threads, open files and memory.

Of all that is of it together. Memory is what is resident: what each process has for itself, and of
what they share (a buffer pool, the program's text) the most that one of them sees, once.
"""

from __future__ import annotations

import os

from . import family

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from .inside import Inside

_THREADS = 17
"""Which of the fields of ``stat``, from the third on, is the number of threads."""


def usage(inside: Inside, request: dict[str, Any]) -> dict[str, Any]:
    """The hand: what the daemon ``process``, (pid, start ticks), has in use."""
    return {"usage": total(inside.daemons.members(*request["process"]))}


def total(pids: Iterable[int]) -> dict[str, int]:
    """What these processes have in use; ``open_files`` is missing where nobody may look."""
    page = os.sysconf("SC_PAGE_SIZE")
    found = {"processes": 0, "threads": 0, "open_files": 0, "memory_bytes": 0}
    most_shared = 0
    hidden = False
    for pid in pids:
        pages = [int(each) for each in family.read_file(f"/proc/{pid}/statm").split()[1:3]]
        fields = family.stat_fields(f"/proc/{pid}/stat")
        if len(pages) < 2 or len(fields) <= _THREADS:
            continue  # it has just ended
        try:
            files = len(os.listdir(f"/proc/{pid}/fd"))
        except PermissionError:
            hidden, files = True, 0
        except OSError:
            continue
        found["processes"] += 1
        found["threads"] += int(fields[_THREADS])
        found["open_files"] += files
        found["memory_bytes"] += (pages[0] - pages[1]) * page
        most_shared = max(most_shared, pages[1] * page)
    found["memory_bytes"] += most_shared
    if hidden:
        del found["open_files"]
    return found
