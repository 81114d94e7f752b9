"""The file formats that a history can be written in and read from, one module each.

``jsonl`` is ours (JSON lines), ``json`` the array that elle-cli reads, ``edn`` the lines of
Jepsen, Knossos and elle-cli. Each has ``read(data, name) -> Adopted`` and
``write(header, operations, out)``; what one writes, it reads back with every field, the header
included (``jsonl``: the first line; ``json``: a last record of the nemesis; ``edn``: a comment).

Read only: ``jepsen-log`` (old Jepsen logs, ``jepsen.log``, ``history.txt``), ``plume`` and
``awdit`` (transactions in sessions).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import PurePath
from types import ModuleType
from typing import TYPE_CHECKING, BinaryIO, Final

from harness.errors import HistoryError, UsageError
from harness.history.adopt import Adopted
from harness.history.formats import edn, jepsen_log, json_array, jsonl, sessions

if TYPE_CHECKING:
    from harness.history.history import History

FORMATS: Final[Mapping[str, ModuleType]] = {"edn": edn, "json": json_array, "jsonl": jsonl}
READERS: Final[Mapping[str, Callable[[bytes, str], Adopted]]] = {
    **{name: module.read for name, module in FORMATS.items()},
    "jepsen-log": jepsen_log.read,
    "plume": sessions.read_plume,
    "awdit": sessions.read_awdit,
}
_BLANK: Final = re.compile(rb"(?:[\s,]+|;[^\n]*)*")
_LOG_HEAD: Final = 1 << 16  # where the first operation of a log must stand


def export(history: History, out: BinaryIO, format: str) -> None:
    """Write ``history`` with its header to ``out`` in ``format`` (``edn``, ``json``, ``jsonl``)."""
    module = FORMATS.get(format)
    if module is None:
        raise _no_format(format, FORMATS)
    module.write(history.header, history.operations, out)


def reader(format: str) -> Callable[[bytes, str], Adopted]:
    """The function that reads ``format``; ``UsageError`` if there is no such format."""
    if format not in READERS:
        raise _no_format(format, READERS)
    return READERS[format]


def detect(data: bytes, name: str) -> str:
    """The format of ``data`` by its first characters, and by ``name`` where these leave it open.

    Raises ``HistoryError`` if it is none that we read.
    """
    if sessions.FIRST_PLUME.match(data):
        return "plume"
    if sessions.FIRST_AWDIT.match(data):
        return "awdit"
    first, second, third = _first_marks(data)
    opens_a_form = first in (b"", b"{", b"[", b"(", b";", b"#")
    if not opens_a_form and jepsen_log.OPERATION_LINE.search(data, 0, _LOG_HEAD):
        return "jepsen-log"
    named = [each for each in PurePath(name).suffixes if each in (".edn", ".json", ".jsonl")]
    is_named_edn = named[-1:] == [".edn"]  # history.edn.gz is, history.edn.jsonl is not
    if first in (b";", b"#", b"(") or b":" in (second, third if first == b"[" else b""):
        return "edn"
    if first == b"{" or not first:
        return "edn" if is_named_edn else "jsonl"
    if first == b"[":
        is_edn = second in (b"#", b"(", b";") or (is_named_edn and third != b'"')
        return "edn" if is_edn else "json"
    found = data[:40].decode(errors="replace").strip().split("\n")[0]
    raise HistoryError(
        f"{name}: line 1, column 1: expected a history (JSON lines, a JSON array, EDN, a "
        f"Jepsen log, Plume's or AWDIT's text), found {found!r}",
        "convert it to one of these, or name the format if it is one of them",
    )


def opens_with(data: bytes, marks: bytes) -> bool:
    """Whether the first character that is neither blank nor in an EDN comment is of ``marks``."""
    match = _BLANK.match(data)
    place = match.end() if match is not None else 0
    return data[place : place + 1] in [marks[n : n + 1] for n in range(len(marks))]


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


def _no_format(format: str, known: Iterable[str]) -> UsageError:
    return UsageError(f"there is no history format {format!r} (known: {', '.join(known)})")
