"""Entries written out as the records that they would come from."""

from __future__ import annotations

from collections.abc import Sequence

from checkers.linearizable.register_entries import Entry
from harness.history.history import History
from harness.history.operation import Operation


def history_of(entries: Sequence[Entry]) -> History:
    """A history whose entries, from an initial 0, are ``entries``; gaps are the nemesis'."""
    records: dict[int, Operation] = {}
    for entry in entries:
        f, asked = "cas", [entry.seen, entry.made]
        if entry.is_read:
            f, asked = "read", None
        elif entry.seen < 0:
            f, asked = "write", entry.made
        at, process = entry.at, entry.at
        records[at] = Operation(at, at, process, "invoke", f, asked)
        if not entry.is_open:
            answer = entry.seen if entry.is_read else asked
            end = entry.complete
            records[end] = Operation(end, end, process, "ok", f, answer)
    quiet = Operation(-1, -1, "nemesis", "info", "nothing", None)
    return History(
        [records.get(position, quiet) for position in range(max(records, default=-1) + 1)]
    )
