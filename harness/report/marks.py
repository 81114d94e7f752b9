"""Thousands of half transparent marks as pixels, each pixel where marks lie counted once.

What shines through ``n`` marks of opacity ``a`` that lie on each other is ``(1 - a) ** n``, so only
the logarithms of that need adding up. For each pixel of the small stamp that one mark is, all
places are moved by as much, and added with numpy: O(stamp x places), and never more places than
pixels.
"""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray

from harness.report.drawing import COLOURS, Kind, Marks

_FINER = 5
"""Each pixel of a stamp is looked at in so many places a side, so that its edges are smooth."""
_ALL = 1 - 1e-9
"""Of a pixel that is covered wholly: what shines through has a logarithm still."""
_STROKE = 0.8


def painted(
    marks: Sequence[Marks], corner: tuple[float, float], size: tuple[float, float], scale: float
) -> NDArray[np.uint8]:
    """Rows of pixels (red, green, blue, opacity) of a part of a drawing, with ``scale`` a point."""
    width, height = (max(1, round(side * scale)) for side in size)
    layers = []
    for each in marks:
        x, y = ((at - edge) * scale for at, edge in zip((each.x, each.y), corner, strict=True))
        layers.append(_opacity(x, y, (width, height), _stamp(each.kind, scale) * each.alpha))
    where = np.flatnonzero(np.logical_or.reduce(layers))
    colour = np.zeros((len(where), 3))  # multiplied by its opacity
    opacity = np.zeros((len(where), 1))
    for each, layer in zip(marks, layers, strict=True):
        above = layer[where, None]
        colour = colour * (1 - above) + _rgb(each.colour) * above
        opacity = opacity * (1 - above) + above
    pixels = np.zeros((height * width, 4), np.uint8)
    pixels[where] = np.rint(np.hstack((colour / opacity, opacity * 255)))
    return pixels.reshape(height, width, 4)


def png_of(pixels: NDArray[np.uint8]) -> bytes:
    """A PNG of rows of pixels with an opacity."""
    height, width, _ = pixels.shape
    rows = np.zeros((height, 1 + width * 4), np.uint8)  # each begins with its filter: none
    rows[:, 1:] = pixels.reshape(height, width * 4)
    return b"".join(
        (
            b"\x89PNG\r\n\x1a\n",
            _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 6, 0, 0, 0)),
            _chunk(b"IDAT", zlib.compress(rows.tobytes(), 6)),
            _chunk(b"IEND", b""),
        )
    )


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _opacity(
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    size: tuple[int, int],
    stamp: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Of each pixel, row after row, with ``stamp`` at each place; those outside are left out."""
    width, height = size
    reach = len(stamp) // 2
    broad = width + 2 * reach
    column, row = np.floor(x).astype(np.int64), np.floor(y).astype(np.int64)
    inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
    places, times = np.unique(row[inside] * broad + column[inside], return_counts=True)
    shines = np.zeros((height + 2 * reach) * broad)  # the logarithm of it, with a margin
    for down, across in np.argwhere(stamp).tolist():
        covered = min(stamp[down, across], _ALL)
        shines[places + down * broad + across] += times * np.log1p(-covered)
    whole = np.zeros(len(shines))
    where = np.flatnonzero(shines)
    whole[where] = -np.expm1(shines[where])
    return whole.reshape(-1, broad)[reach : reach + height, reach : reach + width].ravel()


def _rgb(name: str) -> NDArray[np.float64]:
    return np.array([int(COLOURS[name][at : at + 2], 16) for at in (1, 3, 5)], float)


@cache
def _stamp(kind: Kind, scale: float) -> NDArray[np.float64]:
    """How much of each pixel one mark covers; square, and the mark's place is in its middle."""
    reach = int(np.ceil(2.8 * scale))
    fine = (np.arange((2 * reach + 1) * _FINER) + 0.5) / _FINER - reach - 0.5
    across, down = np.meshgrid(fine / scale, fine / scale)
    side = 2 * reach + 1
    covered = _is_covered(kind, across, down).reshape(side, _FINER, side, _FINER)
    found: NDArray[np.float64] = covered.mean(axis=(1, 3))
    return found


def _is_covered(
    kind: Kind, across: NDArray[np.float64], down: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """Whether a place, in points from that of the mark, is part of it."""
    if kind == "dot":
        return np.hypot(across, down) <= 0.96
    if kind == "triangle":
        return (down <= 2.3) & (2 * np.abs(across) <= down + 2.7)
    nearest = np.minimum(np.abs(across - down), np.abs(across + down))
    is_short = np.maximum(np.abs(across), np.abs(down)) <= 1.9
    is_covered: NDArray[np.bool_] = is_short & (nearest <= _STROKE * math.sqrt(0.5))
    return is_covered
