"""Every anomaly of lists, drawn: found under its name, with its proof; and nothing where all is
well.
"""

from __future__ import annotations

import pytest

from harness.history.history import History
from harness.history.operation import Operation
from harness.verdict.verdict import UNKNOWN
from tests.checkers.elle.lists.drawing import drawn_lists, judged


def types(history: str | History, *models: str) -> list[str]:
    verdict = judged(history, *models)
    assert verdict.valid is False
    return sorted(verdict.anomalies)


def test_transactions_one_after_another_are_strict_serializable() -> None:
    verdict = judged(
        """
        a: [ax1 ry ]      [rx12 ay1]
        b:         [ax2 ]           [rx12 ry1]
        """
    )
    assert verdict.valid is True
    assert verdict.anomalies == {}
    assert verdict.not_ == ()


def test_overlapping_transactions_may_take_any_order() -> None:
    assert judged("a: [rx  ]\nb:  [ax1]").valid is True
    assert judged("a: [rx1 ]\nb:  [ax1]").valid is True


def test_a_crashed_append_may_have_happened_or_not() -> None:
    assert judged("a: [ax1 ?\nb:        [rx ]   [rx1]").valid is True
    assert judged("a: [ax1 ?\nb:        [rx ay1]").valid is True
    assert judged("a: [ax1\nb:        [rx1 ay1]").valid is True


def test_g0() -> None:
    history = """
        a: [ax1 ay1]
        b: [ax2 ay2]
        c:           [rx12 ry21]
        """
    assert types(history, "read-uncommitted") == ["G0"]
    message = judged(history).anomalies["G0"][0].message
    assert 'T2 < T1, because T1 appended 1 after T2 appended 2 to key "y"' in message
    assert message.count("a contradiction!") == 1


def test_g0_in_realtime() -> None:
    assert types("a: [ax1]\nb:      [ax2] [rx21]", "strong-read-uncommitted") == ["G0-realtime"]


def test_g0_in_a_process() -> None:
    history = "a: [ax1] [ax2]\nb:     [rx21]"
    assert types(history, "strong-session-read-uncommitted") == ["G0-process"]
    assert judged(history, "serializable").valid is True


def test_g1c() -> None:
    history = "a: [ax1 ry1]\nb: [ay1 rx1]"
    assert types(history, "read-committed") == ["G1c"]
    verdict = judged(history, "read-uncommitted")
    assert verdict.valid is True
    assert verdict.stats["found_beside"] == ["G1c"]


def test_g1c_in_realtime() -> None:
    assert types("a: [rx1]\nb:       [ax1]") == ["G1c-realtime"]


def test_g1c_in_a_process() -> None:
    assert types("a: [rx1] [ax1]\nb: [rx1]", "strong-session-read-committed") == ["G1c-process"]


def test_g_single() -> None:
    history = "a: [ax1 ay1]\nb: [rx ry1]"
    verdict = judged(history)
    assert sorted(verdict.anomalies) == ["G-single-item"]
    assert set(verdict.not_) == {"consistent-view", "repeatable-read"}
    message = verdict.anomalies["G-single-item"][0].message
    assert message.startswith("Let:\n  T1 = {index ")
    assert (
        'T1 < T2, because T1 observed the initial (nil) state of key "x", which T2 created by '
        "appending 1" in message
    )
    assert 'However, T2 < T1, because T1 observed T2\'s append of 1 to key "y"' in message
    assert len(verdict.anomalies["G-single-item"][0].witness) == 2


def test_a_stale_read_is_g_single_in_realtime() -> None:
    history = "a: [ax1]\nb:       [rx ]\nc: [rx1]"
    assert types(history) == ["G-single-item-realtime"]
    assert judged(history).not_ == ("strong-snapshot-isolation",)
    message = judged(history).anomalies["G-single-item-realtime"][0].message
    assert "completed at index 2, 0.002 s before the invocation of" in message
    assert judged(history, "serializable").valid is True


