"""Marks as pixels: as if each were laid on the others, one after the other."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from harness.report.drawing import COLOURS, Drawing, Kind, Marks, Path, Words
from harness.report.marks import painted, png_of
from harness.report.png import _dashes, png_file


def marks(kind: Kind, colour: str, *places: tuple[float, float]) -> Marks:
    x, y = np.array(places, float).T
    return Marks(x=x, y=y, kind=kind, colour=colour, alpha=0.5)


def one_by_one(all_of: list[Marks], size: tuple[int, int], scale: float) -> np.ndarray:
    """The definition: a picture for each mark, laid on the ones before."""
    whole = Image.new("RGBA", size)
    for each in all_of:
        for x, y in zip(each.x, each.y, strict=True):
            alone = Marks(x=np.array([x]), y=np.array([y]), kind=each.kind, colour=each.colour,
                          alpha=each.alpha)  # fmt: skip
            points = (size[0] / scale, size[1] / scale)
            whole.alpha_composite(Image.fromarray(painted([alone], (0, 0), points, scale)))
    return np.asarray(whole).astype(int)


def test_marks_that_lie_on_each_other_shine_through() -> None:
    rng = np.random.default_rng(5)
    kinds: tuple[tuple[Kind, str], ...] = (("dot", "ok"), ("triangle", "info"), ("cross", "fail"))
    drawn = [marks(kind, colour, *rng.uniform(-3, 33, (40, 2)).tolist()) for kind, colour in kinds]
    size, scale = (60, 60), 2.0
    quick = painted(drawn, (0, 0), (30, 30), scale).astype(int)
    slow = one_by_one(drawn, size, scale)
    assert quick.shape == (60, 60, 4)
    assert (quick[..., 3] > 0).sum() > 500
    assert np.abs(quick[..., 3] - slow[..., 3]).max() <= 4  # each picture is rounded
    opaque = slow[..., 3] > 60
    assert np.abs(quick - slow)[opaque].max() <= 8


@pytest.mark.parametrize("kind", ["dot", "triangle", "cross"])
def test_a_mark_is_where_it_belongs(kind: Kind) -> None:
    pixels = painted([marks(kind, "ok", (10, 20))], (0, 0), (30, 30), 2.0)
    down, across = np.nonzero(pixels[..., 3])
    assert abs((across.min() + across.max()) / 2 - 20) <= 0.5
    assert abs((down.min() + down.max()) / 2 - 40) <= 0.5
    assert 2 <= across.max() - across.min() <= 14


def test_a_million_marks_fill_a_picture_once() -> None:
    rng = np.random.default_rng(7)
    x, y = rng.uniform(0, 300, (2, 1_000_000))
    pixels = painted(
        [Marks(x=x, y=y, kind="dot", colour="fail", alpha=0.7)], (0, 0), (300, 300), 1.0
    )
    assert (pixels[..., 3] == 255).mean() > 0.99


def test_the_picture_is_a_png_of_just_these_pixels() -> None:
    pixels = painted([marks("cross", "fail", (4, 5), (9, 2))], (1, 1), (12, 7), 1.5)
    read = Image.open(io.BytesIO(png_of(pixels)))
    assert read.mode == "RGBA"
    assert np.array_equal(np.asarray(read), pixels)


def test_a_dashed_line_is_drawn_in_pieces_of_that_length() -> None:
    corner = [(0.0, 0.0), (10.0, 0.0), (10.0, 6.0)]
    pieces = list(_dashes(corner, (3, 2)))
    assert pieces == [
        [(0.0, 0.0), (3.0, 0.0)],
        [(5.0, 0.0), (8.0, 0.0)],
        [(10.0, 0.0), (10.0, 3.0)],
        [(10.0, 5.0), (10.0, 6.0)],
    ]


def test_a_file_shows_each_shape_in_its_colour() -> None:
    drawing = Drawing(
        width=72,
        height=72,
        shapes=[
            Path(places=[(10, 10), (60, 10)], colour="q95", width=3),
            Words(x=36, y=66, text="mmmm", size=12, colour="q100", anchor="middle"),
            Words(x=12, y=40, text="mmmm", size=9, colour="ink", anchor="middle", upright=True),
        ],
        marks=[replace(marks("dot", "ok", (50, 40)), alpha=1.0)],
    )
    picture = np.asarray(Image.open(io.BytesIO(png_file(drawing)))).astype(int)
    assert picture.shape == (110, 110, 3)

    def seen(colour: str, left: int, top: int, right: int, bottom: int) -> bool:
        ink = np.array([int(COLOURS[colour][at : at + 2], 16) for at in (1, 3, 5)])
        return bool((np.abs(picture[top:bottom, left:right] - ink).max(-1) < 60).any())

    assert seen("q95", 20, 12, 90, 19)
    assert seen("q100", 35, 85, 80, 105)
    assert seen("ink", 8, 40, 20, 80)
    assert seen("ok", 72, 58, 80, 66)
    assert (picture[25:50, 30:70] == 255).all()
