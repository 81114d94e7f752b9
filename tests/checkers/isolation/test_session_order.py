"""Comments, insert order and session order: what a reader must not turn round."""

from __future__ import annotations

import pytest

from checkers.objects.comments import Comments
from checkers.objects.insert_order import InsertOrder
from checkers.objects.session_monotonic import SessionMonotonic
from tests.checkers.scripted import judged, kinds


def test_a_read_that_shows_a_later_comment_without_an_earlier_one_is_wrong() -> None:
    verdict = judged(Comments, "0 + read\n1 write 1\n1 write 2\n0 - ok [2]")
    assert kinds(verdict) == {"missing": 1}
    assert verdict.not_ == ("strict-serializable", "linearizable")
    assert len(verdict.anomalies["missing"][0].witness) == 6


@pytest.mark.parametrize(
    "script",
    [
        "0 + read\n1 write 1\n1 write 2\n0 - ok [1]",
        "0 + read\n1 write 1\n1 write 2\n0 - ok [1, 2]",
        "0 + read\n1 + write 1\n2 write 2\n1 - ok\n0 - ok [2]",
        "0 + read\n1 write 1 ?\n2 write 2\n0 - ok [2]",
        "0 + read\n1 write 1 !\n2 write 2\n0 - ok [2]",
        "1 write 1\n1 write 2\n0 read = []",
    ],
)
def test_comments_that_can_be(script: str) -> None:
    assert judged(Comments, script).valid is True


def test_an_id_written_twice_may_be_of_its_first_write() -> None:
    script = "0 + read\n1 + write 2\n2 write 1\n1 - ok\n2 write 2\n0 - ok [2]"
    assert judged(Comments, script).valid is True


def test_ids_that_nobody_wrote_are_wrong_only_if_the_start_is_known() -> None:
    script = "0 write 1\n0 read = [1, 77]"
    verdict = judged(Comments, script)
    assert (verdict.valid, verdict.stats["unwritten-count"]) == (True, 1)
    assert kinds(judged(Comments, script, {"initial": []})) == {"unexpected": 1}
    assert judged(Comments, script, {"initial": [77]}).valid is True
    assert kinds(judged(Comments, "0 write 1 !\n0 read = [1]")) == {"unexpected": 1}


def test_a_part_missing_after_a_later_one_was_seen_is_wrong() -> None:
    verdict = judged(InsertOrder, '0 read 1 = [1, ["c", null, "a"]]\n0 read 2 = [2, ["z", "y"]]')
    assert kinds(verdict) == {"trailing-nil": 1}
    assert "found part 3" in verdict.anomalies["trailing-nil"][0].message
    counts = {key: verdict.stats[key] for key in ("all-count", "some-count", "bad-count")}
    assert counts == {"all-count": 1, "some-count": 1, "bad-count": 1}


@pytest.mark.parametrize(
    "parts", ["[null, null, null]", '[null, null, "a"]', '[null, "b", "a"]', '["c", "b", "a"]']
)
def test_parts_seen_from_some_time_on_are_in_order(parts: str) -> None:
    assert judged(InsertOrder, f"0 read 1 = [1, {parts}]").valid is True
    assert judged(InsertOrder, f"0 read 1 = {parts}").valid is True


def test_a_value_that_falls_within_a_process_is_wrong() -> None:
    verdict = judged(SessionMonotonic, "0 read = 3\n1 read = 1\n0 read = 2")
    assert kinds(verdict) == {"fell": 1}
    assert verdict.anomalies["fell"][0].data == {"before": 3, "found": 2}
    assert "sequential" in verdict.not_


def test_other_processes_may_lag_and_values_may_stay() -> None:
    script = "0 inc = 1\n0 read = 1\n1 read = 0\n1 read = 1\n0 inc ?\n1 read = 2"
    assert judged(SessionMonotonic, script).valid is True


def test_keys_rise_by_themselves() -> None:
    script = '0 read ["a", null] = ["a", 5]\n0 read ["b", null] = ["b", 1]\n'
    script += '0 read ["a", null] = ["a", 5]'
    assert judged(SessionMonotonic, script, {"independent": True}).valid is True
    assert (
        judged(SessionMonotonic, script.replace('"b"', '"a"'), {"independent": True}).valid is False
    )


def test_two_increments_to_the_same_value_lost_one() -> None:
    verdict = judged(SessionMonotonic, "0 inc = 1\n1 inc = 1")
    assert kinds(verdict) == {"lost-increment": 1}
    assert verdict.not_ == ()


@pytest.mark.parametrize("checker", [Comments, InsertOrder, SessionMonotonic])
def test_without_an_answer_nothing_is_known(checker: type) -> None:
    assert judged(checker, "0 read ?").valid == "unknown"
