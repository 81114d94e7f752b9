"""A run's folder as a zip, made piece by piece while it is sent."""

from __future__ import annotations

import io
import os
import re
import zipfile
from collections.abc import Iterator
from typing import Any, Final

from harness.store.untrusted import Folder

CHUNK: Final = 1 << 20
_ODD: Final = re.compile(r"[\x00-\x1f\x7f\\:\ud800-\udfff]")


def zipped(run: Folder, name: str) -> Iterator[bytes]:
    """A zip of the plain files of ``run``, below ``name``; without the nodes' data.

    Links, pipes and devices are left out, and so is what cannot be read.
    """
    buffer = _Tail()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in run.files(enters=_is_wanted):
            try:
                source = run.open(path)
            except OSError:  # of a run under way, whose files are replaced and sealed
                continue
            inside = plain_name(f"{name}/{path}")
            with source, archive.open(inside, "w", force_zip64=True) as target:
                # A log that is written meanwhile is not followed for ever.
                left = os.fstat(source.fileno()).st_size
                while left > 0 and (chunk := source.read(min(CHUNK, left))):
                    left -= len(chunk)
                    target.write(chunk)
                    yield buffer.take()
    yield buffer.take()


def plain_name(name: str) -> str:
    """``name`` with what a zip cannot say, or leads elsewhere on another system, spelled out."""
    return _ODD.sub(lambda odd: "".join(f"%{byte:02X}" for byte in _bytes(odd[0])), name)


def _bytes(letter: str) -> bytes:
    try:
        return os.fsencode(letter)
    except UnicodeEncodeError:
        return letter.encode("utf-8", "surrogatepass")


def _is_wanted(folder: str) -> bool:
    parts = folder.split("/")
    return not (parts[0] == "nodes" and parts[-1] == "data")


class _Tail(io.RawIOBase):
    """A file that only knows what was written since it was last asked; cannot be sought."""

    def __init__(self) -> None:
        self._pieces = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._pieces += data
        return len(data)

    def take(self) -> bytes:
        """What was written since the last time."""
        taken = bytes(self._pieces)
        self._pieces.clear()
        return taken
