"""Writes a history in any format that can say it, as a file or a folder.

``edn``, ``json`` and ``jsonl`` say everything. The formats of other tools say transactions in
sessions (:mod:`harness.history.formats.losses`); ``jepsen-log`` and ``chaos`` single operations in
order. ``etcd-operations`` is read alone: its requests and revisions are in no other history.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import BinaryIO, Final

from harness.errors import UsageError
from harness.history.formats import (
    awdit,
    chaos,
    cobra,
    dbcop,
    dbcop_json,
    jepsen_log,
    plume,
    veristrong,
)
from harness.history.formats.known import FORMATS, export
from harness.history.formats.losses import Losses
from harness.history.history import History
from harness.wording import shown

Write = Callable[[History, BinaryIO, Losses], None]

FILES: Final[Mapping[str, Write]] = {
    module.NAME: module.write
    for module in (jepsen_log, plume, awdit, dbcop, dbcop_json, veristrong, chaos)
}
FOLDERS: Final = frozenset((cobra.NAME,))
WRITTEN: Final = (*FORMATS, *FILES, *sorted(FOLDERS))
"""Every format that can be written."""


@dataclass(frozen=True)
class Converted:
    """One file: ``name`` is that within a folder, or empty where the file is all."""

    name: str
    write: Callable[[BinaryIO], object]


def converted(history: History, format: str, losses: Losses) -> Iterator[Converted]:
    """The files that say ``history`` in ``format``; ``HistoryError`` where it cannot."""
    if format in FORMATS:
        yield Converted("", lambda out: export(history, out, format))
    elif format in FILES:
        yield Converted("", lambda out: FILES[format](history, out, losses))
    elif format in FOLDERS:
        for name, data in cobra.write_files(history, losses):
            yield Converted(name, lambda out, data=data: out.write(data))  # type: ignore[misc]
    else:
        raise UsageError(f"{shown(format)} cannot be written (known: {', '.join(WRITTEN)})")
