"""The checker of logs: each of the errors of Jepsen's Kafka tests, drawn by hand."""

from __future__ import annotations

import json
from typing import Any

import pytest

from checkers.log import Log
from harness.history.operation import Operation
from harness.verdict.record import Record
from harness.verdict.verdict import Budget
from tests.checkers.scripted import judged, kinds, scripted


def send(process: int, value: int, offset: int | None, key: str = "x") -> str:
    asked, told = [["send", key, value]], [["send", key, [offset, value]]]
    return f"{process} send {json.dumps(asked)} = {json.dumps(told)}\n"


def poll(process: int, *messages: tuple[int, int], key: str = "x", f: str = "poll") -> str:
    told = [["poll", {key: [list(pair) for pair in messages]}]]
    return f'{process} {f} [["poll"]] = {json.dumps(told)}\n'


def txn(process: int, asked: Any, told: Any) -> str:
    return f"{process} txn {json.dumps(asked)} = {json.dumps(told)}\n"


SENDS = send(0, 1, 0) + send(0, 2, 2) + send(1, 3, 4)
ALL = ((0, 1), (2, 2), (4, 3))


@pytest.mark.parametrize(
    "script",
    [
        SENDS + poll(2, *ALL),
        SENDS + poll(2, *ALL[:2]) + poll(2, ALL[2]) + poll(3, *ALL),
        SENDS + poll(2) + poll(2, *ALL),
        '0 send [["send", "x", 1]] ?\n' + send(1, 2, 5) + poll(2, (3, 1), (5, 2)),
        send(0, 1, None) + poll(2, (7, 1)),
        '0 send [["send", "x", 1]] !\n' + send(1, 2, 5) + poll(2, (5, 2)),
    ],
)
def test_logs_that_can_be(script: str) -> None:
    assert judged(Log, script).valid is True


@pytest.mark.parametrize(
    ("kind", "script"),
    [
        ("inconsistent-offsets", SENDS + poll(2, *ALL) + poll(3, (0, 1), (2, 3), (4, 3))),
        ("duplicate", SENDS + poll(2, (0, 1), (2, 2), (4, 3), (6, 2))),
        ("G1a", '0 send [["send", "x", 9]] !\n' + SENDS + poll(2, *ALL, (5, 9))),
        ("unexpected", SENDS + poll(2, *ALL, (5, 9))),
        ("unexpected", poll(2, (0, 1)) + SENDS + poll(3, *ALL)),
        ("lost-write", SENDS + poll(2, (0, 1), (4, 3))),
        ("unseen", SENDS + poll(2, *ALL[:2], f="final-poll")),
        ("unseen", SENDS + poll(2, f="final-poll")),
        ("unseen", SENDS + poll(2, *ALL) + poll(3, *ALL[:2], f="final-poll")),
        ("int-poll-skip", SENDS + poll(2, *ALL) + poll(3, ALL[0], ALL[2])),
        ("int-nonmonotonic-poll", SENDS + poll(2, *ALL) + poll(3, ALL[0], ALL[1], ALL[0])),
        ("int-nonmonotonic-poll", SENDS + poll(2, *ALL) + poll(3, ALL[0], ALL[0])),
        ("poll-skip", SENDS + poll(2, *ALL) + poll(3, ALL[0]) + poll(3, ALL[2])),
        ("nonmonotonic-poll", SENDS + poll(2, *ALL) + poll(3, *ALL[:2]) + poll(3, *ALL[:2])),
        ("nonmonotonic-send", send(0, 1, 2) + send(0, 2, 1) + poll(2, (1, 2), (2, 1))),
        (
            "int-nonmonotonic-send",
            txn(
                0,
                [["send", "x", 1], ["send", "x", 2]],
                [["send", "x", [4, 1]], ["send", "x", [3, 2]]],
            )
            + poll(2, (3, 2), (4, 1)),
        ),
        (
            "precommitted-read",
            txn(
                0, [["send", "x", 1], ["poll"]], [["send", "x", [0, 1]], ["poll", {"x": [[0, 1]]}]]
            ),
        ),
    ],
)
def test_each_error_is_told(kind: str, script: str) -> None:
    verdict = judged(Log, script)
    assert verdict.valid is False
    assert kind in verdict.anomalies, verdict.anomalies
    assert verdict.anomalies[kind][0].message.startswith("T1 = ")