def test_a_process_that_misses_its_own_write_is_g_single_in_its_process() -> None:
    history = "a: [ax1] [rx ]\nb: [rx1]"
    assert types(history, "strong-session-snapshot-isolation") == ["G-single-item-process"]
    assert judged(history, "snapshot-isolation").valid is True


def test_g_nonadjacent() -> None:
    """Long fork: two readers see two writes in opposite orders."""
    history = """
        a: [ax1    ]
        b: [ay1    ]
        c: [rx1 ry ]
        d: [rx  ry1]
        """
    assert types(history, "snapshot-isolation") == ["G-nonadjacent-item"]
    assert judged(history, "consistent-view").valid is True


def test_g2_item() -> None:
    """Write skew: snapshot isolation allows it."""
    history = "a: [rx  ay1]\nb: [ry  ax1]\nc:            [rx1 ry1]"
    assert types(history, "serializable") == ["G2-item"]
    assert judged(history, "snapshot-isolation").valid is True


def test_g2_item_in_realtime() -> None:
    """Two rw edges that follow each other, closed by one that only the clock saw."""
    history = """
        a: [ay1]
        b:         [rx ]
        c: [ry ax1       ]
        """
    assert judged(history, "serializable").valid is True
    assert types(history) == ["G2-item-realtime"]
    assert judged(history).not_ == ("strict-serializable",)


def test_g2_item_in_a_process() -> None:
    history = """
        a: [ay1] [rx ]
        c: [ry ax1    ]
        """
    assert types(history, "strong-session-serializable") == ["G2-item-process"]


def test_internal() -> None:
    for history in ("a: [ax1 rx ]", "a: [ax1 rx12]\nb: [ax2]", "a: [rx rx1]\nb: [ax1]"):
        assert "internal" in types(history, "read-atomic")
    assert judged("a: [ax1 rx1 ax2 rx12]\nb: [rx12]").valid is True


def test_reads_behind_an_unknown_prefix_are_no_internal_anomaly() -> None:
    assert judged("a: [ax1]\nb:      [ax2 rx12]").valid is True


def test_future_read() -> None:
    assert "future-read" in types("a: [rx1 ax1]\nb:          [rx1]", "read-committed")


def test_g1a() -> None:
    verdict = judged("a: [ax1 !\nb:        [rx1]")
    assert "G1a" in verdict.anomalies
    assert "T1 failed" in verdict.anomalies["G1a"][0].message
    assert judged("a: [ax1 ?\nb:        [rx1]").valid is True


def test_g1b() -> None:
    history = "a: [ax1 ax2]\nb: [rx1     ]"
    assert "G1b" in types(history, "read-committed")
    assert "went on" not in judged("a: [ax1 ax2]\nb: [rx12    ]").why
    assert judged("a: [ax1 ax2]\nb: [rx12    ]").valid is True
    assert "G1b" not in judged("a: [ax1 rx1 ax2]").anomalies


def test_dirty_update() -> None:
    history = "a: [ax1 !\nb:        [ax2]\nc: [rx12]"
    assert "dirty-update" in types(history, "read-committed")
    clean = "a: [ax1 ?\nb:        [ax2]\nc: [rx12]"
    assert judged(clean, "read-committed").valid is True


def test_a_failed_append_after_all_that_happened_is_no_dirty_update() -> None:
    assert "dirty-update" not in types("a: [ax2 !\nb: [ax1]\nc: [rx12]", "read-committed")


def test_duplicate_elements() -> None:
    assert "duplicate-elements" in types("a: [ax1]\nb: [rx11]", "read-uncommitted")


def test_incompatible_order() -> None:
    history = "a: [ax1]\nb: [ax2]\nc: [rx12]\nd: [rx21]"
    assert "incompatible-order" in types(history, "read-committed")
    message = judged(history).anomalies["incompatible-order"][0].message
    assert "[1, 2]" in message
    assert "[2, 1]" in message


