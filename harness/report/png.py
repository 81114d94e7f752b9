"""A drawing as a PNG file, for whoever wants a picture: on white, by Pillow.

Pillow draws lines with hard edges, so everything but the marks is drawn twice as large and made
smaller. Pillow is an optional dependency and is imported only here, only when a file is written.
"""

from __future__ import annotations

import io
import itertools
import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from harness.report.drawing import COLOURS, Box, Drawing, Path, Place, Words
from harness.report.marks import painted

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageDraw import ImageDraw

_PIXELS_A_POINT = 110 / 72
_LARGER = 2


def png_file(drawing: Drawing) -> bytes:
    """The bytes of the file. Raises ``ImportError`` where Pillow is not installed."""
    from PIL import Image, ImageDraw

    width, height = (round(side * _PIXELS_A_POINT) for side in (drawing.width, drawing.height))
    paper = Image.new("RGB", (width * _LARGER, height * _LARGER), "white")
    pen = ImageDraw.Draw(paper, "RGBA")
    for shape in drawing.shapes:
        if isinstance(shape, Box):
            _box(pen, shape)
        elif isinstance(shape, Path):
            _path(pen, shape)
        else:
            _words(paper, pen, shape)
    picture = paper.resize((width, height), Image.Resampling.BOX)
    if drawing.marks:
        size = (drawing.width, drawing.height)
        above = Image.fromarray(painted(drawing.marks, (0, 0), size, _PIXELS_A_POINT))
        picture.paste(above, (0, 0), above)
    written = io.BytesIO()
    picture.save(written, "PNG", compress_level=3)
    return written.getvalue()


def _scaled(length: float) -> float:
    return length * _PIXELS_A_POINT * _LARGER


def _ink(colour: str, alpha: float) -> str:
    return f"{COLOURS[colour]}{round(alpha * 255):02x}"


def _box(pen: ImageDraw, box: Box) -> None:
    corners = (box.x, box.y, box.x + box.width, box.y + box.height)
    pen.rectangle([_scaled(each) for each in corners], fill=_ink(box.colour, box.alpha))


def _path(pen: ImageDraw, path: Path) -> None:
    ink, width = _ink(path.colour, path.alpha), max(1, round(_scaled(path.width)))
    for piece in _dashes(path.places, path.dash) if path.dash else [path.places]:
        if len(piece) > 1:
            pen.line([(_scaled(x), _scaled(y)) for x, y in piece], fill=ink, width=width)
    if path.dots:
        for x, y in path.places:
            pen.circle((_scaled(x), _scaled(y)), _scaled(path.dots), fill=ink)


def _dashes(places: Sequence[Place], dash: Sequence[float]) -> Iterator[list[Place]]:
    """The pieces of a dashed line that are drawn."""
    at, left, piece = 0, dash[0], [places[0]]
    for (x, y), (to_x, to_y) in itertools.pairwise(places):
        length = math.hypot(to_x - x, to_y - y)
        gone = 0.0
        while length - gone > left:
            gone += left
            turn = (x + (to_x - x) * gone / length, y + (to_y - y) * gone / length)
            if at % 2 == 0:
                yield [*piece, turn]
            at += 1
            left, piece = dash[at % len(dash)], [turn]
        left -= length - gone
        piece.append((to_x, to_y))
    if at % 2 == 0:
        yield piece


def _words(paper: Image, pen: ImageDraw, words: Words) -> None:
    from PIL import Image, ImageDraw, ImageFont

    font = ImageFont.load_default(_scaled(words.size))
    anchor = {"start": "ls", "middle": "ms", "end": "rs"}[words.anchor]
    x, y = _scaled(words.x), _scaled(words.y)
    if not words.upright:
        pen.text((x, y), words.text, fill=COLOURS[words.colour], font=font, anchor=anchor)
        return
    long = round(_scaled(words.size) * (len(words.text) + 2))
    lying = Image.new("L", (long, long))
    ImageDraw.Draw(lying).text((long / 2, long / 2), words.text, fill=255, font=font, anchor=anchor)
    standing = lying.rotate(90)
    paper.paste(COLOURS[words.colour], (round(x - long / 2), round(y - long / 2)), standing)
