"""Delta debugging: the pieces without which it does not fail.

After ``ddmin`` of Zeller and Hildebrandt, "Simplifying and isolating failure-inducing input" (IEEE
TSE 28, 2002): take parts away, large ones first and ever smaller ones, and go on with what still
fails. The parts by themselves, which ddmin tries too, are not needed for its guarantee (Hodovan and
Kiss, "Practical improvements to the minimizing delta debugging algorithm", ICSOFT 2016), and here
they are dear: a question whose answer is "it fails no more" takes the most runs. Few pieces are
taken away one by one from the start, which asks least where half of the questions are refused.

The result is *1-minimal*: take any single piece away and it does not fail any more. (Two pieces
that may only go together can stay; nobody tries all subsets.) Cost: n questions for few pieces, 2 c
log n for c needed ones of many; a last pass over the c that are left.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

FEW: Final = 8


def ddmin(
    pieces: Sequence[int], fails: Callable[[tuple[int, ...]], bool], *, is_minimal: bool = True
) -> tuple[int, ...]:
    """A 1-minimal part of ``pieces``, in their order, that still ``fails``.

    All of them together must fail, which is not asked again; nor is the empty part. Without
    ``is_minimal`` there is one pass over single pieces, and the last one is left to the caller.
    """
    kept = tuple(pieces)
    size = 1 if len(kept) <= FEW else len(kept) // 2
    while True:
        before = kept
        kept = _one_pass(kept, size, fails)
        if size > 1:
            size //= 2
        elif kept == before or not is_minimal:
            return kept


def _one_pass(
    kept: tuple[int, ...], size: int, fails: Callable[[tuple[int, ...]], bool]
) -> tuple[int, ...]:
    """Without the parts of that size that can go, each in its turn."""
    at = 0
    while at < len(kept):
        rest = kept[:at] + kept[at + size :]
        if rest and fails(rest):
            kept = rest
        else:
            at += size
    return kept
