"""Large histories of transactions, from JSON lines straight into columns.

A million transactions are 300 MB of JSON. As Python objects they take ten times that and half a
minute; as columns a second and two thirds of the file's size. Two threads run the compiled scanner
(:mod:`harness.history.compiled.byte_scanner`) over blocks of the file, which never is in memory as
a whole. The operations themselves are decoded one by one where somebody asks for them.

``None`` means that the ordinary reader must be asked: numba is not there, the file is small, or
something in it is unusual, if only by being wrong.
"""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from harness.errors import HistoryError
from harness.history.compiled.fast_columns import read_scanned
from harness.history.compiled.fast_scan import Dialect
from harness.history.compiling import load_numba
from harness.history.formats import jsonl
from harness.history.history import History
from harness.history.operation import Operation

_HEAD: Final = 1 << 16
_TAIL: Final = 1 << 20
"""Of a last line that is longer, the ordinary reader has to say what it is."""


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
            if not _looks_right(head):
                return None
            header, start = jsonl.header_and_start(head, str(path))
            last = max(start, size - _TAIL)
            file.seek(last)
            tail = file.read()
            if last > start and b"\n" not in tail:
                return None
            end, notices = jsonl.end_of(tail, 0, name or str(path))
        history = read_scanned(path, start, last + end, header, _dialect())
        if history is None or not notices:
            return history
        return replace(history, notices=notices, partial=last + end < size)
    except (OSError, UnicodeDecodeError, HistoryError):
        return None


def _looks_right(head: bytes) -> bool:
    return b'"value":[["' in head.replace(b" ", b"")


def _dialect() -> Dialect:
    load_numba()
    from harness.history.compiled.byte_scanner import scan

    return Dialect(
        scan=scan,
        least_record=56,
        least_micro=9,
        decode=_decode,
        as_name=json.loads,
        as_value=json.loads,
    )


def _decode(data: bytes, name: str) -> Sequence[Operation]:
    return jsonl.read_part(data, name)
