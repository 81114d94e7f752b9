"""What the checkers of single objects take for an answer, and on what they accuse nobody."""

from __future__ import annotations

from typing import Any

import pytest

from checkers.objects.counter import Counter
from checkers.objects.lock import Lock
from checkers.objects.queue import Queue
from checkers.objects.set_full import SetFull
from checkers.objects.sets import Set
from checkers.objects.total_queue import TotalQueue
from checkers.objects.unique_ids import UniqueIds
from checkers.objects.watch import Watch
from harness.history.history import History
from harness.history.operation import Header, Operation
from harness.verdict.record import Record
from harness.verdict.verdict import Budget
from tests.checkers.scripted import judged, kinds

SETS = pytest.mark.parametrize("checker", [Set, SetFull])
WATCHED = '1 watch 0 = {"after": 0, "to": 9, "events": [[2, %s]]}'


@SETS
@pytest.mark.parametrize(
    "answer", ['"12"', "7", '{"1": true}', '["1", "2"]', "[[1, 9]]", '["x"]', "[true]", "true"]
)
def test_elements_of_another_shape_are_no_proof(checker: Any, answer: str) -> None:
    verdict = judged(checker, f"0 add 1\n0 add 2\n0 read = {answer}")
    assert verdict.valid == "unknown"
    assert "read by process 0" in verdict.why
    good = judged(checker, f"0 add 1\n1 read = [1, 9]\n0 read = {answer}")
    assert kinds(good) == {"unexpected": 1}, "what the other reads prove stands"


@pytest.mark.parametrize(
    ("checker", "script"),
    [
        (Set, "0 add 1\n0 read = null"),
        (Set, "0 read = []"),
        (Set, "0 add 1 !\n0 read = []"),
        (SetFull, "0 add 1 ?\n0 read = []"),
        (SetFull, "0 add 1\n0 read ?"),
        (Counter, "0 add 1"),
        (Counter, "0 add 1\n0 read = null"),
        (Queue, "0 enqueue 1\n1 dequeue = null"),
        (TotalQueue, "0 enqueue 1 !\n1 drain = []"),
        (TotalQueue, "1 dequeue = null"),
        (UniqueIds, "0 generate = 1\n1 generate = null\n1 generate = null"),
        (UniqueIds, "0 generate ?"),
        (Lock, "0 acquire\n1 acquire !\n0 release"),
        (Watch, '0 write "a"\n1 watch 0 = {"after": 0, "to": 0, "events": []}'),
    ],
)
def test_where_no_answer_could_have_been_wrong_nothing_was_tested(
    checker: Any, script: str
) -> None:
    verdict = judged(checker, script)
    assert verdict.valid == "unknown"
    assert "nothing of this was tested" in verdict.why


@SETS
def test_a_removed_element_may_be_gone_and_must_be_where_that_is_certain(checker: Any) -> None:
    assert judged(checker, "0 add 1\n0 remove 1\n0 read = []").valid is True
    assert judged(checker, "0 add 1\n0 remove 1 ?\n0 add 2\n0 read = [2]").valid is True
    assert judged(checker, "0 add 1\n0 remove 1 ?\n0 add 2\n0 read = [1, 2]").valid is True
    assert kinds(judged(checker, "0 add 1\n0 remove 1 !\n0 read = []")) == {"lost": 1}
    assert kinds(judged(checker, "0 remove 1\n0 add 1\n0 read = []")) == {"lost": 1}
    assert kinds(judged(checker, "0 add 1\n0 delete 1\n0 read = [1]")) == {"reappeared": 1}
    beside = "0 add 1\n1 + add 1\n0 remove 1\n1 - ok\n0 read = [1]"
    assert judged(checker, beside).valid is not False


@pytest.mark.parametrize("checker", [Set, SetFull, Queue, TotalQueue, Counter, UniqueIds, Lock])
def test_an_initial_state_of_another_shape_is_refused(checker: Any) -> None:
    scripts = {
        Queue: "0 enqueue 1\n1 dequeue = 1\n1 drain = []",
        TotalQueue: "0 enqueue 1\n1 dequeue = 1\n1 drain = []",
        Counter: "0 add 1\n0 read = 1",
        UniqueIds: "0 generate = 1\n0 generate = 2",
        Lock: "0 acquire\n0 release\n1 acquire",
    }
    script = scripts.get(checker, "0 add 1\n0 read = [1]")
    assert judged(checker, script).valid is True
    for initial in ("held", {"a": 1}):
        verdict = judged(checker, script, {"initial": initial})
        assert verdict.valid == "unknown"
        assert "initial state" in verdict.why


def test_the_initial_state_of_queues_and_ids_counts() -> None:
    out = "1 dequeue = 7\n1 dequeue = null"
    for checker in (Queue, TotalQueue):
        assert judged(checker, out, {"initial": [7]}).valid is True
        assert kinds(judged(checker, out)) != {}
    assert kinds(judged(Queue, "1 dequeue = 7\n" + out, {"initial": [7]})) == {"duplicated": 1}
    lost = judged(TotalQueue, "0 enqueue 1\n1 drain = [1]", {"initial": [7]})
    assert kinds(lost) == {"lost": 1}
    assert kinds(judged(UniqueIds, "0 generate = 3", {"initial": [3]})) == {"duplicated": 1}
    missing = judged(SetFull, "0 add 1\n0 read = [1]", {"initial": [7]})
    assert kinds(missing) == {"lost": 1}


@pytest.mark.parametrize("answer", ['"ab"', "7", '{"a": 1}', "true"])
def test_a_drain_that_answers_no_list_is_no_proof(answer: str) -> None:
    script = f'0 enqueue "ab"\n1 drain = {answer}'
    for checker in (Queue, TotalQueue):
        verdict = judged(checker, script)
        assert verdict.valid == "unknown"
        assert "drain by process 1" in verdict.why


