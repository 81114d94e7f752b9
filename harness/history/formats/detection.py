"""Which format a file is in, told by its first bytes: cheap, and never two for one file.

The order matters only between what could be taken for each other: binary formats are known by
bytes that no text has, the texts of sessions by a whole first line, JSON of other tools by the
first names in it, and what is left is ours, elle-cli's, Jepsen's.
"""

from __future__ import annotations

import re
from pathlib import PurePath
from typing import Final

from harness.errors import HistoryError
from harness.history.formats import (
    awdit,
    chaos,
    cobra,
    dbcop,
    dbcop_json,
    etcd_operations,
    jepsen_log,
    plume,
    veristrong,
)
from harness.wording import shown as in_words

HEAD: Final = 1 << 16
"""Bytes that are looked at, and where the first operation of a log must stand."""
_BLANK: Final = re.compile(rb"(?:[\s,]+|;[^\n]*)*")
_BY_FIRST: Final = (
    (plume.FIRST, plume.NAME),
    (awdit.FIRST, awdit.NAME),
    (veristrong.FIRST, veristrong.NAME),
    (etcd_operations.FIRST, etcd_operations.NAME),
    (chaos.FIRST, chaos.NAME),
    (dbcop_json.FIRST, dbcop_json.NAME),
)
_FOREIGN: Final = (
    (
        re.compile(rb'\s*\{\s*"Request"\s*:\s*\{\s*"Key"\s*:'),
        "what etcd's robustness tests watched",
        "the folder that holds client-1, client-2 and so on, or its operations.json",
    ),
    (
        re.compile(rb"(?:\s*//[^\n]*\n)*\s*\[[\w.]+(?::=|==)[\d?]"),
        "dbcop's short text (.hist)",
        "dbcop's JSON of it",
    ),
)
"""What is known and not read: its first bytes, what it is, and what to give instead."""


def detect(data: bytes, name: str) -> str:
    """The format of ``data`` by its first characters, and by ``name`` where these leave it open.

    Raises ``HistoryError`` if it is none that we read.
    """
    data = data[:HEAD]
    if dbcop.looks_so(data):
        return dbcop.NAME
    if cobra.looks_so(data):
        return cobra.NAME
    for first, format in _BY_FIRST:
        if first.match(data):
            return format
    for first, what, hint in _FOREIGN:
        if first.match(data):
            raise HistoryError(f"{name}: is {what}, which is not read", hint)
    found = _by_marks(data, name)
    if found is not None:
        return found
    shown = data[:40].decode(errors="replace").strip().split("\n")[0]
    raise HistoryError(
        f"{name}: line 1, column 1: expected a history (JSON lines, a JSON array, EDN, a Jepsen"
        " log, or one of Plume's, AWDIT's, Cobra's, dbcop's, VeriStrong's, etcd's or TiPocket's),"
        f" found {in_words(shown)}",
        "convert it to one of these, or name the format if it is one of them",
    )


def _by_marks(data: bytes, name: str) -> str | None:
    first, second, third = _first_marks(data)
    opens_a_form = first in (b"", b"{", b"[", b"(", b";", b"#")
    if not opens_a_form and jepsen_log.OPERATION_LINE.search(data):
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
    return None


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
