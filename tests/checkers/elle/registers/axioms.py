"""Weak models of registers by the axioms of Biswas and Enea (2019), for any order of commits.

A transaction that sees another one, which wrote a key, and reads a third one's value there demands
that the third committed after the second. Is there a choice of which infos committed, and an order
of commits that goes with all demands and with who sees whom? Reads of what did not commit, or of
what no order explains, are allowed nowhere.
"""

from __future__ import annotations

from itertools import permutations

from checkers.elle.registers.weak_saturation import CAUSAL, READ_COMMITTED
from harness.history.history import History
from tests.checkers.elle.registers.oracle import World, session_order, txns_of, worlds

WRONG = {"impossible", "over", "G1a", "G1b"}


def is_odd(history: History) -> bool:
    """Whether some read is wrong by itself, whichever infos committed."""
    return all(world.wrong & WRONG for world in worlds(txns_of(history)))


def is_allowed(history: History, kind: str, *, sessions: bool) -> bool:
    """Whether an order of commits explains ``history``."""
    return any(
        _has_order(world, kind, sessions=sessions)
        for world in worlds(txns_of(history))
        if not world.wrong & WRONG
    )


def _has_order(world: World, kind: str, *, sessions: bool) -> bool:
    sees = {(read.writer, read.reader) for read in world.reads if read.writer >= 0}
    if sessions:
        sees |= {(a, b) for a, b, _ in session_order(world)}
    closed = set(sees)
    while kind == CAUSAL:
        more = {(a, d) for a, b in closed for c, d in closed if b == c} - closed
        if not more:
            break
        closed |= more
    demands = []
    for number in world.committed:
        mine = [read for read in world.reads if read.reader == number]
        for at, read in enumerate(mine):
            if kind == READ_COMMITTED:
                seen = {other.writer for other in mine[:at] if other.writer >= 0}
            else:
                seen = {a for a, b in closed if b == number}
            others = {a for a in seen if read.key in world.txns[a].writes()} - {read.writer}
            demands += [(other, read.writer) for other in others]
    if any(writer < 0 for _, writer in demands):
        return False
    wanted = sees | set(demands)
    return any(
        all(order.index(a) < order.index(b) for a, b in wanted)
        for order in permutations(sorted(world.committed))
    )
