"""The operation's trace goes to the server as a comment."""

from __future__ import annotations

from harness.contract.current import Teller, set_operation, set_teller
from harness.history.operation import Operation
from harness.history.traces import trace_id_of
from systems.drivers.sql.session import _traced


def test_a_statement_with_values_carries_the_trace_and_what_ends_a_transaction_does_not() -> None:
    assert _traced("SELECT 1 FROM r WHERE k = $1", ["k"]) == "SELECT 1 FROM r WHERE k = $1"
    teller, operation = Teller("a-run"), Operation(6, 0, 0, "invoke", "read", None)
    teller.operation = operation
    set_teller(teller)
    set_operation(operation)
    try:
        traced = _traced("SELECT 1 FROM r WHERE k = $1", ["k"])
        assert traced.startswith("SELECT 1 FROM r WHERE k = $1 /*traceparent='00-")
        assert trace_id_of("a-run", 6) in traced
        assert _traced("COMMIT", ()) == "COMMIT"
    finally:
        teller.operation = None
