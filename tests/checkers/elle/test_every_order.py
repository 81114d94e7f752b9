"""Small histories are settled by trying every order: against the oracle, and with the proof."""

from __future__ import annotations

import pytest

from checkers.elle import every_order
from harness.history.verdict import UNKNOWN
from tests.checkers.elle.register_histories import judged, random_history
from tests.checkers.elle.register_oracle import allowed

FORK = """
    p: [wx1]        [rx1 ry8]
    q: [wy2]        [rx9 ry2]
    r: [wx9]        [rx1 ry2]
    s: [wy8]        [rx9 ry8]
    """
"""All four mixtures of two versions of x and two of y: no store goes through all of them."""
LEVELS = ["serializable", "strong-session-serializable", "strict-serializable"]


@pytest.mark.parametrize("level", LEVELS)
def test_every_history_is_settled_as_the_oracle_has_it(level: str) -> None:
    decided = {True: 0, False: 0}
    for seed in range(400):
        history = random_history(seed, transactions=4, most_steps=4)
        verdict = judged(history, level)
        if verdict.valid == UNKNOWN:
            assert set(verdict.anomalies) == {"empty-transaction-graph"}
            continue
        assert verdict.valid is (level in allowed(history)), (seed, verdict.why)
        decided[verdict.valid] += 1
    assert min(decided.values()) > 30


@pytest.mark.parametrize("level", LEVELS[:2])  # the third is broken in simpler ways
def test_a_fork_has_no_serial_order_and_the_proof_tells_where_it_ends(level: str) -> None:
    verdict = judged(FORK, level)
    assert verdict.valid is False
    assert level in verdict.not_
    message = verdict.anomalies["no-serial-order"][0].message
    assert "Every order in which the 8 transactions could have run" in message
    assert message.count("cannot be next, because") >= 1


def test_what_is_too_much_to_try_stays_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(every_order, "MOST_STEPS", 3)
    verdict = judged(FORK, "serializable")
    assert verdict.valid == UNKNOWN
    assert "is not wholly known" in verdict.why


def test_snapshots_of_a_fork_are_not_settled_by_it() -> None:
    assert judged(FORK, "snapshot-isolation").valid == UNKNOWN
    assert judged(FORK, "causal").valid is True
