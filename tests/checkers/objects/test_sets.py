"""The checkers of sets: each anomaly drawn by hand, and what is no anomaly."""

from __future__ import annotations

from typing import Any

import pytest

from checkers.objects.set_full import SetFull
from checkers.objects.sets import Set
from tests.checkers.scripted import judged, kinds

BOTH = pytest.mark.parametrize("checker", [Set, SetFull])


@BOTH
def test_what_was_added_and_stays_is_valid(checker: Any) -> None:
    verdict = judged(checker, "0 add 1\n1 add 2 ?\n0 add 3 !\n0 read = [1, 2]")
    assert verdict.valid is True
    assert verdict.stats["attempt-count"] == 3
    assert verdict.stats["acknowledged-count"] == 1


@BOTH
def test_an_acknowledged_element_that_the_last_read_lacks_is_lost(checker: Any) -> None:
    verdict = judged(checker, "0 add 1\n0 add 2\n1 read = [1, 2]\n1 read = [2]")
    assert verdict.valid is False
    assert kinds(verdict) == {"lost": 1}
    (case,) = verdict.anomalies["lost"]
    assert "T1 < T2" in case.message
    assert case.data["element"] == "1"


@BOTH
def test_an_add_that_was_not_over_when_the_last_read_began_is_not_lost(checker: Any) -> None:
    script = "0 add 1\n0 + add 2\n1 + read\n0 - ok\n1 - ok [1]"
    assert judged(checker, script).valid is True


@BOTH
def test_an_element_that_nobody_added_is_unexpected(checker: Any) -> None:
    assert kinds(judged(checker, "0 add 1\n0 read = [1, 9]")) == {"unexpected": 1}


@BOTH
def test_an_element_whose_add_failed_is_unexpected(checker: Any) -> None:
    verdict = judged(checker, "0 add 1\n0 add 2 !\n0 read = [1, 2]")
    assert kinds(verdict) == {"unexpected": 1}
    assert "certainly did not happen" in verdict.anomalies["unexpected"][0].message


@BOTH
def test_an_element_that_failed_once_and_was_added_again_is_expected(checker: Any) -> None:
    assert judged(checker, "0 add 2 !\n0 add 2\n0 read = [2]").valid is True


@BOTH
def test_an_element_read_before_its_add_began_is_unexpected(checker: Any) -> None:
    verdict = judged(checker, "0 add 1\n1 read = [1, 2]\n0 add 2\n1 read = [1, 2]")
    assert kinds(verdict) == {"unexpected": 1}


@BOTH
def test_an_element_shown_twice_is_duplicated(checker: Any) -> None:
    verdict = judged(checker, "0 add 1\n0 add 2\n0 read = [1, 2, 1, 1]")
    assert verdict.valid is False
    assert kinds(verdict) == {"duplicated": 1}
    assert verdict.stats["duplicated-count"] == 1
    assert verdict.anomalies["duplicated"][0].data["count"] == 3


@BOTH
def test_a_set_that_was_never_read_is_unknown(checker: Any) -> None:
    verdict = judged(checker, "0 add 1\n0 read ?")
    assert verdict.valid == "unknown"
    assert "never read" in verdict.why


@BOTH
def test_equal_json_is_one_element_and_unequal_json_is_not(checker: Any) -> None:
    assert (
        judged(checker, '0 add true\n0 add {"a": [1]}\n0 read = [true, {"a": [1]}]').valid is True
    )
    assert kinds(judged(checker, "0 add 1\n0 read = [1, true]")) == {"unexpected": 1}


@BOTH
def test_a_key_that_was_never_read_is_left_out_where_others_were(checker: Any) -> None:
    never = '0 add ["a", 1]\n0 read ["a", null] !\n'
    header = {"independent": True}
    assert judged(checker, never, header).valid == "unknown"
    verdict = judged(checker, never + '0 add ["b", 1]\n0 read ["b", null] = ["b", [1]]', header)
    assert verdict.valid is True
    assert (verdict.stats["keys"], verdict.stats["keys-empty"]) == (1, 1)


@BOTH
def test_elements_of_the_start_are_expected_and_can_be_lost(checker: Any) -> None:
    header = {"initial": [7]}
    assert judged(checker, "0 add 1\n0 read = [1, 7]", header).valid is True
    if checker is Set:
        assert kinds(judged(checker, "0 add 1\n0 read = [1]", header)) == {"lost": 1}


@BOTH
def test_keys_are_judged_one_by_one(checker: Any) -> None:
    script = """
        0 add ["a", 1]
        0 add ["b", 2]
        0 read ["a", null] = ["a", []]
        0 read ["b", null] = ["b", [2]]
    """
    verdict = judged(checker, script, {"independent": True})
    assert verdict.valid is False
    assert verdict.anomalies["lost"][0].key == "a"
    assert (verdict.stats["keys"], verdict.stats["keys-invalid"]) == (2, ['"a"'])


def test_the_figures_of_a_set_are_jepsens() -> None:
    script = "0 add 1\n0 add 2\n0 add 3\n1 add 4 ?\n0 add 7\n0 read = [1, 2, 4, 7]"
    stats = judged(Set, script).stats
    assert (stats["ok"], stats["lost"], stats["recovered"]) == ("#{1..2 4 7}", "#{3}", "#{4}")
    assert (stats["ok-count"], stats["lost-count"], stats["recovered-count"]) == (4, 1, 1)


def test_a_stale_read_is_wrong_only_where_linearizability_is_claimed() -> None:
    script = "0 add 1\n1 read = []\n1 read = [1]"
    verdict = judged(SetFull, script)
    assert verdict.valid is True
    assert verdict.stats["stale"] == [1]
    assert verdict.stats["worst-stale"][0]["late_ms"] > 0
    claimed = judged(SetFull, script, {"claims": ["strict-serializable"]})
    assert claimed.valid is False
    assert kinds(claimed) == {"stale": 1}
    assert claimed.not_ == ("linearizable", "strong-snapshot-isolation")
    assert judged(SetFull, script, linearizable=True).valid is False


def test_a_read_beside_the_add_may_lack_the_element() -> None:
    script = "0 + add 1\n1 + read\n0 - ok\n1 - ok []\n1 read = [1]"
    assert judged(SetFull, script, linearizable=True).valid is True


def test_an_element_seen_by_a_read_is_known_from_then_on() -> None:
    script = "0 + add 1\n1 read = [1]\n1 read = []\n0 - ok"
    verdict = judged(SetFull, script)
    assert kinds(verdict) == {"lost": 1}
    assert verdict.stats["lost"] == [1]


def test_an_element_of_unknown_outcome_that_nobody_saw_is_never_read() -> None:
    verdict = judged(SetFull, "0 add 1\n1 add 2 ?\n0 read = [1]")
    assert verdict.valid is True
    assert verdict.stats["never-read"] == [2]


def test_an_answer_that_is_no_list_is_unknown() -> None:
    assert judged(SetFull, '0 add 1\n0 read = "x"').valid == "unknown"


@BOTH
def test_a_value_without_a_key_is_unknown_and_named(checker: Any) -> None:
    verdict = judged(checker, "0 add 5", {"independent": True})
    assert verdict.valid == "unknown"
    assert "operation 0 has the value 5, not [key, value]" in verdict.why
