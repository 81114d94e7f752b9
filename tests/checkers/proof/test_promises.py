"""Lost or stale, against what is claimed: in runs by reads after recovery, in files by the last."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from msgspec import structs

from checkers.objects.counter import Counter
from checkers.objects.queue import Queue
from checkers.objects.set_full import SetFull
from checkers.objects.sets import Set
from checkers.objects.total_queue import TotalQueue
from harness.history.history import History
from harness.verdict.record import Record
from harness.verdict.verdict import Budget, Verdict
from tests.checkers.scripted import kinds, scripted

BOTH = pytest.mark.parametrize("checker", [Set, SetFull])
ADDED = "0 add 1\n0 add 2\n"
FINAL = len(ADDED.splitlines()) * 2
"""The first record after recovery."""


def judged(
    checker: Any, text: str, final: int | None = FINAL, nodes: str = "", **header: Any
) -> Verdict:
    """A run whose reads from record ``final`` on came after recovery, by process on a node each."""
    history = scripted(text, **header)
    operations = [
        structs.replace(op, node=nodes[op.process % 100]) if nodes else op for op in history
    ]
    phases = {} if final is None else {"final": [final * 1_000_000, 10**12]}
    record = Record(history=History(operations, history.header), run={"phases": phases})
    return checker({}).check(record, Budget.start(60))  # type: ignore[no-any-return]


@BOTH
@pytest.mark.parametrize("claim", ["read-committed", "serializable", "linearizable"])
def test_what_every_last_read_lacks_is_lost_whatever_is_claimed(checker: Any, claim: str) -> None:
    verdict = judged(checker, ADDED + "1 read = [2]\n2 read = [2]", claims=[claim])
    assert verdict.valid is False
    assert "lost" in kinds(verdict)
    assert verdict.not_ == (), "no model excuses a loss"


@BOTH
def test_what_one_node_still_shows_is_stale_and_not_lost(checker: Any) -> None:
    lagging = ADDED + "1 read = [1, 2]\n2 read = []"
    verdict = judged(checker, lagging, claims=["read-committed"])
    assert verdict.valid is True
    assert verdict.stats["permitted"] == {"stale": 2}
    assert "no claim forbids stale reads (read-committed)" in verdict.stats["permitted-by"]
    fresh = judged(checker, lagging, claims=["strict-serializable"])
    assert kinds(fresh) == {"stale": 2}
    assert "linearizable" in fresh.not_
    sessions = judged(checker, lagging, claims=["causal"])
    assert sessions.valid == "unknown"


@BOTH
def test_the_last_read_of_each_node_decides(checker: Any) -> None:
    text = ADDED + "1 read = []\n2 read = []\n1 read = [1, 2]"
    assert judged(checker, text, claims=["serializable"]).valid is True
    gone = ADDED + "1 read = [1, 2]\n1 read = []\n2 read = []"
    assert "lost" in kinds(judged(checker, gone, nodes="abc", claims=["serializable"]))
    one_node = judged(checker, ADDED + "1 read = []\n2 read = [1, 2]", nodes="aaa")
    assert one_node.valid is True


@BOTH
def test_without_a_read_after_recovery_nothing_is_lost(checker: Any) -> None:
    text = ADDED + "1 read = [2]"
    for final in (None, 99):
        assert judged(checker, text, final, claims=["serializable"]).valid is True
        assert kinds(judged(checker, text, final, claims=["linearizable"])) == {"stale": 1}


@BOTH
def test_a_loss_is_permitted_where_durability_is_disclaimed(checker: Any) -> None:
    header: dict[str, Any] = {"claims": ["serializable"], "not_durable": "synchronous_commit=off"}
    verdict = judged(checker, ADDED + "1 read = [2]", **header)
    assert verdict.valid is True
    assert verdict.stats["permitted"] == {"lost": 1}
    assert "may be lost: synchronous_commit=off" in verdict.why
    unexpected = judged(checker, ADDED + "1 read = [2, 9]", **header)
    assert kinds(unexpected) == {"unexpected": 1}


def test_a_counter_that_lost_what_it_acknowledged_is_invalid_whatever_is_claimed() -> None:
    text = "0 add 2668\n0 add 1328\n1 read = 1328\n2 read = 1328"
    for claims in (["read-committed"], ["linearizable"], []):
        verdict = judged(Counter, text, claims=claims)
        assert verdict.valid is False
        assert "lost" in kinds(verdict)
        assert verdict.not_ == ()
    disclaimed = judged(Counter, text, claims=["linearizable"], not_durable="fsync off")
    assert disclaimed.valid is True
    assert "lost" in disclaimed.stats["permitted"]


def test_a_counter_that_lags_is_stale_only() -> None:
    text = "0 add 3\n0 add 4\n1 read = 3\n2 read = 7"
    weak = judged(Counter, text, claims=["serializable"])
    assert (weak.valid, weak.stats["permitted"]) == (True, {"stale": 1})
    assert kinds(judged(Counter, text, claims=["linearizable"])) == {"too-low": 1}
    assert kinds(judged(Counter, text.replace("= 3", "= 8"), claims=["serializable"])) == {
        "too-high": 1
    }
    back = "0 add 5\n0 add -5\n1 read = 5\n1 read = 0"
    assert judged(Counter, back, claims=["serializable"]).valid is True
    file = Record(history=scripted(text, claims=["serializable"]))
    assert Counter({}).check(file, Budget.start(60)).valid == "unknown", "stale or lost"


def test_a_read_of_what_failed_is_wrong_above_read_uncommitted() -> None:
    for checker, text in (
        (Set, "0 add 1 !\n0 add 2\n1 read = [1, 2]"),
        (SetFull, "0 add 1 !\n0 add 2\n1 read = [1, 2]"),
        (Counter, "0 add 1 !\n0 add 2\n1 read = 3"),
        (Queue, "0 enqueue 1 !\n1 dequeue = 1"),
    ):
        assert judged(checker, text, None, claims=["read-committed"]).valid is False
        assert judged(checker, text, None, claims=["read-uncommitted"]).valid is True


def test_a_queue_is_emptied_after_recovery_or_not_for_certain() -> None:
    text = "0 enqueue 1\n0 enqueue 2\n1 dequeue = 1\n1 dequeue = null\n1 drain = []"
    assert judged(TotalQueue, text, 8, claims=["read-committed"]).valid is False
    early = judged(TotalQueue, text, 99)
    assert early.valid == "unknown"
    assert early.settle
    assert judged(TotalQueue, text, 8, not_durable="fsync off").valid is True


def test_a_value_that_came_out_twice_may_be_a_lost_dequeue() -> None:
    text = "0 enqueue 1\n1 dequeue = 1\n2 dequeue = 1"
    assert judged(Queue, text).valid is False
    disclaimed = judged(Queue, text, not_durable="fsync off")
    assert (disclaimed.valid, disclaimed.stats["permitted"]) == (True, {"duplicated": 1})


def test_a_key_without_an_answer_is_neutral_beside_others() -> None:
    header: dict[str, Any] = {"independent": True, "claims": ["serializable"]}
    never = '0 add ["a", 1] !\n0 read ["a", null] = ["a", []]\n'
    verdict = judged(Set, never, None, **header)
    assert verdict.valid == "unknown"
    assert "nothing of this was tested" in verdict.why
    other = '0 add ["b", 1]\n0 read ["b", null] = ["b", [1]]'
    assert judged(Set, never + other, None, **header).valid is True


def test_a_file_keeps_jepsens_definition() -> None:
    history = scripted(ADDED + "1 read = [1, 2]\n2 read = [2]", claims=["read-committed"])
    for checker in (Set, SetFull):
        verdict = checker({}).check(Record(history=history), Budget.start(60))
        assert kinds(verdict) == {"lost": 1}
    record = Record(history=history, run={"phases": {"final": [4_000_000, 9_000_000]}})
    assert Set({}).check(replace(record), Budget.start(60)).valid is True
