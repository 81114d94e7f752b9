"""A drawing: boxes, paths, words and marks at places in points, that any painter can put down.

What is drawn (``plots.py``) knows neither SVG nor pixels; how it comes out (``svg.py`` for the
page, ``png.py`` for files) knows nothing of runs. Points are 1/72 inch from the upper left corner.
Colours have names: a page puts its own variables in their place, so that one drawing serves light
and dark.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

COLOURS: Final = {
    "ink": "#22262b",
    "faint": "#8a9099",
    "fault": "#7b6f9c",
    "ok": "#2b6cb0",
    "info": "#b7791f",
    "fail": "#b83280",
    "q50": "#2b6cb1",
    "q95": "#2f855a",
    "q99": "#b7791e",
    "q100": "#c53030",
}
"""What the names of colours mean on white paper."""

Kind = Literal["dot", "triangle", "cross"]
Anchor = Literal["start", "middle", "end"]
Place = tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class Box:
    """A filled box; ``x`` and ``y`` are its upper left corner."""

    x: float
    y: float
    width: float
    height: float
    colour: str
    alpha: float


@dataclass(frozen=True, kw_only=True)
class Path:
    """Lines through places. ``dash``: lengths drawn and left out, in turn; of a whole line none.

    ``dots`` is the radius of a dot at each place, 0 for none.
    """

    places: Sequence[Place]
    colour: str
    width: float
    alpha: float = 1.0
    dash: tuple[float, ...] = ()
    dots: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Words:
    """One line of text; ``x`` and ``y`` are the left, middle or right of its base line."""

    x: float
    y: float
    text: str
    size: float
    colour: str
    anchor: Anchor = "start"
    upright: bool = False


@dataclass(frozen=True, kw_only=True)
class Marks:
    """As many marks as one likes, all alike and half transparent, at ``x`` and ``y``."""

    x: NDArray[np.float64]
    y: NDArray[np.float64]
    kind: Kind
    colour: str
    alpha: float


@dataclass(frozen=True, kw_only=True)
class Drawing:
    """Shapes in the order in which they cover each other; marks lie above all others."""

    width: float
    height: float
    shapes: list[Box | Path | Words] = field(default_factory=list)
    marks: list[Marks] = field(default_factory=list)