def test_transactions_that_read_from_each_other_are_a_circle() -> None:
    script = (
        '0 + txn [["send", "x", 1], ["poll"]]\n'
        '1 + txn [["send", "y", 2], ["poll"]]\n'
        '0 - ok [["send", "x", [0, 1]], ["poll", {"y": [[0, 2]]}]]\n'
        '1 - ok [["send", "y", [0, 2]], ["poll", {"x": [[0, 1]]}]]\n'
    )
    verdict = judged(Log, script)
    assert kinds(verdict) == {"G1c": 1}
    assert "T1 < T2, because T2 polled" in verdict.anomalies["G1c"][0].message
    one_way = script.replace('["poll", {"x": [[0, 1]]}]', '["poll", {}]')
    assert judged(Log, one_way).anomalies == {}


def test_the_order_of_the_log_closes_circles_where_asked() -> None:
    script = (
        '0 + txn [["send", "x", 1], ["send", "y", 3]]\n'
        '1 + txn [["send", "x", 2], ["poll"]]\n'
        '0 - ok [["send", "x", [1, 1]], ["send", "y", [0, 3]]]\n'
        '1 - ok [["send", "x", [0, 2]], ["poll", {"y": [[0, 3]]}]]\n' + poll(3, (0, 2), (1, 1))
    )
    assert judged(Log, script).anomalies == {}
    assert kinds(judged(Log, script, ww_deps=True)) == {"G1c": 1}


def test_interleaved_sends_are_counted_and_no_error() -> None:
    script = (
        '0 + txn [["send", "x", 1], ["send", "x", 2]]\n'
        '1 + txn [["send", "x", 3], ["send", "x", 4]]\n'
        '0 - ok [["send", "x", [0, 1]], ["send", "x", [2, 2]]]\n'
        '1 - ok [["send", "x", [1, 3]], ["send", "x", [3, 4]]]\n'
        + poll(2, (0, 1), (1, 3), (2, 2), (3, 4))
    )
    verdict = judged(Log, script)
    assert verdict.valid is True
    assert (verdict.stats["int-send-skip-count"], verdict.stats["G0-count"]) == (2, 1)


def test_messages_that_no_poll_went_past_are_unknown() -> None:
    verdict = judged(Log, SENDS + poll(2, *ALL[:2]))
    assert verdict.valid == "unknown"
    assert verdict.stats["not-polled-yet-count"] == 1


def test_of_a_value_sent_twice_one_that_is_shown_is_enough_but_for_a_final_poll() -> None:
    twice = send(0, 1, 0) + send(1, 1, 7)
    assert judged(Log, twice + poll(2, (0, 1))).valid is True
    assert judged(Log, twice + poll(2, (0, 1), f="final-poll")).valid is not True
    assert judged(Log, twice + poll(2, (0, 1), (7, 1), f="final-poll")).valid is True


def test_a_new_assignment_forgets_the_position() -> None:
    start = SENDS + poll(2, *ALL) + poll(3, ALL[0])
    assert kinds(judged(Log, start + poll(3, ALL[2]))) == {"poll-skip": 1}
    assert judged(Log, start + '3 assign ["y"]\n3 assign ["x"]\n' + poll(3, ALL[2])).valid is True
    assert judged(Log, start + '3 assign ["x"]\n' + poll(3, ALL[2])).valid is False


def test_seeking_to_the_beginning_is_no_step_back() -> None:
    script = SENDS + poll(2, *ALL) + '2 assign ["x"]\n' + poll(2, *ALL)
    assert judged(Log, script).valid is False
    history = scripted(script)
    seeking = [
        Operation(op.index, op.time, op.process, op.type, op.f, op.value, extra=extra)
        for op in history
        for extra in [{"seek-to-beginning?": True} if op.f == "assign" else None]
    ]
    record = Record(history=type(history)(seeking, history.header))
    assert Log({}).check(record, Budget.start(60)).valid is True


def test_the_worst_lag_is_told() -> None:
    verdict = judged(Log, SENDS + poll(2, ALL[0]) + poll(2, ALL[1]) + poll(2, ALL[2]))
    lag = verdict.stats["worst-realtime-lag"]
    assert (lag["key"], lag["process"]) == ("x", 2)
    assert lag["seconds"] == pytest.approx(0.003)


def test_integer_keys_and_their_text_are_one_key() -> None:
    script = '0 send [["send", 7, 1]] = [["send", 7, [0, 1]]]\n' + poll(2, (0, 1), key="7")
    assert judged(Log, script).valid is True


@pytest.mark.parametrize("told", ['[["read", 1]]', '[["send", 1]]', '[["poll", [1]]]', "[7]"])
def test_values_that_are_no_log_operations_are_unknown(told: str) -> None:
    assert judged(Log, f"0 txn {told} = {told}").valid == "unknown"
