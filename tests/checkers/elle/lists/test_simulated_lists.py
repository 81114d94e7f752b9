"""Histories of a store at each level are never called invalid at that level, and planted
anomalies are found in them by name.
"""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from harness.history.history import History
from harness.history.operation import Operation
from tests.checkers.elle.lists.drawing import drawn_lists, judged
from tests.checkers.elle.lists.simulated import LEVELS, simulated

pytestmark = pytest.mark.slow


STRONGER = {level: LEVELS[place + 1 :] for place, level in enumerate(LEVELS)}


@pytest.mark.parametrize("level", LEVELS)
def test_a_store_is_never_invalid_at_its_own_level(level: str) -> None:
    rng = Random(f"simulated {level}")
    for _ in range(40):
        verdict = judged(simulated(level, rng, rng.randint(5, 60)), level)
        assert verdict.valid is not False, verdict.why


@pytest.mark.parametrize("level", LEVELS[:-1])
def test_a_weak_store_is_caught_at_the_next_level(level: str) -> None:
    rng = Random(f"weak {level}")
    stronger = STRONGER[level][0]
    answers = [judged(simulated(level, rng, 60), stronger).valid for _ in range(20)]
    assert False in answers


PLANTED = {
    "G0": "a: [am1 an1]\nb: [am2 an2]\nc:           [rm12 rn21]",
    "G1a": "a: [am1 !\nb:        [rm1]",
    "G1b": "a: [am1 am2]\nb: [rm1     ]",
    "G1c": "a: [am1 rn1]\nb: [an1 rm1]",
    "G-single-item": "a: [am1 an1]\nb: [rm rn1]",
    "G-nonadjacent-item": "a: [am1    ]\nb: [an1    ]\nc: [rm1 rn ]\nd: [rm  rn1]",
    "G2-item": "a: [rm  an1]\nb: [rn  am1]",
    "G0-realtime": "a: [am1]\nb:      [am2] [rm21]",
    "G1c-realtime": "a: [rm1]\nb:       [am1]",
    "G-single-item-realtime": "a: [am1]\nb:       [rm ]",
    "G2-item-realtime": "a: [an1]\nb:         [rm ]\nc: [rn am1       ]",
    "internal": "a: [am1 rm]",
    "future-read": "a: [rm1 am1]",
    "dirty-update": "a: [am1 !\nb:        [am2]\nc: [rm12]",
    "duplicate-elements": "a: [am1]\nb: [rm11]",
    "incompatible-order": "a: [am1]\nb: [am2]\nc: [rm12]\nd: [rm21]",
    "lost-update": "a: [rm am1]\nb: [rm am2]",
    "thin-air": "a: [am1]\nb: [rm19]",
}


def planted(sound: History, flaw: History, rng: Random) -> History:
    """``flaw`` in the midst of ``sound``, with processes of its own."""
    at = rng.randrange(len(sound.operations))
    strange = [
        Operation(0, 0, operation.process + 1_000_000, operation.type, "txn", operation.value)
        for operation in flaw.operations
        if isinstance(operation.process, int)
    ]
    whole: list[Any] = [*sound.operations[:at], *strange, *sound.operations[at:]]
    return History(
        [
            Operation(n, n, found.process, found.type, found.f, found.value)
            for n, found in enumerate(whole)
        ]
    )


@pytest.mark.parametrize("anomaly", sorted(PLANTED))
def test_a_planted_anomaly_is_found_under_its_name(anomaly: str) -> None:
    rng = Random(anomaly)
    for _ in range(5):
        sound = simulated("strict-serializable", rng, 80)
        verdict = judged(planted(sound, drawn_lists(PLANTED[anomaly]), rng))
        assert verdict.valid is False
        assert anomaly in verdict.anomalies
        case = verdict.anomalies[anomaly][0]
        assert case.witness
        assert case.message.startswith("Let:\n  T1 = {index ")
