"""Delta debugging: the pieces without which it does not fail.

``ddmin`` of Zeller and Hildebrandt, "Simplifying and isolating failure-inducing input" (IEEE TSE
28, 2002): try a half of the pieces, the other half, then smaller parts and what is left without
each of them. The result is *1-minimal*: take any single piece away and it does not fail any more.
(Two pieces that may only go together can stay; nobody tries all subsets.)

Cost: n² + 3 n tests at worst, 2 log n where one piece alone is to blame.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence


def ddmin(pieces: Sequence[int], fails: Callable[[tuple[int, ...]], bool]) -> tuple[int, ...]:
    """A 1-minimal part of ``pieces``, in their order, that still ``fails``.

    All of them together must fail, which is not asked again; nor is the empty part.
    """
    kept, parts = tuple(pieces), 2
    while len(kept) >= 2:
        found = _smaller(kept, min(parts, len(kept)), fails)
        if found is not None:
            is_part = len(found) <= len(kept) - len(found)
            kept, parts = found, 2 if is_part else max(parts - 1, 2)
        elif parts >= len(kept):
            break
        else:
            parts = min(2 * parts, len(kept))
    return kept


def _smaller(
    kept: tuple[int, ...], parts: int, fails: Callable[[tuple[int, ...]], bool]
) -> tuple[int, ...] | None:
    """One of so many parts, or what is left without one of them, that still fails."""
    chunks = [_part(kept, at, parts) for at in range(parts)]
    for chunk in chunks:
        if fails(chunk):
            return chunk
    if parts > 2:  # of two parts each is what is left without the other
        for chunk in chunks:
            rest = tuple(piece for piece in kept if piece not in chunk)
            if fails(rest):
                return rest
    return None


def _part(kept: tuple[int, ...], at: int, parts: int) -> tuple[int, ...]:
    return kept[len(kept) * at // parts : len(kept) * (at + 1) // parts]
