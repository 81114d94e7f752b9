"""Circles of dependencies: Adya's G0, G1c, G-single, G-nonadjacent and G2, with Elle's variants.

Twenty-four names: eight kinds of circles, each closed by data alone, with the order of a process,
or with the order of real time.
"""

from __future__ import annotations

from typing import Final

from checkers.explained.entries import Catalogue, anomaly, lists, script, table
from checkers.isolation.predicates.checker import PredicateReads
from checkers.proof.models import BASES, EXISTENCE, EXISTS, FRIENDLY
from harness.verdict.explanation import Example

_KINDS: Final = {
    "G0": """A circle of writes: T1 wrote before T2 at one key and after it at another, so
        neither can be first. The two are interleaved, and even the weakest level forbids it.""",
    "G1c": """A circle of information: T1 saw what T2 wrote and T2 saw (or overwrote) what T1
        wrote, so each would have to come after the other.""",
    "G-single-item": """Read skew: one transaction missed a write of another (it saw the state
        before it) and yet comes after it by everything else, as if it had read half of it.""",
    "G-single": """Read skew in general: a circle in which exactly one transaction missed a
        write of the next one. Where single keys are enough to show it, it is told as
        G-single-item; under this name a condition has its part in it, as here: a transaction
        missed a row that another one inserted, and yet comes after it by everything else.""",
    "G-nonadjacent-item": """Several missed writes in one circle, never two of them in a row: the
        long fork. Two readers see two writes in opposite orders, so no single state of the
        store explains both.""",
    "G-nonadjacent": """The long fork in general, told as G-nonadjacent-item where single keys
        are enough to show it; under this name it goes over a condition: readers find rows of
        one writer without the other's, in opposite orders.""",
    "G2-item": """Write skew and its longer forms: a circle in which transactions each missed
        what the next one wrote. Snapshot isolation allows it, serializability does not.""",
    "G2": """A circle with missed writes in general, told as G2-item where single keys are
        enough to show it; under this name it is the phantom: a circle of transactions that each
        asked by a condition and missed a row which the next one inserted. Repeatable read
        allows it, serializability does not.""",
}
_ORDERS: Final = {
    "": "",
    "-process": """ Here one step of the circle is the order of a single process: what a client
        did first comes first.""",
    "-realtime": """ Here one step of the circle is real time: a transaction that was answered
        before another one was sent comes before it.""",
}

_SKEW: Final = """
    0 + txn [["rp", "true"], ["insert", "1", 5]]
    1 + txn [["rp", "true"], ["insert", "2", 8]]
    0 - ok [["rp", "true", {}], ["insert", "1", 5]]
    1 - ok [["rp", "true", {}], ["insert", "2", 8]]
"""
_HALF: Final = """
    0 + txn [["insert", "1", 5], ["insert", "2", 8]]
    1 txn [["rp", "true"]] = [["rp", "true", {"1": 5}]]
    0 - ok
"""
_FORK: Final = """
    0 + txn [["insert", "1", 5]]
    1 + txn [["insert", "2", 8]]
    2 txn [["rp", "true"]] = [["rp", "true", {"1": 5}]]
    3 txn [["rp", "true"]] = [["rp", "true", {"2": 8}]]
    0 - ok
    1 - ok
"""
_LATE_FORK: Final = """
    3 + txn [["insert", "2", 8]]
    0 + txn [["rp", ["=", 5]], ["rp", ["=", 8]]]
    1 txn [["insert", "1", 5]]
    2 txn [["rp", ["=", 8]]] = [["rp", ["=", 8], {}]]
    3 - ok
    0 - ok [["rp", ["=", 5], {}], ["rp", ["=", 8], {"2": 8}]]
"""
_LATE_SKEW: Final = """
    2 + txn [["rp", ["=", 5]], ["insert", "2", 8]]
    0 txn [["insert", "1", 5]]
    1 txn [["rp", ["=", 8]]] = [["rp", ["=", 8], {}]]
    2 - ok [["rp", ["=", 5], {}], ["insert", "2", 8]]
"""

