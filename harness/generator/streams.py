"""Random streams: every draw is a pure function of (stream, position).

Generators are immutable and an operation that they offer may be discarded and asked for again,
so they cannot share a generator of random numbers that a draw advances: what was drawn for a
discarded operation would be lost, and a run would depend on how often it was asked. Here a
*stream* is a 64-bit number, fixed by the run's seed and by the place of the generator in the
tree (:func:`split`), and a *position* counts what a generator has emitted. The mixing function
is SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014).
About half a microsecond a draw.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from harness.errors import UsageError

T = TypeVar("T")

_MASK = 0xFFFFFFFFFFFFFFFF
_GOLDEN = 0x9E3779B97F4A7C15


def draw(stream: int, position: int) -> int:
    """64 random bits: the same ones for the same arguments, always."""
    z = (stream + position * _GOLDEN) & _MASK
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _MASK
    return z ^ (z >> 31)


def split(stream: int, branch: int) -> int:
    """The stream of child number ``branch``, unrelated to ``stream`` and to other children's.

    Drawing and splitting use different constants, so that a child's stream is never a number
    that its parent draws.
    """
    return draw(draw(stream ^ 0xD1B54A32D192ED03, branch), 1)


class Random:
    """Draws within one position of one stream, for the function that makes one operation.

    A new one is made for each operation asked for, so that a discarded operation consumes
    nothing.
    """

    __slots__ = ("_drawn", "_stream")

    def __init__(self, stream: int, position: int = 0) -> None:
        self._stream = draw(stream, position)
        self._drawn = 0

    def bits(self) -> int:
        """64 random bits."""
        self._drawn += 1
        return draw(self._stream, self._drawn)

    def below(self, n: int) -> int:
        """An integer from 0 to ``n`` - 1, all as likely; ``n`` is at least 1."""
        if n < 1:
            raise ValueError(f"below({n}): there is no number from 0 to {n - 1}")
        return (self.bits() * n) >> 64

    def random(self) -> float:
        """A number from 0 up to but not including 1."""
        return (self.bits() >> 11) / 9007199254740992.0

    def choice(self, items: Sequence[T]) -> T:
        """One of ``items`` (not empty), all as likely."""
        return items[self.below(len(items))]

    def shuffled(self, items: Sequence[T]) -> list[T]:
        """``items`` in a random order, every order as likely."""
        rest = list(items)
        for last in range(len(rest) - 1, 0, -1):
            other = self.below(last + 1)
            rest[last], rest[other] = rest[other], rest[last]
        return rest


class NoRandom(Random):
    """Stands where nobody may draw, because the draw could not be repeated."""

    def bits(self) -> int:
        """Refused."""
        raise UsageError(
            "context.random is for the functions that make or map operations only",
            "draw in function(...) or map_(...), or split a stream in a generator of your own",
        )
