"""What was done to the nodes, in the words by which a system says which lines it expects.

A system names an effect (:data:`harness.history.effects.WORDS`); tables that name a fault, as
those of earlier versions and of systems with faults of their own do, are understood as well.
"""

from __future__ import annotations

from collections.abc import Iterable

from harness.history.effects import SHIFTS_CLOCK, effects_of, is_undeclared
from harness.history.faults import RecordedFault


def causes(faults: Iterable[RecordedFault]) -> set[str]:
    """The effects of these faults, and their own names."""
    found = set()
    for fault in faults:
        effects = effects_of(fault.detail)
        found |= {fault.fault, *(effects.words if effects else ())}
    return found


def may_shift_clocks(fault: RecordedFault) -> bool:
    """Whether nodes may have read another time; of one that does not say, it must be assumed.

    Ledgers of earlier versions tell no effects, but the processes or links that they are about.
    """
    effects = effects_of(fault.detail)
    if effects is not None:
        return SHIFTS_CLOCK in effects.words
    return is_undeclared(fault.detail) or not {"processes", "grudge"} & fault.detail.keys()


def may_have_ended(fault: RecordedFault, node: str) -> bool:
    """Whether it aims at the node and says nothing of what it does there."""
    return is_undeclared(fault.detail) and node in fault.targets