_DRAWINGS: Final = {
    "G0": "a: [ax1 ay1]\nb: [ax2 ay2]\nc:             [rx12 ry21]",
    "G0-process": "a: [ax1] [ax2]\nb:     [rx21]",
    "G0-realtime": "a: [ax1]\nb:      [ax2] [rx21]",
    "G1c": "a: [ax1 ry1]\nb: [ay1 rx1]",
    "G1c-process": "a: [rx1] [ax1]\nb: [rx1]",
    "G1c-realtime": "a: [rx1]\nb:       [ax1]",
    "G-single-item": "a: [ax1 ay1]\nb: [rx  ry1]",
    "G-single-item-process": "a: [ax1] [rx ]\nb: [rx1]",
    "G-single-item-realtime": "a: [ax1]\nb:       [rx ]\nc: [rx1]",
    "G-nonadjacent-item": "a: [ax1    ]\nb: [ay1    ]\nc: [rx1 ry ]\nd: [rx  ry1]",
    "G-nonadjacent-item-process": ("a: [ay1] [rx ]\nb: [ax1] [ry ]\nc: [rx1 ry1       ]"),
    "G-nonadjacent-item-realtime": ("a: [ax1]\nb:        [ry ]\nc: [ay1       ]\nd: [rx  ry1   ]"),
    "G2-item": "a: [rx  ay1]\nb: [ry  ax1]",
    "G2-item-process": "a: [ay1] [rx ]\nc: [ry ax1    ]",
    "G2-item-realtime": "a: [ay1]\nb:         [rx ]\nc: [ry ax1       ]",
}
_SCRIPTS: Final = {
    "G-single": _HALF,
    "G-single-realtime": """
        0 txn [["insert", "1", 5]]
        1 txn [["rp", "true"]] = [["rp", "true", {}]]
    """,
    "G-nonadjacent": _FORK,
    "G-nonadjacent-realtime": _LATE_FORK,
    "G2": _SKEW,
    "G2-realtime": _LATE_SKEW,
}


def _example(name: str) -> Example:
    """A circle of that name; by conditions and processes only its form over items is told."""
    if name in _DRAWINGS:
        return lists(_DRAWINGS[name], name)
    if name in _SCRIPTS:
        return script(PredicateReads, _SCRIPTS[name], name)
    item = name.replace("-process", "-item-process")
    return lists(_DRAWINGS[item], item)


def _text(name: str, kind: str, order: str) -> str:
    text = _KINDS[kind] + _ORDERS[order]
    if name not in _DRAWINGS and name not in _SCRIPTS:
        item = name.replace("-process", "-item-process")
        text += f""" No checker here tells it under this name (the order of a process is not
            looked at over conditions); the example is its form over items, {item}, which it
            implies."""
    return text


_PAPERS: Final = {
    "G0": "adya00 5.1, elle",
    "G1c": "adya00 5.2, elle",
    "G-single": "adya99 ch 4, berenson 4.2, elle",
    "G-nonadjacent": "cerone16, elle",
    "G2": "adya00 5.3, berenson 4.2, elle",
}


def _papers(kind: str) -> str:
    return _PAPERS[kind.removesuffix("-item")]


def _cycles() -> Catalogue:
    orders = ("", "-process", "-realtime")
    return table(
        *(
            anomaly(
                base + order,
                _text(base + order, base, order),
                _example(base + order),
                papers=_papers(base),
            )
            for order in orders
            for base in BASES
        )
    )


_OF_MODEL: Final = {
    "PL-1": "G0",
    "PL-2": "G1c",
    "PL-SI": "G-nonadjacent-item",
    "PL-2.99": "G2-item",
    "PL-3": "G2-item",
    "strong-session-PL-1": "G0-process",
    "strong-session-PL-2": "G1c-process",
    "strong-session-snapshot-isolation": "G-nonadjacent-item-process",
    "strong-session-serializable": "G2-item-process",
    "strong-PL-1": "G0-realtime",
    "strong-PL-2": "G1c-realtime",
    "strong-snapshot-isolation": "G-nonadjacent-item-realtime",
    "PL-SS": "G2-item-realtime",
}
"""A circle that breaks each model which is exactly the absence of circles."""


def _existing() -> Catalogue:
    return table(
        *(
            anomaly(
                model + EXISTS,
                f"""There is a circle that {FRIENDLY.get(model, model)} forbids: that is proved,
                but the search ran out of time before it had the circle itself, so it has no
                other name. A longer --cycle-search-timeout may name it. In a history as small as
                the example the search always does, and names {_OF_MODEL[model]}.""",
                lists(_DRAWINGS[_OF_MODEL[model]], _OF_MODEL[model]),
                papers="elle",
            )
            for model in EXISTENCE
        )
    )


CYCLE_ENTRIES: Final = _cycles() | _existing()
