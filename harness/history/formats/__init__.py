"""The file formats that a history can be written in and read from, one module each.

``jsonl`` is ours (JSON lines), ``json`` the array that elle-cli reads, ``edn`` the lines of
Jepsen, Knossos and elle-cli. Each has ``read(data, name) -> Adopted`` and
``write(header, operations, out)``; what one writes, it reads back with every field, the header
included (``jsonl``: the first line; ``json``: a last record of the nemesis; ``edn``: a comment).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import PurePath
from types import ModuleType
from typing import TYPE_CHECKING, BinaryIO, Final

from harness.errors import HistoryError, UsageError
from harness.history.adopt import Adopted
from harness.history.formats import edn, json_array, jsonl

if TYPE_CHECKING:
    from harness.history.history import History

FORMATS: Final[Mapping[str, ModuleType]] = {"edn": edn, "json": json_array, "jsonl": jsonl}
_BLANK: Final = re.compile(rb"(?:[\s,]+|;[^\n]*)*")


def export(history: History, out: BinaryIO, format: str) -> None:
    """Write ``history`` with its header to ``out`` in ``format`` (``edn``, ``json``, ``jsonl``)."""
    _known(format).write(history.header, history.operations, out)


def reader(format: str) -> Callable[[bytes, str], Adopted]:
    """The function that reads ``format``; ``UsageError`` if there is no such format."""
    read: Callable[[bytes, str], Adopted] = _known(format).read
    return read


def detect(data: bytes, name: str) -> str:
    """The format of ``data`` by its first characters, and by ``name`` where these leave it open.

    Raises ``HistoryError`` if it is none that we read.
    """
    first, second, third = _first_marks(data)
    is_named_edn = ".edn" in PurePath(name).suffixes
    if first in (b";", b"#", b"(") or b":" in (second, third if first == b"[" else b""):
        return "edn"
    if first == b"{" or not first:
        return "edn" if is_named_edn else "jsonl"
    if first == b"[":
        is_edn = second in (b"#", b"(", b";") or (is_named_edn and third != b'"')
        return "edn" if is_edn else "json"
    found = data[:40].decode(errors="replace").strip().split("\n")[0]
    raise HistoryError(
        f"{name}: line 1, column 1: expected a history (JSON lines, a JSON array or EDN), "
        f"found {found!r}",
        "convert it to one of these, or name the format if it is one of them",
    )


def _first_marks(data: bytes) -> tuple[bytes, bytes, bytes]:
    """The first three characters that are neither blank nor in an EDN comment."""
    marks = []
    if data.lstrip()[:1] == b";":
        return b";", b"", b""
    offset = 0
    for _ in range(3):
        match = _BLANK.match(data, offset)
        offset = match.end() if match is not None else offset
        marks.append(data[offset : offset + 1])
        offset += 1
    return marks[0], marks[1], marks[2]


def _known(format: str) -> ModuleType:
    module = FORMATS.get(format)
    if module is None:
        raise UsageError(f"there is no history format {format!r} (known: {', '.join(FORMATS)})")
    return module
