"""Numbers as a line of characters: a bar of what is done, and spark lines of what was over time."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Final, TypeVar

BLOCKS: Final = "▁▂▃▄▅▆▇█"
PLAIN: Final = "_.:-=+*#"
"""The same heights where a terminal knows ASCII alone."""

LEAST_FACTOR: Final = 4.0

Number = float | None
_T = TypeVar("_T")


def bar(done: float, width: int) -> str:
    """``done`` of 1 as ``[###...]``, ``width`` characters in all."""
    inner = max(1, width - 2)
    full = round(inner * min(1.0, max(0.0, done)))
    return f"[{'#' * full}{'.' * (inner - full)}]"


def columns(values: Sequence[_T], width: int) -> list[Sequence[_T]]:
    """``values`` in at most ``width`` groups of neighbours, all of one size but the last."""
    size = max(1, math.ceil(len(values) / max(1, width)))
    return [values[at : at + size] for at in range(0, len(values), size)]


def mean(group: Sequence[Number]) -> Number:
    """The mean of what is known."""
    known = [value for value in group if value is not None]
    return sum(known) / len(known) if known else None


def most(group: Sequence[Number]) -> Number:
    """The greatest of what is known."""
    return max((value for value in group if value is not None), default=None)


def spark(
    values: Sequence[Number],
    width: int,
    *,
    of_group: Callable[[Sequence[Number]], Number] = mean,
    logarithmic: bool = False,
    blocks: str = BLOCKS,
) -> str:
    """A character for each value, or for each few neighbours where there are more than ``width``.

    From nought to the greatest value; ``logarithmic`` from the least, through a factor of
    :data:`LEAST_FACTOR` at least, so that what hardly changes is flat. What is not known is a
    blank.
    """
    found = [of_group(group) for group in columns(values, width)]
    heights = [
        None if value is None else math.log(max(value, 1e-9)) if logarithmic else value
        for value in found
    ]
    known = [height for height in heights if height is not None]
    if not known:
        return " " * len(heights)
    low, high = min(known) if logarithmic else 0.0, max(known)
    high = max(high, low + math.log(LEAST_FACTOR)) if logarithmic else high
    return "".join(
        " " if height is None else blocks[_step(height - low, high - low, len(blocks))]
        for height in heights
    )


def _step(height: float, highest: float, steps: int) -> int:
    return min(steps - 1, int(height / highest * (steps - 1) + 0.5)) if highest > 0 else 0
