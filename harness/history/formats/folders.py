"""Histories that are folders: Cobra's logs, dbcop's ``history.bincode``, a report of etcd's tests.

A folder is told by the names of the files in it and by what these begin with. What lies in one may
be anybody's: only plain files are read (:mod:`harness.store.untrusted`), and no more of them
together than of a file.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from harness.errors import HistoryError
from harness.history.bounds import Bounds, beyond
from harness.history.formats import cobra, dbcop, etcd_operations
from harness.history.history import History
from harness.store.untrusted import Folder, TooLarge

_MOST_FILES: Final = 10_000
_CLIENT: Final = re.compile(rf"client-\d+/{re.escape(etcd_operations.FILE)}")
_HEAD: Final = 64

Read = Callable[[Mapping[str, bytes], str], History]


@dataclass(frozen=True)
class Foreign:
    """A folder of another tool: its format, the files that count, and who reads them."""

    format: str
    files: Sequence[str]
    read: Read


def foreign(path: Path, format: str | None = None) -> Foreign | None:
    """What the folder ``path`` is; ``None`` if it is none of these, or not of ``format``."""
    folder = Folder(path)
    names = list(folder.files("", _MOST_FILES, lambda name: name.startswith("client-")))
    logs = [name for name in names if name.endswith(".log") and "/" not in name]
    found: Foreign | None = None
    if "history.bincode" in names:
        found = Foreign(dbcop.NAME, ["history.bincode"], _dbcop)
    elif clients := [name for name in names if _CLIENT.fullmatch(name)]:
        found = Foreign(etcd_operations.NAME, clients, etcd_operations.read_files)
    elif logs and _are_cobras(folder, logs):
        found = Foreign(cobra.NAME, logs, cobra.read_files)
    return found if found is None or format in (None, found.format) else None


def read_foreign(path: Path, found: Foreign, bounds: Bounds) -> History:
    """The history of the folder ``path``; ``HistoryError`` beyond ``bounds`` or if it is odd."""
    folder, most = Folder(path), bounds.held(is_whole=False)
    files: dict[str, bytes] = {}
    left = most
    for name in found.files:
        try:
            files[f"{path}/{name}"] = folder.read(name, left)
        except TooLarge:
            raise beyond(str(path), "files of more", most) from None
        except OSError as error:
            raise HistoryError(f"{path / name}: cannot be read: {error.strerror}") from error
        left -= len(files[f"{path}/{name}"])
    return found.read(files, str(path))


def _are_cobras(folder: Folder, logs: Iterable[str]) -> bool:
    """Whether every log begins as one of Cobra's, or is empty."""
    heads = []
    for name in logs:
        try:
            with folder.open(name) as file:
                heads.append(file.read(_HEAD))
        except OSError:
            return False
    return any(heads) and all(cobra.looks_so(head) or not head for head in heads)


def _dbcop(files: Mapping[str, bytes], name: str) -> History:
    ((file, data),) = files.items()
    return dbcop.read(data, file)
