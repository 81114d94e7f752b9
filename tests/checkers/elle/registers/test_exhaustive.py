"""Small histories are settled by trying every order: against the oracle, and with the proof."""

from __future__ import annotations

from functools import cache

import pytest

from checkers.elle.explain import Explainer
from checkers.elle.options import Options
from checkers.elle.registers import consistent_view, exhaustive
from checkers.elle.registers.dependencies import WRITES, infer
from checkers.elle.registers.exhaustive import SNAPSHOTS
from checkers.elle.registers.exhaustive_search import SnapshotTrial
from checkers.elle.registers.serial_order import taking_part
from checkers.elle.registers.versions import agreed_order, versions
from checkers.elle.transactions import transactions
from checkers.isolation.rw_register import checker
from checkers.proof.models import friendly
from harness.history.columns import columns
from harness.history.history import History
from harness.history.reader import parse_history
from harness.verdict.record import Record
from harness.verdict.verdict import UNKNOWN, Verdict
from tests.checkers.elle.registers.drawing import judged, odd_history, random_history, says_nothing
from tests.checkers.elle.registers.oracle import allowed

OPEN = Verdict(valid=UNKNOWN, why="open")
FORK = """
    p: [wx1]        [rx1 ry8]
    q: [wy2]        [rx9 ry2]
    r: [wx9]        [rx1 ry2]
    s: [wy8]        [rx9 ry8]
    """
"""All four mixtures of two versions of x and two of y: no store goes through all of them."""
LEVELS = [
    "consistent-view",
    "repeatable-read",
    "snapshot-isolation",
    "strong-session-snapshot-isolation",
    "strong-snapshot-isolation",
    "serializable",
    "strong-session-serializable",
    "strict-serializable",
]


@pytest.fixture(autouse=True)
def _only_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    """What checkers.isolation decides is left to what is tried here."""
    monkeypatch.setattr(checker, "question", lambda *given: None)


@cache
def small(seed: int) -> tuple[History, set[str]]:
    """A history and what it is allowed at, by the oracle; every second one has odd reads."""
    draw = odd_history if seed % 2 else random_history
    history = draw(seed, transactions=4, most_steps=4)
    return history, allowed(history)


@pytest.mark.slow
@pytest.mark.parametrize("level", LEVELS)
def test_every_history_is_settled_as_the_oracle_has_it(level: str) -> None:
    decided = {True: 0, False: 0}
    for seed in range(400):
        history, possible = small(seed)
        verdict = judged(history, level)
        if verdict.valid == UNKNOWN:
            has_times = any(operation.type == "invoke" for operation in history.operations)
            assert says_nothing(verdict) or not has_times
            continue
        assert verdict.valid is (level in possible), (seed, verdict.why)
        decided[verdict.valid] += 1
    assert min(decided.values()) > 30


@pytest.mark.slow
def test_the_trial_of_snapshots_alone_is_right() -> None:
    """Without what cycles, weak models and serial orders tell before it is asked."""
    decided = {True: 0, False: 0}
    for seed in range(400):
        history, possible = small(seed)
        found = transactions(columns(history), WRITES, of_lists=False)
        known = versions(found, history.header.initial)
        inferred = infer(known, agreed_order(known, []), Record(history=history))
        if any(inferred.anomalies.values()):
            continue
        for level, orders in SNAPSHOTS.items():
            trial = SnapshotTrial.of(known, inferred.graph, orders)
            is_right = trial is not None and trial.search(10**6).found is True
            assert is_right is (friendly(level) in possible), (seed, level)
            decided[is_right] += 1
    assert min(decided.values()) > 30


@pytest.mark.parametrize("level", LEVELS[5:7])  # the last is broken in simpler ways
def test_a_fork_has_no_serial_order_and_the_proof_tells_where_it_ends(level: str) -> None:
    verdict = judged(FORK, level)
    assert verdict.valid is False
    assert level in verdict.not_ + verdict.also_not
    message = verdict.anomalies["no-serial-order"][0].message
    assert "Every order in which the 8 transactions could have run" in message
    assert message.count("cannot be next, because") >= 1


@pytest.mark.parametrize("level", LEVELS[2:4])
def test_a_fork_has_no_order_of_snapshots_either(level: str) -> None:
    verdict = judged(FORK, level)
    assert verdict.valid is False
    assert level in verdict.not_
    assert "strict-serializable" in verdict.also_not
    message = verdict.anomalies["no-snapshot-order"][0].message
    assert "could have taken their snapshots and committed was tried" in message
    assert "cannot start, because" in message
    assert judged(FORK, "causal").valid is True


def test_without_a_serial_order_reads_are_not_repeatable_either() -> None:
    verdict = judged(FORK, "repeatable-read")
    assert verdict.valid is False
    assert verdict.not_ == ("repeatable-read", "view-serializable")
    assert "strict-serializable" in verdict.also_not


def test_write_skew_is_snapshots_that_no_serial_order_explains() -> None:
    skew = "p: [rx_ ry_ wx1]\nq: [rx_ ry_ wy1]\nr:                  [rx1 ry1]"
    assert judged(skew, "snapshot-isolation").valid is True
    assert judged(skew, "serializable").valid is False


def test_without_times_a_strict_claim_is_broken_by_the_order_of_sessions() -> None:
    text = (
        "w 1 1\n---\nr 1 1\nr 2 8\n===\nw 2 2\n---\nr 1 9\nr 2 2\n"
        "===\nw 1 9\n---\nr 1 1\nr 2 2\n===\nw 2 8\n---\nr 1 9\nr 2 8\n"
    )
    history = parse_history(text.encode(), "fork.txt", "awdit")
    for level in ("serializable", "strict-serializable", "snapshot-isolation"):
        assert judged(history, level).valid is False, level


def test_several_models_are_settled_together() -> None:
    assert judged(FORK, "serializable", "causal").valid is False
    assert judged(FORK, "read-committed", "causal").valid is True


def test_what_is_too_much_to_try_stays_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exhaustive, "MOST_STEPS", 3)
    for level in ("serializable", "snapshot-isolation"):
        verdict = judged(FORK, level)
        assert verdict.valid == UNKNOWN
        assert "is not wholly known" in verdict.why


def test_the_proof_of_no_consistent_view_tells_what_was_tried() -> None:
    verdict = judged("p: [rx_ wx1 wy1]\nq: [ry_ wx2 wy2]", "consistent-view")
    assert verdict.valid is False
    (case,) = verdict.anomalies["no-consistent-view"]
    assert case.message.count("here we try that key") == 2
    assert case.message.count("a contradiction!") == 2


@pytest.mark.slow
def test_the_search_for_consistent_views_alone_is_right() -> None:
    """Without the cycles of known orders and the serial orders that mostly tell first."""
    decided = {True: 0, False: 0}
    for seed in range(400):
        history = random_history(seed, transactions=5, most_steps=4)
        known = versions(transactions(columns(history), WRITES, of_lists=False))
        if known.reads.unexplained or taking_part(known) is None:
            continue
        options = Options(consistency_models=("consistent-view",))
        record = Record(history=history)
        verdict = consistent_view.decided(OPEN, known, options, Explainer(known.found, record))
        assert verdict.valid is ("consistent-view" in allowed(history)), seed
        decided[bool(verdict.valid)] += 1
    assert min(decided.values()) >= 30
