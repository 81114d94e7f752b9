"""Every format by its name: who reads it, how it is told, and those that say everything."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from types import ModuleType
from typing import BinaryIO, Final

from harness.errors import HistoryError, UsageError
from harness.history.adopt import Adopted
from harness.history.formats import (
    awdit,
    chaos,
    cobra,
    dbcop,
    dbcop_json,
    edn,
    etcd_operations,
    jepsen_log,
    json_array,
    jsonl,
    plume,
    veristrong,
)
from harness.history.formats.detection import detect, opens_with
from harness.history.history import History
from harness.wording import shown

Reader = Callable[[bytes, str], Adopted | History]

FORMATS: Final[Mapping[str, ModuleType]] = {"edn": edn, "json": json_array, "jsonl": jsonl}
"""What says everything, if only with tags."""
READERS: Final[Mapping[str, Reader]] = {
    **{name: module.read for name, module in FORMATS.items()},
    "jepsen-log": jepsen_log.read,
    plume.NAME: plume.read,
    awdit.NAME: awdit.read,
    cobra.NAME: cobra.read,
    dbcop.NAME: dbcop.read,
    dbcop_json.NAME: dbcop_json.read,
    veristrong.NAME: veristrong.read,
    etcd_operations.NAME: etcd_operations.read,
    chaos.NAME: chaos.read,
}
WHOLE: Final = frozenset(("json", "dbcop", "dbcop-json", "cobra"))
"""Formats in which a record is no line."""
TIMED: Final = frozenset((etcd_operations.NAME,))
"""Formats of other tools with times of one clock."""

__all__ = ["FORMATS", "READERS", "TIMED", "WHOLE", "detect", "export", "opens_with", "reader"]


def export(history: History, out: BinaryIO, format: str) -> None:
    """Write ``history`` with its header to ``out`` in ``format`` (``edn``, ``json``, ``jsonl``)."""
    module = FORMATS.get(format)
    if module is None:
        raise _no_format(format, FORMATS)
    module.write(history.header, history.operations, out)


def reader(format: str | None, data: bytes = b"", name: str = "") -> Reader:
    """The function that reads ``format``, or what ``data`` begins with.

    ``UsageError`` if there is no such format; ``HistoryError`` where ``data`` is a part of a
    history alone, which nobody but the user can know to be all.
    """
    if format is None:
        return _ALONE.get(found := detect(data, name), READERS[found])
    if format not in READERS:
        raise _no_format(format, READERS)
    return READERS[format]


def _one_session(data: bytes, name: str) -> History:
    raise HistoryError(
        f"{name}: is the log of one session of Cobra's: what others wrote is not in it",
        f"the folder that holds the logs of all sessions, or -f {cobra.NAME} if this is all",
    )


_ALONE: Final[Mapping[str, Reader]] = {
    cobra.NAME: _one_session,
    etcd_operations.NAME: etcd_operations.read_alone,
}


def _no_format(format: str, known: Iterable[str]) -> UsageError:
    return UsageError(f"there is no history format {shown(format)} (known: {', '.join(known)})")
