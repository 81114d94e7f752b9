"""Is there a cycle at all? For each model that is the absence of cycles in a part of the graph.

Finding a cycle costs a search; that there is one shows in the strong components of the part.
So this is asked first, for all models of :data:`checkers.proof.models.EXISTENCE`, and the search
is spared where the answer is no.

Snapshot isolation allows cycles in which two rw edges follow each other (Cerone & Gotsman,
*Analysing Snapshot Isolation*, 2016). Its part has two nodes a transaction, for how it was
come to: by an rw edge, after which only another kind may follow, or not:

    plain(a) --ww,wr--> plain(b)      plain(a) --rw--> by_rw(b)      by_rw(a) --ww,wr--> plain(b)

so a cycle there is one without two adjacent rw edges, and nothing is composed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from checkers.elle.components import Tangle, strong_components
from checkers.elle.graph import LABELS, PROCESS, REALTIME, RW, WR, WW
from checkers.elle.transactions import Int32s
from checkers.proof.models import EXISTENCE, stronger_models


@dataclass(frozen=True)
class Part:
    """A part of the graph: edges with a label in ``labels``; ``by_rw`` as in the module's text."""

    labels: int
    by_rw: bool = False

    @property
    def text(self) -> str:
        """The part in words: ``ww wr, rw not twice in a row``."""
        names = [name for label, name in LABELS.items() if label & self.labels]
        return " ".join(names) + (", no two rw in a row" if self.by_rw else "")


PARTS: Final = dict(
    zip(
        EXISTENCE,
        (
            Part(WW),
            Part(WW | WR),
            Part(WW | WR | RW, by_rw=True),
            Part(WW | WR | RW),
            Part(WW | WR | RW),
            Part(WW | PROCESS),
            Part(WW | WR | PROCESS),
            Part(WW | WR | RW | PROCESS, by_rw=True),
            Part(WW | WR | RW | PROCESS),
            Part(WW | REALTIME),
            Part(WW | WR | REALTIME),
            Part(WW | WR | RW | REALTIME, by_rw=True),
            Part(WW | WR | RW | REALTIME),
        ),
        strict=True,
    )
)


@dataclass(frozen=True, eq=False)
class Knots:
    """The strong components of a part: ``plain[i]`` and ``by_rw[i]`` number those of node ``i``.

    ``by_rw`` is ``plain`` where the part has no such second node.
    """

    plain: Int32s
    by_rw: Int32s


def knots(found: Tangle, part: Part) -> Knots:
    """The strong components of ``part`` inside the tangle."""
    used = (found.label & part.labels) != 0
    source, target, label = found.source[used], found.target[used], found.label[used]
    if not part.by_rw:
        plain = strong_components(found.nodes, source, target)
        return Knots(plain, plain)
    rw = label == RW
    base_source, base_target = source[~rw], target[~rw]
    shift = found.nodes
    both = strong_components(
        2 * shift,
        np.concatenate((base_source, base_source + shift, source[rw])),
        np.concatenate((base_target, base_target, target[rw] + shift)),
    )
    return Knots(both[:shift], both[shift:])


@dataclass(frozen=True, eq=False)
class Existence:
    """Which models have a cycle against them in one component, with the smallest knot of each.

    ``smallest`` maps a model to transactions (nodes of the tangle), weaker models left out that
    follow from others here.
    """

    smallest: dict[str, Int32s]

    @property
    def impossible(self) -> frozenset[str]:
        """The models that cannot hold."""
        return stronger_models(self.smallest)


def existence(found: Tangle, labels: int) -> tuple[dict[int, Existence], dict[str, Knots]]:
    """For each component what exists in it, and for each model its knots.

    ``labels`` are those that the graph has: of parts that differ only in others, one is asked.
    """
    all_knots: dict[str, Knots] = {}
    asked: dict[tuple[int, bool], Knots] = {}
    components: dict[int, Existence] = {n: Existence({}) for n in range(found.count)}
    for model, part in PARTS.items():
        if part.labels & ~labels & (PROCESS | REALTIME):
            continue  # without that order in the graph nothing is said of it
        used = part.labels & labels
        if used & REALTIME:  # it includes process order, drawn where it does not tell that itself
            used |= labels & PROCESS
        key = (used, part.by_rw)
        if key not in asked:
            asked[key] = knots(found, Part(used, part.by_rw))
        all_knots[model] = asked[key]
        for component, members in _smallest(found, asked[key]):
            there = components[component]
            if model not in there.impossible:
                there.smallest[model] = members
    return components, all_knots


def _smallest(found: Tangle, these: Knots) -> Iterator[tuple[int, Int32s]]:
    """For each component of the tangle that has one its smallest knot, as transactions."""
    count = found.transactions
    knot = these.plain[:count]
    if these.by_rw is not these.plain:
        knot = np.concatenate((knot, these.by_rw[:count]))
    sizes = np.bincount(knot, minlength=int(these.plain.max()) + 1)
    within = np.flatnonzero(sizes[knot] > 1)
    if not len(within):
        return
    member = (within % count).astype(np.int32)
    order = np.lexsort((member, knot[within], sizes[knot[within]], found.component[member]))
    member, knot = member[order], knot[within][order]
    component = found.component[member]
    starts = np.flatnonzero(np.concatenate(([True], component[1:] != component[:-1])))
    for start in starts.tolist():
        end = start + int(sizes[knot[start]])
        mine = member[start:end][knot[start:end] == knot[start]]
        yield int(component[start]), np.unique(mine)
