"""What an inference hands over: edges with their reasons, anomalies, and its own doubts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from checkers.elle.graph import Graph
from checkers.elle.transactions import Int32s
from harness.verdict.verdict import Anomaly

Edges = tuple[Int32s, Int32s]
"""Sources and targets, transactions."""


@dataclass(frozen=True, kw_only=True)
class Reason:
    """Why one transaction comes before another.

    ``text`` is a clause with ``{a}`` and ``{b}`` for their names, without "because" and without
    a full stop: ``{b} observed {a}'s append of 3 to key 5``. ``data`` holds key, value and
    value' for machines.
    """

    text: str
    data: Mapping[str, Any] = field(default_factory=dict)


class Reasons(Protocol):
    """Explains the data dependencies that an inference put into the graph."""

    def reason(self, label: int, before: int, after: int) -> Reason:
        """Why the edge ``before -> after`` with ``label`` (``WW``, ``WR`` or ``RW``) is there."""
        ...


@dataclass(kw_only=True)
class Inference:
    """What a checker of one kind of value found.

    ``anomalies`` are cases by type, without cycles. ``doubts`` are unknown-making finds, by name
    (``duplicate-appends``) with a sentence: with one of them nothing is valid. ``incomplete``
    is a sentence that says why the absence of anomalies proves nothing, empty if it does.

    ``guess`` gives ww edges for versions whose order nothing tells. Snapshot isolation wants an
    order of them all: it is proved if the edges found and those guessed make no cycle that it
    forbids. (Other models need no guess: a topological order of the edges found will do.)
    ``None`` where nothing is without an order.
    """

    graph: Graph
    reasons: Reasons
    anomalies: dict[str, list[Anomaly]] = field(default_factory=dict)
    doubts: dict[str, str] = field(default_factory=dict)
    incomplete: str = ""
    guess: Callable[[], Edges] | None = None
    stats: dict[str, Any] = field(default_factory=dict)
