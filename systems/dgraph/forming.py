"""Puts a cluster together: the schema, and its tablets spread over the groups.

Dgraph gives all new tablets to the group that has the fewest, and at a start that is often one
group for all of them; then it would be the balancer's turn, which a test does not wait for.
"""

from __future__ import annotations

import time
from typing import Final

from harness.contract.system import Stage
from harness.errors import NotReady
from systems.dgraph.admin import moved
from systems.dgraph.members import (
    NotAnswered,
    any_state,
    groups,
    make_schema,
    nodes_of,
    tablets,
)
from systems.dgraph.places import ALPHA
from systems.dgraph.records import Layout

_POLL_S: Final = 0.3
_ASK_S: Final = 10.0


def form(stage: Stage, layout: Layout, replicas: int, timeout_s: float) -> None:
    """Make the schema, and move tablets until every group has its share; ``NotReady`` if not."""
    deadline = time.monotonic() + timeout_s
    wanted = -(-len(nodes_of(stage, ALPHA)) // replicas)
    why = "nobody was asked"
    while time.monotonic() < deadline:
        try:
            make_schema(nodes_of(stage, ALPHA), layout, _ASK_S)
            why = _spread(stage, layout, wanted)
        except NotAnswered as error:
            why = str(error)
        if not why:
            return
        time.sleep(_POLL_S)
    raise NotReady(f"the tablets are not spread over {wanted} groups: {why}")


def _spread(stage: Stage, layout: Layout, wanted: int) -> str:
    """Move one tablet that is not where it belongs; empty once all are, else what is lacking."""
    state = any_state(stage, _ASK_S)
    numbers = sorted(number for number in groups(state) if groups(state)[number])
    if len(numbers) < wanted:
        return f"there are {len(numbers)} groups"
    found = tablets(state, layout.tablets())
    if wanted == 1:
        return ""
    for at, tablet in enumerate(layout.tablets()):
        group = numbers[at // 2 % len(numbers)]
        if tablet not in found:
            return f"there is no tablet of {tablet}"
        if found[tablet] != group:
            done = moved(stage, state, tablet, group, _ASK_S)
            return done.what
    return ""
