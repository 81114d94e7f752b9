"""Which cell of a soak gets the next run.

*In turn*: the one that has had the fewest, so that all are looked at alike and what drifts with the
time of day meets all of them (of two that are compared, chance says who is first in each round).
*Adaptive*: every cell in turn first, then the one that is furthest
behind its share, and the shares are as Neyman's (J. R. Stat. Soc. 97, 1934): by the standard
deviation of what a run shows, with the failure rate as Jeffreys would guess it. A cell where some
runs fail gets more of them; one where none ever does, or all do, less and less. Because such a
choice depends on what was found, only intervals that hold at any time may be stated of its cells
(:mod:`harness.soak.sequences`).

What is next depends on the book alone, so a soak that was killed goes on as it would have.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass

from harness.soak.book import Entry, Settings, by_cell, ended
from harness.soak.summary import known_of


@dataclass(frozen=True)
class _Standing:
    """How many runs of a cell began and count, and how many of them failed."""

    place: int
    name: str
    begun: int
    failures: int

    @property
    def due(self) -> float:
        """How many runs it has had by its share: the least is the next."""
        rate = (self.failures + 0.5) / (self.begun + 1)
        return self.begun / math.sqrt(rate * (1 - rate))


def next_cell(settings: Settings, entries: Sequence[Entry], active: Sequence[Entry]) -> str | None:
    """The name of the cell that gets the next run; ``None`` if none wants any more.

    ``active`` are the beginnings of the runs under way.
    """
    standings = []
    for place, (name, of_cell) in enumerate(by_cell(settings, entries).items()):
        done = ended(of_cell)
        begun = len(done) + sum(entry.cell == name for entry in active)
        if not _is_over(settings, of_cell, done, begun):
            failures = sum(entry.outcome == "violation" for entry in done)
            standings.append(_Standing(place, name, begun, failures))
    if not standings or (settings.is_adaptive and _has_all(settings, entries, active)):
        return None
    never = [one for one in standings if not one.begun]
    if settings.is_adaptive and not never:
        best = min(standings, key=lambda one: (one.due, one.place))
    else:
        best = min(standings, key=lambda one: (one.begun, _order(settings, one)))
    return best.name


def _order(settings: Settings, one: _Standing) -> int:
    """The place of a cell in its round; of two that are compared, chance says who is first."""
    if not settings.compares:
        return one.place
    drawn = f"polygraph compare {settings.seed} {one.begun} {one.name}".encode()
    return int.from_bytes(hashlib.sha256(drawn).digest()[:8])


def _is_over(
    settings: Settings, entries: Sequence[Entry], done: Sequence[Entry], begun: int
) -> bool:
    """Whether a cell has its runs, shows what was asked, or cannot be run at all."""
    if any(entry.is_refused for entry in done):  # no seed makes it possible
        return True
    if settings.until_known and known_of(settings, entries):
        return True
    return not settings.is_adaptive and settings.runs is not None and begun >= settings.runs


def _has_all(settings: Settings, entries: Sequence[Entry], active: Sequence[Entry]) -> bool:
    """Whether an adaptive soak has as many runs as all its cells together were to have."""
    if settings.runs is None:
        return False
    return len(ended(entries)) + len(active) >= settings.runs * len(settings.all_cells)