def test_values_of_another_kind_than_those_enqueued_are_no_proof() -> None:
    script = '0 enqueue 1\n0 enqueue 2\n1 dequeue = "1"\n1 drain = ["2"]'
    for checker in (Queue, TotalQueue):
        assert judged(checker, script).valid == "unknown"


@pytest.mark.parametrize(
    "error", ['"Empty reply from server"', '"not empty"', '["nonempty"]', "7", "null"]
)
def test_only_the_exact_error_empty_shows_an_empty_queue(error: str) -> None:
    script = "0 enqueue 1\n1 + dequeue\n1 - fail null # "
    assert judged(TotalQueue, script + error).valid == "unknown"
    for told in ('"empty"', '":empty"', '["empty", "queue"]'):
        assert kinds(judged(TotalQueue, script + told)) == {"lost": 1}


def test_what_an_increment_answers_is_no_amount() -> None:
    assert judged(Counter, "0 inc = 1\n1 inc = 1\n0 read = 2").valid is True
    told = "0 inc = 1\n1 inc = 2\n0 read = "
    assert judged(Counter, told + "2").valid is True
    assert judged(Counter, told + "3").valid == "unknown", "or by two"
    assert judged(Counter, "0 add 1\n0 read = 1.0").valid is True


@pytest.mark.parametrize("answer", ["true", '{"id": 4}'])
def test_what_is_no_id_is_not_compared(answer: str) -> None:
    script = f"0 generate = {answer}\n1 generate = {answer}\n0 generate = 1\n0 generate = 2"
    verdict = judged(UniqueIds, script)
    assert verdict.valid == "unknown"
    assert kinds(judged(UniqueIds, script + "\n0 generate = 2")) == {"duplicated": 1}


def test_each_holder_has_a_lease_of_its_own() -> None:
    script = "0 acquire\n2 acquire !\n2 acquire !\n1 acquire\n2 acquire"
    verdict = judged(Lock, script, lease_s=0.006)
    assert kinds(verdict) == {"overlap": 1}
    assert "acquire by process 1" in verdict.anomalies["overlap"][0].message
    operations = [
        Operation(at, -1, process, kind, "acquire", None)
        for at, (process, kind) in enumerate([(0, "invoke"), (0, "ok"), (1, "invoke"), (1, "ok")])
    ]
    timeless = Record(history=History(operations, Header()))
    assert Lock({"lease_s": 1}).check(timeless, Budget.start(60)).valid == "unknown"
    assert Lock({}).check(timeless, Budget.start(60)).valid is False


def test_acquires_of_different_things_may_be_of_different_locks() -> None:
    verdict = judged(Lock, '0 acquire "a" = null\n1 acquire "b" = null')
    assert verdict.valid == "unknown"
    assert "--independent" in verdict.why
    assert kinds(judged(Lock, '0 acquire "a"\n1 acquire "a"')) == {"overlap": 1}
    echoed = judged(Lock, "0 acquire 5\n0 release\n1 acquire 5\n1 release")
    assert echoed.valid is True, "an echo is no token"


def test_a_watch_of_another_shape_is_no_proof_and_the_others_stand() -> None:
    for odd in ('"x"', "7", '{"events": [1]}', '{"after": 0, "to": "9", "events": []}'):
        script = f'0 write "a" = ["a", 2]\n2 watch 0 = {odd}\n'
        assert judged(Watch, script + WATCHED % '"a"').valid == "unknown"
        assert kinds(judged(Watch, script + WATCHED % '"b"')) != {}
    numbers = "0 write 1 = [1, 2]\n" + WATCHED % '"1"'
    assert judged(Watch, numbers).valid == "unknown"


def test_a_writes_answer_that_is_no_revision_is_ignored() -> None:
    echoed = "0 write [3, 4]\n" + WATCHED % "[3, 4]"
    assert judged(Watch, echoed).valid is True
    other = '0 write "a" = ["b", 7]\n' + WATCHED % '"a"'
    assert judged(Watch, other).valid is True
    twice = '0 write "a"\n0 write "b"\n0 write "a"\n'
    events = '{"after": 0, "to": 9, "events": [[2, "a"], [3, "b"], [4, "a"]]}'
    assert judged(Watch, twice + f"1 watch 0 = {events}").valid is True
    start = judged(Watch, "0 write 1\n" + WATCHED % "7", {"initial": 7})
    assert start.valid is True


def test_infos_that_carry_what_they_read_prove_nothing() -> None:
    def info(f: str, answer: Any, *others: tuple[str, Any, Any]) -> History:
        told = [*others, (f, None, answer)]
        operations: list[Operation] = []
        for number, (name, asked, answered) in enumerate(told):
            end = "info" if number == len(told) - 1 else "ok"
            for kind, value in (("invoke", asked), (end, answered)):
                at = len(operations)
                process = int(end == "info")
                operations.append(Operation(at, at * 1_000_000, process, kind, name, value))
        return History(operations, Header())

    for checker, history in (
        (Set, info("read", [9], ("add", 1, 1), ("read", None, [1]))),
        (SetFull, info("read", [], ("add", 1, 1), ("read", None, [1]))),
        (Counter, info("read", 99, ("add", 1, 1), ("read", None, 1))),
        (Queue, info("dequeue", 9, ("enqueue", 1, 1), ("dequeue", None, 1))),
        (UniqueIds, info("generate", 1, ("generate", None, 1), ("generate", None, 2))),
        (Lock, info("acquire", 1, ("acquire", None, 1), ("release", None, None))),
    ):
        assert checker({}).check(Record(history=history), Budget.start(60)).valid is not False
