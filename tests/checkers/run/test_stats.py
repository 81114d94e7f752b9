"""The checker stats counts operations by f and tells the loop's lag."""

from __future__ import annotations

from checkers.run.stats import Stats
from harness.verdict.record import Record
from harness.verdict.verdict import Budget
from tests.checkers.drawing import drawn

HISTORY = drawn(
    """
    p: [w1]  [w2?   [r1]  [r1
    q: [c1>2!      [r2]
    """
)


def test_operations_are_counted_by_f_and_outcome() -> None:
    verdict = Stats({}).check(Record(history=HISTORY), Budget.start(60))
    assert verdict.valid is True
    assert verdict.stats["by-f"] == {
        "cas": {"count": 1, "ok-count": 0, "fail-count": 1, "info-count": 0},
        "read": {"count": 3, "ok-count": 2, "fail-count": 0, "info-count": 1},
        "write": {"count": 2, "ok-count": 1, "fail-count": 0, "info-count": 1},
    }
    assert [verdict.stats[name] for name in ("count", "ok-count", "fail-count", "info-count")] == [
        6,
        3,
        1,
        2,
    ]


def test_the_loops_lag_is_told_where_the_run_knows_it() -> None:
    lag = {"p50": 0.1, "p99": 2.0, "max": 9.0}
    record = Record(history=HISTORY, run={"lag_ms": lag, "provider": "local"})
    stats = Stats({}).check(record, Budget.start(60)).stats
    assert stats["lag_ms"] == lag
    assert "provider" not in stats
