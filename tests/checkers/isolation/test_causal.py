"""causal: nobody sees an effect without its cause."""

from __future__ import annotations

from typing import Any

import pytest

from checkers.isolation.causal import Causal
from harness.history.history import History
from harness.history.operation import Header, Operation
from harness.verdict.record import Record
from harness.verdict.verdict import UNKNOWN, Budget, Verdict
from tests.checkers.elle.registers.drawing import drawn
from tests.checkers.elle.registers.stores import recorded


def judged(history: str | History, **options: Any) -> Verdict:
    found = drawn(history) if isinstance(history, str) else history
    return Causal(options).check(Record(history=found), Budget.start(60))


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("p: [wx1] [rx_]", "causal-initial-read"),
        ("p: [wx1] [wx2]\nq: [rx2] [rx1]", "causal-stale-read"),
        ("p: [wx1]\nq: [rx1] [wy1]\nr: [ry1] [rx_]", "causal-initial-read"),
        ("p: [wx1] [wx2]\nq: [rx2] [wy1]\nr: [ry1] [rx1]", "causal-stale-read"),
        ("p: [rx1] [wy1]\nq: [ry1] [wx1]", "causal-cycle"),
        ("p: [wx1] [rx2]\nq: [wx2] [rx1]", "causal-conflict"),
        ("p: [rx4]", "thin-air"),
        ("p: [wx1]\nq: [rx_ rx1]", "internal"),
        ("p: [wx1!\nq: [rx1]", "G1a"),
    ],
)
def test_each_pattern_is_found_and_told(text: str, kind: str) -> None:
    verdict = judged(text)
    assert verdict.valid is False
    assert set(verdict.anomalies) == {kind}
    assert "a contradiction!" in verdict.anomalies[kind][0].message


def test_the_chain_of_causes_is_told_link_by_link() -> None:
    verdict = judged("p: [wx1]\nq: [rx1] [wy1]\nr: [ry1] [rx_]")
    message = verdict.anomalies["causal-initial-read"][0].message
    assert 'T1 < T2, because T2 read key "x" = 1, which T1 wrote' in message
    assert "T2 < T3, because the same process did T2 before T3" in message
    assert "T5 read the initial (nil) state of key" in message


@pytest.mark.parametrize(
    "text",
    [
        "p: [wx1] [wx2]\nq:              [rx1] [rx2]",
        "p: [wx1]\nq: [wy1]\nr: [rx1] [ry_]\ns: [ry1] [rx_]",
        "p: [wx1?\nq:       [rx_] [rx1]",
        "p: [wx1?\nq:       [rx1] [wx2] [rx2]",
    ],
)
def test_what_causality_allows_is_valid(text: str) -> None:
    assert judged(text).valid is True


def test_five_operations_of_one_site_as_in_jepsen() -> None:
    def record(*steps: tuple[str, Any]) -> History:
        operations = []
        for f, value in steps:
            for kind in ("invoke", "ok"):
                at = len(operations)
                operations.append(Operation(at, at, 0, kind, f, [9, value]))
        return History(operations, Header(independent=True))

    good = [("read-init", None), ("write", 1), ("read", 1), ("write", 2), ("read", 2)]
    assert judged(record(*good)).valid is True
    assert set(judged(record(*good[:-1], ("read", 1))).anomalies) == {"causal-stale-read"}
    assert set(judged(record(*good[:2], ("read", None))).anomalies) == {"causal-initial-read"}


def test_it_breaks_causal_consistency_and_all_that_keeps_sessions() -> None:
    verdict = judged("p: [wx1] [rx_]")
    out = {*verdict.not_, *verdict.also_not}
    assert {"causal", "sequential", "linearizable", "strong-session-serializable"} <= out
    assert "serializable" not in out
    allowed = judged("p: [wx1] [rx_]", claims=["serializable"])
    assert (allowed.valid, allowed.stats["permitted"]) == (UNKNOWN, {"causal-initial-read": 1})
    assert "serializable does not forbid" in allowed.why


def test_values_written_twice_prove_nothing() -> None:
    assert judged("p: [wx1] [wx1] [rx1]").valid == UNKNOWN


def test_strict_stores_are_always_causal() -> None:
    for seed in range(20):
        assert judged(recorded("strict-serializable", seed, transactions=80)).valid is True
