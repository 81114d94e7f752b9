"""Milestones: what a system says that it went through while it ran.

A leader changed, a snapshot was installed, a log was compacted: a fault is worth most just then.
So a system declares by what it can be told, and a run observes it on every node, keeps it in
``evidence/milestones.jsonl`` and can have a fault begin after the n-th of a name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

from harness.contract.node import Node


@runtime_checkable
class Milestones(Protocol):
    """A system whose logs tell its milestones."""

    def milestones(self) -> Mapping[str, Sequence[str]]:
        """Name to regular expressions; each line of a node's log that one matches is a milestone.

        Named groups become the milestone's detail. Of two names that match a line both count.
        """
        ...


@runtime_checkable
class DelaysLogs(Protocol):
    """A cluster whose logs come to the controller a little later than they are written."""

    @property
    def log_delay_s(self) -> float:
        """At most so much later, of what has come by now. Asked again for every line."""
        ...


@runtime_checkable
class MilestoneFigures(Protocol):
    """A system whose nodes can be asked for figures, each change of which is a milestone."""

    def figure_names(self) -> Sequence[str]:
        """What these figures are called, so that a schedule may wait for them."""
        ...

    def milestone_figures(self, node: Node, timeout_s: float) -> Mapping[str, Any]:
        """Name to its value on ``node`` now (JSON), e.g. ``{"term": 7}``.

        Asked of every node again and again, from a thread of its own. May raise: then nothing is
        known of the node for now, and the next answer is compared with the last.
        """
        ...
