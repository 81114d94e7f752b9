"""Panels of a plot: a frame with its scales, their marks, a legend beside it, bands of faults.

A panel turns seconds and values into places of a drawing. Scales begin and end near what is drawn,
and are marked at round numbers.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from harness.report.drawing import Anchor, Box, Drawing, Kind, Marks, Path, Words

Floats = NDArray[np.float64]

WIDTH = 734.4
LEFT, RIGHT, TOP, BOTTOM = 52.0, 61.0, 27.0, 36.0
BETWEEN = 40.0


def round_marks(low: float, high: float, most: int) -> list[float]:
    """Round numbers from ``low`` to ``high``, evenly apart, at most ``most`` and one."""
    rough = (high - low) / most
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * each for each in (1, 2, 2.5, 5, 10) if power * each >= rough * 0.999)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(at * step, 12) for at in range(first, last + 1)]


def logarithmic_marks(low: float, high: float) -> list[float]:
    """Powers of ten from ``low`` to ``high``, with twice and five times of each where few fit."""
    steps = (1, 2, 5) if high < low * 50 else (1,)
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    found = [step * 10.0**power for power in powers for step in steps]
    return [each for each in found if low <= each <= high]


@dataclass(frozen=True, kw_only=True)
class Scale:
    """Values from ``low`` to ``high`` as parts of a side, from 0 to 1."""

    low: float
    high: float
    is_logarithmic: bool = False

    @classmethod
    def of(cls, values: Floats, *, is_logarithmic: bool) -> Scale:
        """One on which all ``values`` are seen; a linear one begins at 0."""
        if not is_logarithmic:
            return cls(low=0.0, high=float(values.max(initial=0.0)) * 1.05 or 1.0)
        low, high = float(values.min()), float(values.max())
        if high < low * 4:  # so that a round number stands on it
            low, high = (math.sqrt(low * high) * by for by in (0.5, 2.0))
        spare = (high / low) ** 0.05
        return cls(low=low / spare, high=high * spare, is_logarithmic=True)

    def part(self, values: Floats) -> Floats:
        """Where values stand."""
        if self.is_logarithmic:
            long = math.log(self.high / self.low)
            return np.asarray(np.log(values / self.low) / long, float)
        return (values - self.low) / (self.high - self.low)

    def marks(self) -> list[float]:
        """Round numbers on it."""
        if self.is_logarithmic:
            return logarithmic_marks(self.low, self.high)
        return round_marks(self.low, self.high, 5)


@dataclass(frozen=True, kw_only=True)
class Panel:
    """One frame of a drawing. ``last_s`` is where its time ends; ``top`` and ``height`` are its."""

    drawing: Drawing
    top: float
    height: float
    last_s: float
    scale: Scale
    _legend: list[str] = field(default_factory=list)

    def frame(self, label: str, *, title: str = "", with_seconds: bool) -> None:
        """Lines, marks and words around what is drawn in it."""
        right, bottom = WIDTH - RIGHT, self.top + self.height
        self._line(((LEFT, self.top), (LEFT, bottom), (right, bottom)), "faint", 0.8)
        for value in self.scale.marks():
            (y,) = self._down(np.array([value]))
            self._line(((LEFT, y), (right, y)), "faint", 0.6, alpha=0.25)
            self._line(((LEFT - 3, y), (LEFT, y)), "ink", 0.8)
            self._words(LEFT - 6, y + 3, f"{value:g}", 8.5, anchor="end")
        for value in round_marks(0, self.last_s, 9):
            (x,) = self._across(np.array([value]))
            self._line(((x, bottom), (x, bottom + 3)), "ink", 0.8)
            if with_seconds:
                self._words(x, bottom + 12.5, f"{value:g}", 8.5, anchor="middle")
        if with_seconds:
            words = "seconds since the start of the run"
            self._words((LEFT + right) / 2, bottom + 26, words, 9, anchor="middle")
        beside = Words(
            x=14, y=self.top + self.height / 2, text=label, size=9, colour="ink",
            anchor="middle", upright=True,
        )  # fmt: skip
        self.drawing.shapes.append(beside)
        if title:
            self._words(LEFT, self.top - 5, title, 10)

    def shade(self, start_s: float, end_s: float, name: str, colour: str = "fault") -> None:
        """A band from one time to another; ``name`` stands above it."""
        start_s, end_s = max(start_s, 0.0), min(end_s, self.last_s)
        if start_s > self.last_s:
            return
        left, right = self._across(np.array([start_s, max(start_s, end_s)]))
        self.drawing.shapes.append(
            Box(
                x=left, y=self.top, width=right - left, height=self.height, colour=colour,
                alpha=0.16,
            )
        )  # fmt: skip
        self._line(((left, self.top), (left, self.top + self.height)), colour, 0.8, alpha=0.7)
        if name:
            self._words(left + 3, self.top - 3, name, 7.5, colour=colour)

    def curve(
        self,
        x: Floats,
        y: Floats,
        colour: str,
        name: str,
        dash: Sequence[float] = (),
        dots: float = 0.0,
    ) -> None:
        """Lines from value to value; one that is no number breaks them."""
        width = 1.5
        places = list(zip(self._across(x), self._down(y), strict=True))
        breaks = [-1, *np.flatnonzero(np.isnan(y)).tolist(), len(places)]
        style = tuple(each * width for each in dash)
        for before, after in itertools.pairwise(breaks):
            if after - before > 1:
                run = places[before + 1 : after]
                self.drawing.shapes.append(
                    Path(places=run, colour=colour, width=width, dash=style, dots=dots)
                )
        at = self._next_in_legend(name)
        sample = ((WIDTH - RIGHT + 6, at), (WIDTH - RIGHT + 24, at))
        self.drawing.shapes.append(
            Path(places=sample, colour=colour, width=width, dash=style, dots=0.0)
        )

    def scatter(self, x: Floats, y: Floats, colour: str, name: str, kind: Kind) -> None:
        """A mark at each value."""
        at = self._next_in_legend(name)
        x = np.append(self._across(x), WIDTH - RIGHT + 15)
        y = np.append(self._down(y), at)
        self.drawing.marks.append(Marks(x=x, y=y, kind=kind, colour=colour, alpha=0.7))

    def _next_in_legend(self, name: str) -> float:
        """Write the name beside the panel, and say how far down."""
        at = self.top + 8 + 12.5 * len(self._legend)
        self._legend.append(name)
        self._words(WIDTH - RIGHT + 29, at + 3, name, 8.5)
        return at

    def _across(self, seconds: Floats) -> Floats:
        return LEFT + np.clip(seconds / self.last_s, 0, 1) * (WIDTH - LEFT - RIGHT)

    def _down(self, values: Floats) -> Floats:
        return self.top + (1 - self.scale.part(values)) * self.height

    def _line(
        self, places: Sequence[tuple[float, float]], colour: str, width: float, alpha: float = 1
    ) -> None:
        self.drawing.shapes.append(Path(places=places, colour=colour, width=width, alpha=alpha))

    def _words(
        self,
        x: float,
        y: float,
        text: str,
        size: float,
        colour: str = "ink",
        anchor: Anchor = "start",
    ) -> None:
        self.drawing.shapes.append(
            Words(x=x, y=y, text=text, size=size, colour=colour, anchor=anchor)
        )
