"""The rows of a store, kept in the user's own cache from one ``serve`` to the next.

Not in the store: that may be anybody's, and cannot always be written. The file is a hint and no
more: it is taken only where the user alone can have written it, each row only for a run that was
found and whose files are as they were, and whatever is odd about it is as if it were not there.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from harness.serve.rows import Row, row_of
from harness.store.untrusted import Folder

VERSION: Final = 3
MOST_BYTES: Final = 128 << 20
Stamped = tuple[str, Row]


def cache_folder() -> Path | None:
    """Where the user's caches are; ``None`` where nobody says."""
    named = os.environ.get("XDG_CACHE_HOME", "")
    try:
        # The standard says that a relative one is to be ignored.
        return Path(named) if Path(named).is_absolute() else Path.home() / ".cache"
    except RuntimeError:
        return None


class Kept:
    """The file for ``store`` in ``folder`` (the user's cache); without a folder nothing is kept."""

    def __init__(self, store: Path, folder: Path | None) -> None:
        self._name = f"{hashlib.sha256(os.fsencode(store)).hexdigest()[:32]}.json"
        self._store = os.fsencode(store).hex()
        self.folder = _own(folder)

    def rows(self) -> dict[str, Stamped]:
        """What was kept: a stamp and a row by path."""
        if self.folder is None:
            return {}
        inside = Folder(self.folder)
        try:
            if inside.stat(self._name).st_uid != os.geteuid():
                return {}
            said = inside.json(self._name, MOST_BYTES)
        except (OSError, ValueError):
            return {}
        if not isinstance(said, dict) or said.get("version") != VERSION:
            return {}
        runs = said.get("runs") if said.get("store") == self._store else None
        return dict(_entries(runs)) if isinstance(runs, list) else {}

    def put(self, rows: Mapping[str, Stamped]) -> None:
        """Keep ``rows``, if that is possible."""
        if self.folder is None:
            return
        runs = [[stamp, vars(row)] for stamp, row in rows.values()]
        said = {"version": VERSION, "store": self._store, "runs": runs}
        try:
            Folder(self.folder).write(self._name, json.dumps(said).encode())
        except OSError:
            self.folder = None


def _entries(runs: list[object]) -> list[tuple[str, Stamped]]:
    found = []
    for entry in runs:
        stamp, value = entry if isinstance(entry, list) and len(entry) == 2 else (None, None)
        row = row_of(value)
        if row is not None and isinstance(stamp, str):
            found.append((row.path, (stamp, row)))
    return found


def _own(folder: Path | None) -> Path | None:
    """Our folder in the user's cache, made where it is missing; ``None`` if others may write it."""
    if folder is None:
        return None
    ours = folder / "polygraph" / "indices"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for each in (ours.parent, ours):
            with contextlib.suppress(FileExistsError):
                each.mkdir(mode=0o700)
            found = os.lstat(each)
            is_own = stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid()
            if not is_own or found.st_mode & 0o022:
                return None
        return ours if os.access(ours, os.W_OK) else None
    except OSError:
        return None
