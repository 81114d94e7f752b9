"""The checker agreement: nodes that differ, by key, with who wrote last."""

from __future__ import annotations

from typing import Any

import pytest

from checkers.run.agreement import Agreement
from harness.history.history import History
from harness.history.operation import Header, Operation
from harness.verdict.record import LedgerEntry, Record
from harness.verdict.verdict import UNKNOWN, Budget, Verdict


def judged(states: Any, unread: Any = None, operations: tuple[Operation, ...] = ()) -> Verdict:
    held = {"states": states, "unread": unread or {}, "waited_s": 10.0}
    record = Record(history=History(operations, Header(independent=True)), states=held)
    return Agreement({}).check(record, Budget.start(60))


def at(value: Any, version: int = 1) -> dict[str, Any]:
    return {"value": value, "version": version}


def test_equal_nodes_agree() -> None:
    verdict = judged({"n1": {"1": at("5")}, "n2": {"1": at("5")}})
    assert verdict.valid is True
    assert verdict.stats["keys"] == 1


@pytest.mark.parametrize("other", [{"1": at("6")}, {"1": at("5", 2)}, {}])
def test_nodes_that_differ_have_diverged(other: dict[str, Any]) -> None:
    verdict = judged({"n1": {"1": at("5")}, "n2": other, "n3": {"1": at("5")}})
    assert verdict.valid is False
    (case,) = verdict.anomalies["replica-divergence"]
    assert "n1, n3: 5" in case.message
    assert "n2: " in case.message


def test_the_last_writers_are_named() -> None:
    operations = (
        Operation(0, 0, 4, "invoke", "write", [1, 5]),
        Operation(1, 10**9, 4, "ok", "write", [1, 5]),
        Operation(2, 2 * 10**9, 7, "invoke", "cas", [1, [5, 6]]),
        Operation(3, 3 * 10**9, 7, "info", "cas", [1, [5, 6]]),
        Operation(4, 3 * 10**9, 8, "ok", "read", [1, 6]),
        Operation(5, 3 * 10**9, 9, "fail", "write", [1, 6]),
    )
    verdict = judged({"n1": {"1": at("5")}, "n2": {"1": at("6")}}, operations=operations)
    (case,) = verdict.anomalies["replica-divergence"]
    assert sorted(case.witness) == [1, 3]
    assert "process 4 (write, ok, index 1" in case.message
    assert "process 7 (cas, info, index 3" in case.message


def test_a_node_whose_state_is_unknown_makes_unknown_but_hides_no_divergence() -> None:
    assert judged({"n1": {"1": at("5")}}, {"n2": "no answer"}).valid == UNKNOWN
    apart = {"n1": {"1": at("5")}, "n2": {"1": at("6")}}
    assert judged(apart, {"n3": "no answer"}).valid is False
    assert judged({}).valid == UNKNOWN


def test_the_writer_of_a_transaction_is_named_with_the_faults_then_in_force() -> None:
    steps = [["r", 1, [4]], ["append", 1, 5]]
    operations = (
        Operation(0, 3_000_000_000, 7, "invoke", "txn", steps),
        Operation(1, 4_000_000_000, 7, "ok", "txn", steps),
    )
    faults = [
        LedgerEntry(id=1, fault="partition", targets=["n2"], event=event, time=time * 1_000_000_000)
        for event, time in (("intend", 2), ("injected", 2), ("healed", 5))
    ]
    states = {"n1": {"1": at("[4,5]")}, "n2": {"1": at("[4]")}}
    record = Record(
        history=History(operations),
        faults=faults,
        states={"states": states, "unread": {}, "waited_s": 10.0},
    )
    (case,) = Agreement({}).check(record, Budget.start(60)).anomalies["replica-divergence"]
    assert "n1: [4,5] (version 1), last written by process 7 (txn, ok" in case.message
    assert "While it ran: partition" in case.message
    assert case.witness == (1,)
