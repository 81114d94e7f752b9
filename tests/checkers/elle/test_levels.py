"""Verdicts against brute force: every level, thousands of small histories with infos and fails."""

from __future__ import annotations

from random import Random

import pytest

from harness.history.verdict import UNKNOWN
from tests.checkers.elle.brute_force import LEVELS, Txn, txns_of, version_orders, worlds
from tests.checkers.elle.drawing_lists import judged
from tests.checkers.elle.random_lists import random_history

HISTORIES = 300


def has_an_order(txns: list[Txn]) -> bool:
    return any(True for world in worlds(txns) for _ in version_orders(world))


@pytest.mark.parametrize("level", sorted(LEVELS))
def test_a_verdict_is_what_trying_everything_gives(level: str) -> None:
    rng = Random(f"levels {level}")
    decided = {True: 0, False: 0}
    for number in range(HISTORIES):
        history = random_history(rng, rng.randint(2, 4))
        txns = txns_of(history)
        if "uncommitted" in level and not has_an_order(txns):
            continue  # there reads may show anything, so they tell no order
        verdict = judged(history, level)
        allowed = LEVELS[level](txns)
        if verdict.valid is UNKNOWN:
            nothing = "empty-transaction-graph" in verdict.anomalies
            assert nothing or ("snapshot" in level and not allowed), (number, verdict)
            continue
        assert verdict.valid is allowed, (number, verdict, history.operations)
        decided[allowed] += 1
    assert decided[True] > HISTORIES / 4
    assert decided[False] > 0 or "uncommitted" in level
