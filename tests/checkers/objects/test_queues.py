"""The checkers of queues and of unique ids."""

from __future__ import annotations

from checkers.objects.queue import Queue
from checkers.objects.total_queue import TotalQueue
from checkers.objects.unique_ids import UniqueIds
from tests.checkers.scripted import judged, kinds


def test_what_went_in_may_come_out_in_any_order() -> None:
    script = "0 enqueue 1\n0 enqueue 2\n1 dequeue = 2\n1 dequeue = 1\n1 dequeue = null"
    for checker in (Queue, TotalQueue):
        assert judged(checker, script).valid is True


def test_what_never_went_in_is_unexpected() -> None:
    for checker in (Queue, TotalQueue):
        assert kinds(judged(checker, "0 enqueue 1\n1 dequeue = 2\n1 drain = [1]")) == {
            "unexpected": 1
        }
        assert kinds(judged(checker, "0 enqueue 1 !\n1 dequeue = 1\n1 drain = []")) == {
            "unexpected": 1
        }
        assert kinds(judged(checker, "1 dequeue = 1\n0 enqueue 1\n1 drain = []")) != {}


def test_an_enqueue_without_an_answer_may_come_out() -> None:
    script = "0 enqueue 1 ?\n1 dequeue = 1\n1 drain = []"
    assert judged(Queue, script).valid is True
    verdict = judged(TotalQueue, script)
    assert verdict.valid is True
    assert verdict.stats["recovered"] == {"1": 1}


def test_what_comes_out_twice_is_duplicated() -> None:
    script = "0 enqueue 1\n1 dequeue = 1\n1 dequeue = 1\n1 drain = []"
    assert kinds(judged(Queue, script)) == {"duplicated": 1}
    verdict = judged(TotalQueue, script)
    assert verdict.valid is True
    assert verdict.stats["duplicated"] == {"1": 1}
    assert kinds(judged(TotalQueue, script, exactly_once=True)) == {"duplicated": 1}


def test_what_went_in_twice_may_come_out_twice() -> None:
    script = "0 enqueue 1\n0 enqueue 1\n1 dequeue = 1\n1 drain = [1]"
    assert judged(Queue, script).valid is True
    assert judged(TotalQueue, script, exactly_once=True).valid is True


def test_what_a_drain_did_not_bring_out_is_lost() -> None:
    verdict = judged(TotalQueue, "0 enqueue 1\n0 enqueue 2\n1 drain = [1]")
    assert verdict.valid is False
    assert kinds(verdict) == {"lost": 1}
    assert verdict.stats["lost"] == {"2": 1}


def test_a_dequeue_that_found_nothing_shows_the_queue_empty() -> None:
    assert kinds(judged(TotalQueue, "0 enqueue 1\n1 dequeue = null")) == {"lost": 1}
    script = '0 enqueue 1\n1 + dequeue\n1 - fail null # ["empty"]'
    assert kinds(judged(TotalQueue, script)) == {"lost": 1}


def test_nothing_is_lost_for_certain_from_a_queue_that_was_not_emptied() -> None:
    verdict = judged(TotalQueue, "0 enqueue 1\n0 enqueue 2\n1 dequeue = 1")
    assert verdict.valid == "unknown"
    assert "nothing shows that the queue was empty" in verdict.why
    script = '0 enqueue 1\n1 + dequeue\n1 - fail null # ["connect", "refused"]'
    assert judged(TotalQueue, script).valid == "unknown"


def test_a_drain_that_began_before_the_last_enqueue_was_over_shows_nothing() -> None:
    script = "0 enqueue 1\n0 + enqueue 2\n1 + drain\n0 - ok\n1 - ok [1]"
    assert judged(TotalQueue, script).valid == "unknown"


def test_a_dequeue_without_an_answer_may_have_taken_one_value() -> None:
    one = "0 enqueue 1\n1 dequeue ?\n2 drain = []"
    assert judged(TotalQueue, one).valid == "unknown"
    two = "0 enqueue 1\n0 enqueue 2\n1 dequeue ?\n2 drain = []"
    assert judged(TotalQueue, two).valid is False


def test_a_drain_without_an_answer_may_have_taken_everything() -> None:
    script = "0 enqueue 1\n0 enqueue 2\n1 drain ?\n2 drain = []"
    verdict = judged(TotalQueue, script)
    assert verdict.valid == "unknown"
    assert "a drain had no answer" in verdict.why


def test_ids_that_are_equal_are_duplicated() -> None:
    script = '0 generate = 3\n1 generate = "3"\n0 generate = 5\n1 generate ?'
    assert judged(UniqueIds, script).valid is True
    verdict = judged(UniqueIds, script + "\n0 generate = 5")
    assert kinds(verdict) == {"duplicated": 1}
    assert verdict.stats["duplicated"] == {"5": 2}
    assert (verdict.stats["attempted-count"], verdict.stats["acknowledged-count"]) == (5, 4)


def test_the_range_of_ids() -> None:
    assert judged(UniqueIds, "0 generate = 3\n0 generate = 1").stats["range"] == [1, 3]
