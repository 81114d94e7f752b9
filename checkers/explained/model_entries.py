"""The consistency models in plain words; what they forbid and imply comes from the lattice.

The example of a model is the smallest history of the catalogue that breaks it, one that breaks
no weaker model where there is one. Where no anomaly that is looked for rules a model out, the
example is a history that keeps it, because it keeps a stronger one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial
from typing import Final

from checkers.explained.entries import Catalogue, lists
from checkers.explained.sources import sources
from checkers.proof.models import (
    BESIDE,
    CANONICAL,
    EXISTS,
    FORBIDDEN_BY,
    MODELS,
    STRONGER,
    WEAKER,
    friendly,
)
from harness.verdict.explanation import Example, Explanation

_TEXTS: Final = {
    "PL-1": (
        "Writes of different transactions are not interleaved; reads may see anything.",
        "adya00 5.1",
    ),
    "PL-2": (
        "Reads see only what was committed, in its final form, and no circle of information.",
        "adya00 5.2",
    ),
    "PL-CS": (
        "Read committed, and no update of an item is lost while it is being looked at.",
        "adya99 ch 4, berenson 4.1",
    ),
    "PL-2L": (
        "Read committed, and what a transaction reads never goes back in time.",
        "adya99 ch 4",
    ),
    "PL-MSR": (
        "Read committed, and the reads of a transaction come from snapshots that move forward.",
        "adya99 ch 4",
    ),
    "PL-2+": (
        "A transaction sees a consistent state: all of another transaction, or nothing.",
        "adya99 ch 4",
    ),
    "PL-FCV": (
        "Consistent view, and a transaction also sees all that was committed when it started,"
        " and perhaps later transactions in whole.",
        "adya99 ch 4",
    ),
    "PL-3U": (
        "The transactions that write are serializable, also together with any one that only"
        " reads; two readers may see them in different orders.",
        "adya99 ch 4",
    ),
    "PL-2.99": (
        "Serializable as far as single items go; conditions may meet phantoms.",
        "adya00 5.4",
    ),
    "PL-SI": (
        "Every transaction reads from one snapshot, and of two at one time that write one key"
        " only one succeeds. Write skew is possible.",
        "berenson 4.2, adya99 ch 4, cerone16",
    ),
    "PL-3": (
        "All transactions happen as if one after the other, in some order.",
        "adya00 5.3, papadimitriou",
    ),
    "PL-SS": (
        "All transactions happen as if one after the other, each at one moment between being"
        " sent and being answered: serializable and in real time.",
        "papadimitriou, herlihy",
    ),
    "view-serializable": (
        "The reads and the final state are those of some serial order, whatever the writes in"
        " between that nobody saw.",
        "bernstein 2.6, papadimitriou",
    ),
    "monotonic-atomic-view": (
        "Once some effect of a transaction is seen, all of its effects are, from then on.",
        "bailis",
    ),
    "read-atomic": (
        "A transaction sees all or none of another one's writes.",
        "ramp, cerone",
    ),
    "update-atomic": ("Read atomic, and no update is lost.", "rola"),
    "causal-cerone": (
        "Read atomic, and whoever sees a transaction also sees all that it had seen.",
        "cerone",
    ),
    "prefix": (
        "All see the transactions in one order, each reads a prefix of it (no long fork), and"
        " updates may be lost.",
        "cerone",
    ),
    "parallel-snapshot-isolation": (
        "Snapshot isolation in which different sites may see independent transactions in"
        " different orders (long fork).",
        "sovran, cerone",
    ),
    "strong-session-PL-1": (
        "Read uncommitted, and the writes of one process keep its order.",
        "elle",
    ),
    "strong-session-PL-2": ("Read committed, in which each process's own order holds.", "elle"),
    "strong-session-snapshot-isolation": (
        "Snapshot isolation in which a client's snapshot includes all that it did before.",
        "daudjee",
    ),
    "strong-session-serializable": (
        "Serializable in an order that keeps to the order of each process.",
        "daudjee",
    ),
    "strong-PL-1": ("Read uncommitted, and writes keep to real time.", "elle"),
    "strong-PL-2": ("Read committed, and everything seen keeps to real time.", "elle"),
    "strong-snapshot-isolation": (
        "Snapshot isolation in which a snapshot includes all that was committed before the"
        " transaction was sent.",
        "daudjee",
    ),
    "session-serializable": (
        "One-copy serializable, and each client's own transactions keep their order.",
        "zuikeviciute",
    ),
    "1SR": (
        "One-copy serializability: the copies together behave like one serializable copy.",
        "bernstein",
    ),
    "linearizable": (
        "Every operation on an object happens at one moment between being sent and being answered.",
        "herlihy",
    ),
    "sequential": (
        "All operations happen in one order that keeps to the order of each process; real time"
        " may be ignored.",
        "lamport",
    ),
    "causal": (
        "Everyone sees causes before their effects; operations that are not related may be seen"
        " in different orders.",
        "ahamad, bouajjani",
    ),
    "PRAM": ("Everyone sees the writes of one process in the order of that process.", "lipton"),
    "writes-follow-reads": (
        "Whoever sees a write also sees what its writer had read before.",
        "terry",
    ),
    "monotonic-reads": ("What a process has seen once it goes on seeing.", "terry"),
    "monotonic-writes": ("The writes of a process are seen in the order it made them.", "terry"),
    "read-your-writes": ("A process sees its own writes.", "terry"),
}

_KEPT: Final = "a: [ax1]\nb:       [rx1]"


def _names(model: str) -> tuple[str, ...]:
    """The friendly name first, then every other one."""
    others = [name for name, of in CANONICAL.items() if of == model]
    return tuple(dict.fromkeys((friendly(model), model, *others)))


def _explained(model: str, breaking: Callable[[str], Example | None]) -> Explanation:
    text, papers = _TEXTS[model]
    broken = breaking(friendly(model))
    if broken is not None:
        against = {**broken.options, "claims": (friendly(model),)}
        example = replace(broken, options=against)
    else:
        example = replace(lists(_KEPT, models=friendly(model)), valid=True)
        text += (
            " No anomaly that is looked for here rules it out by itself; it is proved where a"
            " stronger model holds, as in the example."
        )
    direct = (*FORBIDDEN_BY[model], *BESIDE.get(model, ()))
    forbids = [name for name in direct if not name.endswith(EXISTS)]
    return Explanation(
        kind="model",
        names=_names(model),
        text=text,
        examples=(example,),
        facts={
            "forbids, beyond what weaker models forbid": tuple(sorted(forbids)),
            "next weaker": _friendly(WEAKER.get(model, ())),
            "next stronger": _friendly(STRONGER.get(model, ())),
        },
        sources=sources(*(paper.strip() for paper in papers.split(","))),
    )


def _friendly(models: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(map(friendly, models)))


def model_entries(breaking: Callable[[str], Example | None]) -> Catalogue:
    """Every model by each of its names; ``breaking`` finds an example that breaks one."""
    return {
        name: partial(_explained, model, breaking)
        for model in sorted(MODELS)
        for name in _names(model)
    }
