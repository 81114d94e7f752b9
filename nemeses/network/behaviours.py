"""What a slow or lossy link does to packets, and how that shows in what datagrams meet on it.

Each behaviour has one figure, by which it may be asked for (``delay=0.3``)::

    delay      each packet comes so many seconds later                     0.1
    jitter     later by half of it in the mean, normally spread            0.1
    loss       so many are lost                                            0.2
    duplicate  so many come twice                                          0.2
    reorder    so many are overtaken by those that come after them         0.3
    corrupt    in so many one bit is turned over                           0.1
    rate       so many bytes a second pass, the rest waits or is lost      100000

The words are those of Jepsen's ``packet`` nemesis, which has tc's netem do the same.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from harness.contract.node import LinkShape, Measured
from harness.errors import UsageError, unknown_name

LATE_S = 0.02
"""What is overtaken comes so much later."""
_LEAST, _MOST = 30, 300
_SURE = 12.0
"""That of so many as are to be hit none is has the probability exp(-12)."""


@dataclass(frozen=True)
class Behaviour:
    """One of them: its usual figure and bounds, the shape of a link, and how it shows."""

    usual: float
    most: float
    shape: Callable[[float], LinkShape]
    shows: Callable[[float, Measured], bool]
    is_share: bool = True


BEHAVIOURS: Mapping[str, Behaviour] = {
    "delay": Behaviour(
        0.1,
        30.0,
        lambda figure: {"delay_s": figure},
        lambda figure, seen: seen.came > 0 and seen.least_s >= 0.95 * figure,
        is_share=False,
    ),
    "jitter": Behaviour(
        0.1,
        30.0,
        lambda figure: {"delay_s": figure / 2, "jitter_s": figure / 4},
        lambda figure, seen: seen.overtaken > 0 and seen.median_s >= figure / 4,
        is_share=False,
    ),
    "loss": Behaviour(
        0.2, 1.0, lambda figure: {"loss": figure}, lambda figure, seen: seen.came < seen.sent
    ),
    "duplicate": Behaviour(
        0.2, 1.0, lambda figure: {"duplicate": figure}, lambda figure, seen: seen.copies > 0
    ),
    "reorder": Behaviour(
        0.3,
        1.0,
        lambda figure: {"reorder": figure, "late_s": LATE_S},
        lambda figure, seen: seen.overtaken > 0,
    ),
    "corrupt": Behaviour(
        0.1, 1.0, lambda figure: {"corrupt": figure}, lambda figure, seen: seen.corrupted > 0
    ),
    "rate": Behaviour(
        100_000.0,
        1e9,
        lambda figure: {"rate": figure},
        lambda figure, seen: seen.came > 0 and seen.took_s >= 0.9 * _passing_s(figure, seen),
        is_share=False,
    ),
}


@dataclass(frozen=True)
class Doing:
    """A behaviour with its figure: ``delay`` or ``delay=0.3``."""

    name: str
    figure: float

    @classmethod
    def of(cls, text: str, flag: str) -> Doing:
        """``UsageError`` for a behaviour that there is not, or a figure that makes no sense."""
        name, _, said = text.partition("=")
        if name not in BEHAVIOURS:
            raise UsageError(f"{flag}: {unknown_name('behaviour', name, list(BEHAVIOURS))}")
        kind = BEHAVIOURS[name]
        try:
            figure = float(said) if said else kind.usual
        except ValueError:
            figure = math.nan
        if not 0 < figure <= kind.most:  # which is false of what is no number
            raise UsageError(
                f"{flag}: {text}: the figure must be more than 0 and at most {kind.most:g}",
                f"{name}={kind.usual:g}",
            )
        return cls(name, figure)

    def shape(self) -> LinkShape:
        """What is done to a link."""
        return BEHAVIOURS[self.name].shape(self.figure)

    def shows(self, seen: Measured) -> bool:
        """Whether it is seen to be done."""
        return BEHAVIOURS[self.name].shows(self.figure, seen)

    def is_gone(self, seen: Measured) -> bool:
        """Whether a link shows nothing of it: whole, once, unharmed, and in good time."""
        unharmed = seen.came == seen.sent and not seen.copies and not seen.corrupted
        if self.name == "delay":
            return unharmed and seen.least_s < self.figure / 4
        if self.name == "jitter":
            return unharmed and seen.median_s < self.figure / 8
        if self.name == "rate":
            return unharmed and seen.median_s < max(0.02, _passing_s(self.figure, seen) / 4)
        return unharmed and (self.name != "reorder" or not seen.overtaken)

    def count(self) -> int:
        """How many datagrams it takes to see it."""
        if not BEHAVIOURS[self.name].is_share:
            return _LEAST
        return min(_MOST, max(_LEAST, math.ceil(_SURE / self.figure)))

    def wait_s(self, size_bytes: int = 1000) -> float:
        """How long the last of them may be on the way."""
        late = 3 * self.figure if self.name in ("delay", "jitter") else LATE_S
        passing = self.count() * size_bytes / self.figure if self.name == "rate" else 0.0
        return 0.2 + late + min(passing, 2.0)

    def __str__(self) -> str:
        """``delay=0.1``."""
        return f"{self.name}={self.figure:g}"


def _passing_s(rate: float, seen: Measured) -> float:
    """How long as many bytes as came take at that rate, but for the first datagram."""
    return (seen.came - 1) * seen.size_bytes / rate
