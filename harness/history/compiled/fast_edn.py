"""Large histories of transactions, from EDN lines straight into columns.

As :mod:`harness.history.compiled.fast_jsonl`, for the lines that Jepsen writes and elle-cli reads,
also with one vector or list around all of them. ``None`` means that the ordinary reader must be
asked.
"""

from __future__ import annotations

import importlib.util
import json
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO, Final

from harness.errors import HistoryError
from harness.history.compiled.fast_columns import read_scanned
from harness.history.compiled.fast_scan import Dialect
from harness.history.compiling import load_numba
from harness.history.formats import edn
from harness.history.formats.lines import endless_notice, has_end
from harness.history.history import History
from harness.history.operation import Header, Operation
from harness.history.values import Tagged

_END: Final = 64
_HEAD: Final = 1 << 16
_TAIL: Final = 1 << 12
_BLANKS: Final = b" \t\r\n,"
_CLOSERS: Final = {b"[": b"]", b"(": b")"}
_OPERATION: Final = re.compile(rb"(?:#[A-Za-z][\w.*+!?$%&=<>/'-]*[ \t,]*)?\{[ \t,]*:")
_MICRO: Final = re.compile(rb":value[ \t,]*\[[ \t,]*\[:(?:r|w|append)[ \t,]")


def read_fast(path: Path, name: str | None = None) -> History | None:
    """The history in ``path`` with its columns prepared, or ``None`` for the ordinary reader.

    Notices call it ``name``.
    """
    try:
        size = path.stat().st_size
        if importlib.util.find_spec("numba") is None:
            return None
        with path.open("rb") as file:
            head = file.read(_HEAD)
            start = edn.after_comments(head)
            opener = head[start : start + 1]
            if opener in _CLOSERS:
                size = _closed_at(file, size, _CLOSERS[opener])
                first = len(head) - len(head[start + 1 :].lstrip(_BLANKS))
                notices: tuple[str, ...] = ()
            else:
                first = start
                file.seek(max(0, size - _END))
                notices = () if has_end(file.read()) else (endless_notice(name or str(path)),)
        if size < first or not _OPERATION.match(head, first) or not _MICRO.search(head):
            return None
        header = edn.header_in(head[:start].decode(), str(path)) or Header()
        history = read_scanned(path, first, size, header, _dialect())
        return history if history is None or not notices else replace(history, notices=notices)
    except (OSError, ValueError, HistoryError):
        return None


def _closed_at(file: BinaryIO, size: int, closer: bytes) -> int:
    """Where the bracket around all operations closes; -1 if it is not the last thing."""
    start = max(0, size - _TAIL)
    file.seek(start)
    tail = file.read().rstrip(_BLANKS)
    return start + len(tail) - 1 if tail.endswith(closer) else -1


def _dialect() -> Dialect:
    load_numba()
    from harness.history.compiled.edn_scanner import scan

    return Dialect(
        scan=scan,
        least_record=24,
        least_micro=7,
        decode=_decode,
        as_name=_as_name,
        as_value=_as_value,
    )


def _decode(data: bytes, name: str) -> Sequence[Operation]:
    return edn.read_part(data, name)


def _as_name(token: bytes) -> Any:
    """A keyword or a string as the name that it is."""
    return token[1:].decode() if token.startswith(b":") else json.loads(token)


def _as_value(token: bytes) -> Any:
    return Tagged(token.decode()) if token.startswith(b":") else json.loads(token)
