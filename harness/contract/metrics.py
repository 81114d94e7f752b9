"""Figures that a system tells of itself while it runs, and what they must not do.

A leak may break no answer for months: the data agree, and only a figure creeps. So a system names
its figures and what each of them promises; a run samples every node through load, faults and the
quiet after them, keeps the samples in ``evidence/metrics.jsonl``, and the checker ``metrics``
judges them. What is promised and broken makes a run invalid; what rises without end and was
promised nothing is told as a warning.

Whatever a system says, the files, threads and memory of its processes are sampled as well.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol, runtime_checkable

from harness.contract.node import Node

BASELINE: Final = "baseline"
"""A floor: the most that was seen of a series before the load began."""


@dataclass(frozen=True, kw_only=True)
class Gauge:
    """A figure by its ``name``, and what it promises; by default nothing, so its trend is watched.

    ``returns_to``: once the load is over and every fault healed, each series of it comes to at most
    this (or :data:`BASELINE`) plus ``slack``, within ``within_s`` seconds. That is waited for, so
    a short time costs every run little. ``at_most``: no sample is ever higher. ``never_falls``: no
    sample of a node is lower than an earlier one (a term, an applied index); one that
    ``restarts`` with its process is compared within one life of it. ``same_everywhere``: in the
    end all nodes tell the same, for each set of labels, within ``within_s``.

    ``grows`` says that it rises by nature (a counter, the size of what is stored): no trend is
    told then, and no creeping from run to run.
    """

    name: str
    help: str = ""
    unit: str = ""
    returns_to: float | str | None = None
    slack: float = 0.0
    within_s: float = 10.0
    at_most: float | None = None
    never_falls: bool = False
    same_everywhere: bool = False
    restarts: bool = True
    grows: bool = False


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One figure of one node now. ``labels`` tell its series apart, if there are several."""

    name: str
    value: float
    labels: Mapping[str, str] = field(default_factory=dict)


@runtime_checkable
class Metrics(Protocol):
    """A system whose nodes can be asked for figures: over HTTP, by an admin command, by SQL."""

    def gauges(self) -> Sequence[Gauge]:
        """What is sampled, and what it promises, with the options given. Known before set-up."""
        ...

    def metric_samples(self, node: Node, timeout_s: float) -> Iterable[Sample]:
        """The figures of ``node`` now, of the gauges alone.

        Asked of every node once or twice a second, from a thread of its own, so it may block. May
        raise: then the node told nothing this time. It must not write, nor count as an operation.
        """
        ...


@runtime_checkable
class TellsUsage(Protocol):
    """A daemon that can tell what it has in use of its machine; the providers' daemons are such."""

    def usage(self) -> Mapping[str, int]:
        """Of all that runs of it: ``processes``, ``threads``, ``open_files``, ``memory_bytes``.

        A figure that nobody may look at is missing; all are 0 where nothing runs of it. May raise.
        """
        ...
