"""The catalogue of a store: one row a run, in memory, read again where a run's files have changed.

The run folders alone are the truth. A look through the store costs a few ``stat`` calls a run
(:mod:`harness.serve.rows`); a row is read again when the time, size or kind of the files that it
is read from has changed, so an index of ten thousand runs costs no reading of ten thousand files.
Rows of folders that are gone go too. What was read is kept for the next time in the user's own
cache (:mod:`harness.serve.kept`), never in the store.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

from harness.serve.kept import Kept, Stamped
from harness.serve.rows import Row, row, run_folders
from harness.serve.soaks import Soak, soaks_of
from harness.store.untrusted import Folder

KEEP_INTERVAL_S: Final = 60.0
"""Between two times that the rows are written to the cache."""
EQUAL: Final = {"system": "system", "workload": "workload", "verdict": "status", "kind": "kind"}
"""What a filter must equal, and of which field."""


@dataclass(frozen=True)
class State:
    """What one look found. Never changes, so any thread may read it; ``number`` grows."""

    number: int
    all_rows: Sequence[Row]
    soaks: Sequence[Soak]
    troubles: Sequence[str]

    def rows(self, wanted: Mapping[str, str]) -> list[Row]:
        """The rows that fit, the newest first.

        ``wanted`` may hold ``system workload verdict kind`` (equal), ``fault`` (one of the run's),
        ``since`` and ``until`` (ISO 8601, compared as text); empty values are no filter.
        """
        return [row for row in self.all_rows if _fits(row, wanted)]

    @cached_property
    def choices(self) -> dict[str, list[str]]:
        """What there is to filter by."""
        chosen = {
            name: sorted({str(getattr(row, of)) for row in self.all_rows})
            for name, of in EQUAL.items()
        }
        return {**chosen, "fault": sorted({name for row in self.all_rows for name in row.faults})}


def _fits(row: Row, wanted: Mapping[str, str]) -> bool:
    return (
        all(getattr(row, of) == wanted[name] for name, of in EQUAL.items() if wanted.get(name))
        and (not wanted.get("fault") or wanted["fault"] in row.faults)
        and (not wanted.get("since") or row.began >= wanted["since"])
        and (not wanted.get("until") or row.began <= wanted["until"])
    )


class Catalogue:
    """The rows of ``store``. ``refresh`` is for one thread at a time; a state is for all."""

    def __init__(
        self, store: Path, kept: Kept, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.store = store.resolve()
        self._inside = Folder(self.store)
        self._kept = kept
        self._clock = clock
        self._kept_at: float | None = None
        self._is_kept = True
        self._rows: dict[str, Stamped] | None = None
        self.state = State(0, [], [], [])

    def refresh(self) -> State:
        """What the store holds now."""
        known = self._kept.rows() if self._rows is None else self._rows
        troubles: list[str] = []
        rows: dict[str, Stamped] = {}
        for path, stamp in run_folders(self.store, troubles):
            entry = known.get(path)
            # Of a run under way nothing need change when it ends without a word.
            is_known = entry is not None and entry[0] == stamp and entry[1].state != "under way"
            rows[path] = entry if is_known and entry else (stamp, row(self._inside, path))
        soaks = soaks_of(self._inside, self.state.soaks)
        if self._rows is None or rows != self._rows:
            self._rows, self._is_kept = rows, False
            ordered = sorted(
                (each for _, each in rows.values()), key=lambda each: (each.began, each.path)
            )
            self.state = State(self.state.number + 1, ordered[::-1], soaks, troubles)
        elif soaks != self.state.soaks or troubles != self.state.troubles:
            every = self.state.all_rows
            self.state = State(self.state.number + 1, every, soaks, troubles)
        if self._kept_at is None or self._clock() - self._kept_at > KEEP_INTERVAL_S:
            self.keep()
        return self.state

    def keep(self) -> None:
        """Write what was read to the cache, if something is new."""
        if not self._is_kept and self._rows is not None:
            self._kept.put(self._rows)
            self._kept_at, self._is_kept = self._clock(), True


def as_json(rows: Sequence[Row]) -> str:
    """Rows as JSON, for scripts."""
    return json.dumps([vars(row) for row in rows])
