"""Consistency models and anomalies: which anomaly rules out which model.

Three graphs, as data:

- :data:`IMPLIED` - an anomaly is also another one (a ``G0`` is a ``G1c``);
- :data:`WEAKER` - a model promises all that another one promises, and more;
- :data:`FORBIDS` - what a model forbids itself, beyond what weaker models forbid.

An anomaly rules out every model that forbids it or one that it implies, and every stronger
model. The relations are those of Elle (jepsen-io/elle, consistency_model.clj), whose sources
are named beside each line: *Adya* (Weak Consistency, 1999), *Bailis* (Highly Available
Transactions, 2014), *Cerone* (A Framework for Transactional Consistency Models with Atomic
Visibility, 2015), *Daudjee* (Lazy Database Replication with Snapshot Isolation, 2006),
*Bernstein* (Concurrency Control and Recovery, 1987), *Zuikeviciute* (Correctness Criteria for
Database Replication, 2005), *Liu* (ROLA, 2018), *SQL* (the standard).

Two things differ from Elle. Its ``GSIa``, ``GSIb``, ``GSI`` in one graph and ``G-SI``,
``G-SIb`` in another never meet; here they are one spelling. And what no history in Adya's sense
has, whatever its level, is forbidden even by ``PL-1``: a read of a value that nobody ever wrote
(``thin-air``) or that its reader itself wrote only later (``future-read``), a read that lacks what
its transaction wrote before (``own-write-unread``), a list that shows one transaction's appends in
another order than it made them (``own-appends-reordered``), ``cyclic-versions`` and
``duplicate-elements``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from typing import Final

from harness.verdict.wording import shown

Graph = Mapping[str, tuple[str, ...]]

CANONICAL: Final[Mapping[str, str]] = {
    "read-uncommitted": "PL-1",
    "read-committed": "PL-2",
    "cursor-stability": "PL-CS",
    "monotonic-view": "PL-2L",
    "monotonic-snapshot-read": "PL-MSR",
    "consistent-view": "PL-2+",
    "forward-consistent-view": "PL-FCV",
    "repeatable-read": "PL-2.99",
    "snapshot-isolation": "PL-SI",
    "update-serializable": "PL-3U",
    "conflict-serializable": "PL-3",
    "serializable": "PL-3",
    "strong-serializable": "PL-SS",
    "strict-serializable": "PL-SS",
    "strong-session-read-uncommitted": "strong-session-PL-1",
    "strong-session-read-committed": "strong-session-PL-2",
    "strong-read-uncommitted": "strong-PL-1",
    "strong-read-committed": "strong-PL-2",
}
"""Friendly names of models; of two for one model the later is the one printed."""

FRIENDLY: Final = {model: name for name, model in CANONICAL.items()}

WEAKER: Final[Graph] = {
    "PL-SS": (
        "PL-3",  # Adya
        "linearizable",  # Bailis
        "PL-SI",  # Adya
        "strong-snapshot-isolation",
        "strong-session-serializable",  # Daudjee
        "session-serializable",  # Zuikeviciute
    ),
    "strong-session-serializable": ("PL-3", "strong-session-snapshot-isolation"),  # Daudjee
    "strong-snapshot-isolation": ("strong-session-snapshot-isolation", "strong-PL-2"),  # Daudjee
    "strong-session-snapshot-isolation": ("PL-SI", "strong-session-PL-2"),  # Daudjee, Cerone
    "strong-PL-2": ("strong-session-PL-2", "strong-PL-1"),
    "strong-PL-1": ("strong-session-PL-1",),
    "strong-session-PL-2": ("PL-2", "strong-session-PL-1"),
    "strong-session-PL-1": ("PL-1",),
    "PL-3": (
        "PL-2.99",  # Adya, SQL
        "PL-SI",  # Bailis, Cerone
        "view-serializable",  # Bernstein
        "PL-3U",  # Adya
    ),
    "PL-3U": ("PL-FCV",),  # Adya
    "PL-FCV": ("PL-2+",),  # Adya
    "PL-2+": ("PL-CS", "PL-2L"),  # Adya
    "PL-SI": (
        "PL-FCV",  # Adya
        "monotonic-atomic-view",  # Bailis
        "PL-MSR",  # Adya
        "parallel-snapshot-isolation",  # Cerone
        "prefix",  # Cerone
    ),
    "prefix": ("causal-cerone",),  # Cerone
    "parallel-snapshot-isolation": ("causal-cerone", "update-atomic"),  # Cerone, Liu
    "causal-cerone": ("read-atomic",),  # Cerone
    "update-atomic": ("read-atomic",),  # Cerone
    "read-atomic": ("monotonic-atomic-view",),  # Cerone
    "monotonic-atomic-view": ("PL-2",),  # Bailis
    "PL-2.99": ("PL-CS", "monotonic-atomic-view"),  # Adya, Bailis
    "PL-CS": ("PL-2",),  # Adya, Bailis
    "PL-2L": ("PL-2",),  # Adya
    "PL-MSR": ("PL-2",),  # Adya
    "PL-2": ("PL-1",),  # Adya, SQL
    "session-serializable": ("1SR",),  # Zuikeviciute
    "linearizable": ("sequential",),  # Bailis
    "sequential": ("causal",),  # Bailis
    "causal": ("writes-follow-reads", "PRAM"),  # Bailis
    "PRAM": ("monotonic-reads", "monotonic-writes", "read-your-writes"),  # Bailis
}

BASES: Final = (
    "G0",
    "G1c",
    "G-single-item",
    "G-single",
    "G-nonadjacent-item",
    "G-nonadjacent",
    "G2-item",
    "G2",
)
CYCLES: Final = tuple(f"{base}{order}" for order in ("", "-process", "-realtime") for base in BASES)
"""The 24 types of cycles: by data alone, with process order, with realtime order."""

PROCESS_CYCLES: Final = frozenset(name for name in CYCLES if name.endswith("-process"))
REALTIME_CYCLES: Final = frozenset(name for name in CYCLES if name.endswith("-realtime"))

_IN_EACH_ORDER: Final[Graph] = {
    "G0": ("G1c",),
    "G1c": ("G1",),
    "G1": (),
    "G-single-item": ("G-single", "G-nonadjacent-item"),
    "G-single": ("G-nonadjacent",),
    "G-nonadjacent-item": ("G-nonadjacent", "G2-item"),
    "G-nonadjacent": ("G2",),
    "G2-item": ("G2",),
    "G2": (),
}


def _implied() -> dict[str, tuple[str, ...]]:
    """Each anomaly with those that it is also, directly."""
    found: dict[str, tuple[str, ...]] = {}
    for order, wider in (("", "-process"), ("-process", "-realtime"), ("-realtime", None)):
        for name, implied in _IN_EACH_ORDER.items():
            same = tuple(other + order for other in implied)
            found[name + order] = same if wider is None else (*same, name + wider)
    found["G-single"] += ("G-SIb",)  # Adya
    return found | {
        "G1a": ("G1",),
        "G1b": ("G1",),
        "G-SIa": ("G-SI",),
        "G-SIb": ("G-SI",),
        "incompatible-order": ("G1a",),
        "dirty-update": ("G1a",),
        "future-read": ("G1c",),
        "thin-air": ("G1a",),
        "own-write-unread": ("internal",),
        "own-write-overwritten": ("internal",),  # Adya
        "non-repeatable-read": ("G-single-item",),  # Adya: whichever version came first
        "lost-update": ("write-skew", "G2-item"),  # Bailis
        "write-skew": ("G2",),
    }


IMPLIED: Final[Graph] = _implied()

FORBIDS: Final[Graph] = {
    "PL-1": (  # Adya
        "G0",
        "duplicate-elements",
        "cyclic-versions",
        "thin-air",
        "future-read",
        "own-write-unread",
        "own-appends-reordered",
    ),
    "PL-2": ("G1", "own-write-overwritten"),  # Adya
    "PL-CS": ("G1", "G-cursor", "lost-update"),  # Adya, Bailis
    "PL-2L": ("G1", "G-monotonic"),  # Adya
    "PL-MSR": ("G1", "G-MSR"),  # Adya
    "PL-2+": ("G1", "G-single"),  # Adya
    "PL-FCV": ("G1", "G-SIb"),  # Adya
    "read-atomic": ("internal", "G1a", "future-read"),  # Cerone
    "causal-cerone": ("internal", "G1a"),  # Cerone
    "parallel-snapshot-isolation": ("internal", "G1a"),  # Cerone
    "prefix": ("internal", "G1a"),  # Cerone
    "update-atomic": ("lost-update",),  # Cerone
    "PL-2.99": ("G1", "G2-item", "lost-update"),  # Adya, Bailis
    "PL-SI": ("internal", "G1", "G-SI", "G-nonadjacent"),  # Adya, Cerone
    "PL-3U": ("G1", "G-update"),  # Adya
    "PL-3": ("internal", "G1", "G2", "predicate-read-miss"),  # Adya, Cerone
    "strong-session-PL-1": ("G0-process",),
    "strong-session-PL-2": ("G1c-process",),
    "strong-PL-1": ("G0-realtime",),
    "strong-PL-2": ("G1c-realtime",),
    "strong-session-snapshot-isolation": ("internal", "G1-process", "G-nonadjacent-process"),
    "strong-snapshot-isolation": ("internal", "G1-realtime", "G-nonadjacent-realtime"),
    "strong-session-serializable": ("G1-process", "G2-process"),  # Daudjee
    "PL-SS": ("G1", "G1c-realtime", "G2-realtime"),  # Adya
}

EXISTENCE: Final = (
    "PL-1",
    "PL-2",
    "PL-SI",
    "PL-2.99",
    "PL-3",
    "strong-session-PL-1",
    "strong-session-PL-2",
    "strong-session-snapshot-isolation",
    "strong-session-serializable",
    "strong-PL-1",
    "strong-PL-2",
    "strong-snapshot-isolation",
    "PL-SS",
)
"""Models that are exactly (in Elle's inference) the absence of cycles in some part of the graph."""

EXISTS: Final = "-cycle-exists"
UNKNOWN_MAKING: Final = ("empty-transaction-graph", "cycle-search-timeout")

IN_NO_HISTORY: Final = frozenset(
    ("thin-air", "future-read", "own-write-unread", "own-appends-reordered")
)
"""What no model allows, those that are not Adya's included."""
BESIDE: Final[Graph] = {"causal": ("G1a", "G1b", "internal")}
"""What a model forbids of transactions, where the weaker ones of the lattice speak of single
operations: causal as Biswas & Enea (2019) have it lets committed transactions be seen, whole."""

MODELS: Final = frozenset(WEAKER) | {model for weaker in WEAKER.values() for model in weaker}
"""The 36 models by their canonical names."""

NAMES: Final = tuple(sorted(MODELS | set(CANONICAL)))
"""Every name that is understood."""


def canonical(name: str) -> str:
    """The one name by which the graphs call a model; ``ValueError`` for an unknown one."""
    model = CANONICAL.get(name, name)
    if model not in MODELS:
        raise ValueError(f"there is no consistency model {shown(name)} (known: {', '.join(NAMES)})")
    return model


def friendly(model: str) -> str:
    """The name of a model to print."""
    return FRIENDLY.get(model, model)


def _reachable(graph: Graph, names: Iterable[str]) -> frozenset[str]:
    found: set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting.extend(graph.get(name, ()))
    return frozenset(found)


def _reversed(graph: Graph) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for name, targets in graph.items():
        for target in targets:
            found[target] = (*found.get(target, ()), name)
    return found


STRONGER: Final[Graph] = _reversed(WEAKER)
IMPLYING: Final[Graph] = _reversed(IMPLIED)


def _forbidden_by() -> dict[str, tuple[str, ...]]:
    """For each model what it forbids directly, its own cycles included."""
    return {
        model: (*FORBIDS.get(model, ()), *([model + EXISTS] if model in EXISTENCE else ()))
        for model in MODELS
    }


FORBIDDEN_BY: Final[Graph] = _forbidden_by()
FORBIDDING: Final[Graph] = _reversed(FORBIDDEN_BY)


def implied_anomalies(anomalies: Iterable[str]) -> frozenset[str]:
    """The anomalies given and all that they also are."""
    return _reachable(IMPLIED, anomalies)


def anomalies_implying(anomalies: Iterable[str]) -> frozenset[str]:
    """The anomalies given and all that are also one of them."""
    return _reachable(IMPLYING, anomalies)


def implied_models(models: Iterable[str]) -> frozenset[str]:
    """The models given and every weaker one, canonical."""
    return _reachable(WEAKER, map(canonical, models))


def stronger_models(models: Iterable[str]) -> frozenset[str]:
    """The models given and every stronger one, canonical."""
    return _reachable(STRONGER, map(canonical, models))


def prohibited(models: Iterable[str]) -> frozenset[str]:
    """Every anomaly that cannot be where all of ``models`` hold."""
    return _prohibited(frozenset(models))


@cache
def _prohibited(models: frozenset[str]) -> frozenset[str]:
    direct = [name for model in implied_models(models) for name in FORBIDDEN_BY[model]]
    return anomalies_implying(direct)


def impossible(anomalies: Iterable[str]) -> frozenset[str]:
    """Every model (canonical) that cannot hold where ``anomalies`` are."""
    return _impossible(frozenset(anomalies))


@cache
def _impossible(anomalies: frozenset[str]) -> frozenset[str]:
    implied = implied_anomalies(anomalies)
    return stronger_models(model for name in implied for model in FORBIDDING.get(name, ()))


def weakest(models: Iterable[str]) -> frozenset[str]:
    """Those of ``models`` from which all the others follow if they do not hold."""
    left = {canonical(model) for model in models}
    return frozenset(model for model in left if not (_reachable(WEAKER, [model]) - {model}) & left)


def boundary(anomalies: Iterable[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The weakest models that ``anomalies`` rule out, and the stronger ones, both friendly."""
    out = impossible(anomalies)
    least = weakest(out)
    return tuple(sorted(map(friendly, least))), tuple(sorted(map(friendly, out - least)))