def test_lost_update() -> None:
    verdict = judged("a: [rx ax1]\nb: [rx ax2]", "update-atomic")
    assert sorted(verdict.anomalies) == ["lost-update"]
    assert len(verdict.anomalies["lost-update"][0].witness) == 2
    assert "lost-update" not in judged("a: [rx ax1]\nb:            [rx1 ax2]").anomalies
    assert judged("a: [rx ax1]\nb: [rx ax2?", "update-atomic").valid is not False


def test_thin_air() -> None:
    history = "a: [ax1]\nb: [rx13]\nc: [rx1]"
    verdict = judged(history, "read-uncommitted")
    assert sorted(verdict.anomalies) == ["thin-air"]
    assert "3 came out of thin air" in verdict.anomalies["thin-air"][0].message


def test_the_worst_type_is_told_and_not_what_follows_from_it() -> None:
    found = types("a: [ax1 ay1]\nb: [ax2 ay2]\nc:          [rx12 ry21]")
    assert found == ["G0"]


def test_appends_that_were_asked_for_twice_leave_it_unknown() -> None:
    verdict = judged("a: [ax1]\nb: [ax1]\nc:    [rx1]")
    assert verdict.valid is UNKNOWN
    assert verdict.why.startswith("duplicate-appends")


def test_other_micro_operations_leave_it_unknown() -> None:
    value = [["w", "x", 1]]
    history = History(
        [Operation(0, 0, 0, "invoke", "txn", value), Operation(1, 1, 0, "ok", "txn", value)]
    )
    verdict = judged(history)
    assert verdict.valid is UNKNOWN
    assert "'w'" in verdict.why


def test_a_history_in_which_nothing_depends_is_unknown() -> None:
    for history in ("a: [ax1]", "a: [rx ]"):
        verdict = judged(history, "serializable")
        assert verdict.valid is UNKNOWN
        assert "empty-transaction-graph" in verdict.anomalies


@pytest.mark.parametrize(
    "model", ["read-atomic", "causal-cerone", "prefix", "linearizable", "causal", "PRAM", "1SR"]
)
def test_a_model_that_asks_for_more_is_valid_only_through_a_stronger_one(model: str) -> None:
    assert judged("a: [ax1] [rx1]", model).valid is True
    skew = "a: [ax1 ay1]\nb:               [rx  ry1]"
    assert judged(skew, model).valid is UNKNOWN


def test_an_anomaly_can_be_asked_for_by_name() -> None:
    history = "a: [rx  ay1]\nb: [ry  ax1]\nc:            [rx1 ry1]"
    assert judged(history, "read-committed").valid is True
    assert judged(history, "read-committed", anomalies=("G2-item",)).valid is False


def test_realtime_order_can_be_asked_for_besides() -> None:
    history = "a: [ax1]\nb:       [rx ]\nc: [rx1]"
    plain = judged(history, "serializable")
    assert plain.valid is True
    more = judged(history, "serializable", additional_graphs=["realtime"])
    assert more.valid is True
    assert more.stats["found_beside"] == ["G-single-item-realtime"]


def test_strict_serializability_names_no_process_cycles() -> None:
    assert types("a: [ax1] [rx ]\nb: [rx1]") == ["G-single-item-realtime"]


def test_a_cycle_that_only_exists_is_told_when_time_is_out() -> None:
    verdict = judged("a: [ax1 ay1]\nb: [rx ry1]", cycle_search_timeout=0)
    assert verdict.valid is False
    assert verdict.anomalies


def test_snapshot_isolation_is_not_proved_where_no_order_of_writes_would_do() -> None:
    """Both write k unread, and each misses the other: they overlap, which no order mends."""
    history = "a: [rx ay1 ak1]\nb: [ry ax1 ak2]"
    assert judged(history, "serializable").valid is False
    assert judged(history, "snapshot-isolation").valid is UNKNOWN


def test_an_edn_like_history_without_invocations_is_judged() -> None:
    whole = drawn_lists("a: [ax1 ay1]\nb: [rx ry1]")
    ends = [operation for operation in whole.operations if operation.type == "ok"]
    assert judged(History(ends), "serializable").valid is False
