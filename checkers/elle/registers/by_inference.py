"""The verdict on registers by inference alone, as Elle gives it, but for what it leaves open.

An order of versions that is only partly known leaves dependencies unknown, and a history that
breaks its model may then show no cycle (Elle calls it valid). Here it is valid only if that is
proved: the model asked for needs no more than is known (up to read-committed, any order of the
versions will do that goes with the cycle-free graph), or the order of every key is known, or an
order of all transactions is found that explains every read
(:mod:`checkers.elle.registers.serial_order`). Otherwise the answer is unknown.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from checkers.elle.analysis import Inference, analyse
from checkers.elle.explain import show
from checkers.elle.options import Options
from checkers.elle.registers.dependencies import infer, sources
from checkers.elle.registers.serial_order import is_explained
from checkers.elle.registers.versions import (
    Order,
    Versions,
    agreed_order,
)
from checkers.proof.models import canonical, implied_models
from harness.verdict.record import Record
from harness.verdict.verdict import Budget, Verdict

NOT_SOUGHT: Final = "no proof was sought"
REALTIME: Final = frozenset(("realtime",))
WITHOUT_VERSIONS: Final = implied_models(["strong-read-committed"])
"""Models of which the absence of cycles of known dependencies is proof enough."""


def by_inference(
    record: Record,
    options: Options,
    known: Versions,
    assumed: Mapping[str, Any],
    budget: Budget,
    *,
    seek: bool = True,
) -> Verdict:
    """What is inferred; ``seek`` a proof where that shows nothing wrong."""
    order = agreed_order(known, sources(known, assumed, record))
    inference = infer(known, order, record)
    kinds = {kind for kind, cases in inference.anomalies.items() if cases}
    if not seek:
        inference.incomplete = NOT_SOUGHT
    elif not kinds & options.prohibited:
        inference.incomplete = why_incomplete(inference, order, options, budget)
    return analyse(inference, options, record, budget)


def why_incomplete(inference: Inference, order: Order, options: Options, budget: Budget) -> str:
    """Why the absence of cycles would prove nothing; empty if it proves the models asked for."""
    if all(canonical(model) in WITHOUT_VERSIONS for model in options.consistency_models):
        return ""
    known = order.known
    loose = _loose_key(order)
    if loose is None:
        inference.stats["proved_by"] = "the order of every key's versions is known"
        return ""
    needed = options.orders()
    tries = [REALTIME] if "realtime" in needed else [REALTIME, needed]  # the first one is quicker
    tries = tries if options.timed else [needed]
    if any(is_explained(known, inference.graph, orders, budget) for orders in tries):
        inference.stats["proved_by"] = "an order of all transactions that explains every read"
        return ""
    return (
        f"the order of the versions of key {show(known.found.keys[loose])} is not wholly known, so"
        " a cycle may not show; and no order of all transactions was found that explains every"
        " read (it would help to assume more of the order, or to append to lists)"
    )


def _loose_key(order: Order) -> int | None:
    """A key with two versions that may have been installed in either order, or ``None``."""
    known = order.known
    installed = np.asarray(known.writer >= 0)
    count = np.bincount(known.key[installed], minlength=len(known.found.keys))
    before, after = order.joined()
    inside = installed[before] & installed[after]
    before, after = before[inside], after[inside]
    pairs = np.bincount(known.key[before], minlength=len(count))
    too_few = np.flatnonzero(pairs < count - 1)
    if len(too_few):
        return int(too_few[0])
    next_one: dict[int, list[int]] = {}
    for first, second in zip(before.tolist(), after.tolist(), strict=True):
        next_one.setdefault(first, []).append(second)
    for key in np.flatnonzero(count > 1).tolist():
        here = np.flatnonzero(installed & (known.key == key)).tolist()
        if _longest_chain(here, next_one) < len(here):
            return key
    return None


def _longest_chain(versions_of_key: list[int], next_one: Mapping[int, list[int]]) -> int:
    """How many versions the longest chain of a key has; the order has no cycle."""
    waits = dict.fromkeys(versions_of_key, 0)
    for version in versions_of_key:
        for after in next_one.get(version, ()):
            waits[after] += 1
    length = dict.fromkeys(versions_of_key, 1)
    ready = [version for version, count in waits.items() if not count]
    while ready:
        version = ready.pop()
        for after in next_one.get(version, ()):
            length[after] = max(length[after], length[version] + 1)
            waits[after] -= 1
            if not waits[after]:
                ready.append(after)
    return max(length.values(), default=0)
