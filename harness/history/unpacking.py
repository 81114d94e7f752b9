"""Compressed data, unpacked piece by piece: nobody knows beforehand how much there is in it.

Told by its magic bytes, also where it was compressed several times over. No piece is larger than
some megabytes, whatever the data says of itself, so that whoever takes them can stop at any.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import TYPE_CHECKING, Any, Final

from harness.errors import HistoryError

if TYPE_CHECKING:
    from collections.abc import Callable

WRAPPINGS: Final = 3
"""How often a file may be compressed over."""
_PIECE: Final = 1 << 20
_BITE: Final = 1 << 11
"""Bytes that zstd is given at once: each may become thirty thousand."""
_GZIP: Final = 31  # zlib's number for a gzip header with the largest window


def unpacked(pieces: Iterable[bytes], name: str) -> tuple[Iterator[bytes], bool]:
    """``pieces`` without their wrappings, and whether there was one.

    ``HistoryError`` comes with the piece that is damaged, or at the end of data that ends early.
    """
    head, rest = _peeked(iter(pieces))
    is_packed = False
    for _ in range(WRAPPINGS):
        unwrap = _unwrapping(head)
        if unwrap is None:
            break
        is_packed = True
        head, rest = _peeked(unwrap(rest, name))
    return rest, is_packed


def _peeked(pieces: Iterator[bytes]) -> tuple[bytes, Iterator[bytes]]:
    """The first bytes, and all pieces as if nobody had looked."""
    head = b""
    for piece in pieces:
        head += piece
        if len(head) >= 4:
            break
    return head[:4], chain((head,), pieces)


def _unwrapping(head: bytes) -> Callable[[Iterator[bytes], str], Iterator[bytes]] | None:
    if head[:2] == b"\x1f\x8b":
        return _gunzipped
    return _unzstd if head == b"\x28\xb5\x2f\xfd" else None


def _gunzipped(pieces: Iterator[bytes], name: str) -> Iterator[bytes]:
    member: Any = None
    try:
        for piece in pieces:
            while piece:
                if member is None:
                    piece = piece.lstrip(b"\0")  # padding between members
                    member = zlib.decompressobj(_GZIP) if piece else None
                    continue
                yield member.decompress(piece, _PIECE)
                piece = member.unconsumed_tail
                if member.eof:
                    piece, member = member.unused_data, None
    except zlib.error as error:
        raise _damaged(name, str(error)) from error
    if member is not None:
        raise _damaged(name, "it ends early")


def _unzstd(pieces: Iterator[bytes], name: str) -> Iterator[bytes]:
    try:
        import zstandard
    except ImportError:
        raise HistoryError(
            f"{name}: is compressed by zstd, and the package zstandard is not installed",
            "pip install 'polygraph-db[zstd]', or unzstd the file first",
        ) from None
    frame: Any = None
    try:
        for piece in pieces:
            for start in range(0, len(piece), _BITE):
                bite = piece[start : start + _BITE]
                while bite:
                    frame = frame or zstandard.ZstdDecompressor().decompressobj()
                    yield frame.decompress(bite)
                    bite = b""
                    if frame.eof:
                        bite, frame = frame.unused_data, None
    except zstandard.ZstdError as error:
        if "requires too much memory" in str(error):
            why = f"{name}: was compressed with a window that takes more memory than is given to it"
            raise HistoryError(why, "zstd -d --long=31 FILE, and give the plain file") from error
        raise _damaged(name, str(error)) from error
    if frame is not None:
        raise _damaged(name, "it ends early")


def _damaged(name: str, why: str) -> HistoryError:
    hint = "to judge what is left of it, unpack that (zstd -dc, zcat) and give it as a plain file"
    return HistoryError(f"{name}: the compressed data is damaged: {why}", hint)
