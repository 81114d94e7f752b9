"""What the bank checker makes of answers that are no balances."""

from __future__ import annotations

from checkers.objects.bank import Bank
from harness.history.history import History
from harness.history.operation import Operation
from harness.verdict.record import Record
from harness.verdict.verdict import Budget


def test_a_read_that_is_no_map_tells_no_total_and_is_unknown() -> None:
    reads = [Operation(n, n, 0, "ok", "read", value) for n, value in enumerate([7, {"0": 5}])]
    verdict = Bank({}).check(Record(history=History(reads)), Budget.start(60))
    assert verdict.valid == "unknown"
    assert verdict.stats["total"] == 5
