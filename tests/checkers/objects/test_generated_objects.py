"""Generated histories: valid ones are never called invalid, and wrong answers are caught.

Where a checker promises less than linearizability, a mutation may leave the history within its
promise; the slow definition of that promise, written out below, decides then.
"""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Callable
from dataclasses import replace
from random import Random
from typing import Any

import pytest
from msgspec import structs

from checkers.log import Log
from checkers.objects.comments import Comments
from checkers.objects.counter import Counter
from checkers.objects.queue import Queue
from checkers.objects.session_monotonic import SessionMonotonic
from checkers.objects.set_full import SetFull
from checkers.objects.sets import Set
from checkers.objects.total_queue import TotalQueue
from checkers.objects.unique_ids import UniqueIds
from checkers.objects.watch import Watch
from harness.history.calls import Call, calls
from harness.history.history import History
from harness.history.operation import Header
from harness.verdict.record import Record
from harness.verdict.verdict import Budget
from tests.checkers.simulated import (
    COMMENTS,
    COUNTER,
    IDS,
    LOG,
    QUEUE,
    RISING,
    SET,
    WATCH,
    Kind,
    has_an_order,
    mutated,
    simulated,
)

ROUNDS = 400


def other_number(random: Random, value: Any) -> Any:
    return (value if isinstance(value, int) else 0) + random.choice([-7, -1, 1, 7])


def other_list(random: Random, value: Any) -> Any:
    if not isinstance(value, list):
        return value
    choices = [value[1:], value[:-1], [*value, 99], [*value, *value[:1]]]
    return random.choice(choices)


def other_poll(random: Random, value: Any) -> Any:
    (part,) = value
    if part[0] == "send" or len(part) == 1:
        return value
    messages = part[1].get("x", [])
    return [["poll", {"x": other_list(random, messages) if messages else [[0, 99]]}]]


def other_watch(random: Random, value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    return {**value, "events": other_list(random, value["events"])}


CASES: list[tuple[Any, Kind, Callable[[Random, Any], Any]]] = [
    (Counter, COUNTER, other_number),
    (Set, SET, other_list),
    (SetFull, SET, other_list),
    (Comments, COMMENTS, other_list),
    (Queue, QUEUE, other_number),
    (TotalQueue, QUEUE, other_number),
    (UniqueIds, IDS, other_number),
    (SessionMonotonic, RISING, other_number),
    (Log, LOG, other_poll),
    (Watch, WATCH, other_watch),
]
EACH = pytest.mark.parametrize(
    ("checker", "kind", "wrong"), CASES, ids=lambda x: getattr(x, "name", None)
)


def answer(checker: Any, history: History) -> Any:
    return checker({"linearizable": True}).check(Record(history=history), Budget.start(60)).valid


@pytest.mark.slow
@EACH
def test_what_is_valid_by_construction_is_never_invalid(
    checker: Any, kind: Kind, wrong: Any
) -> None:
    answers = Tally(answer(checker, simulated(kind, seed, 40)) for seed in range(ROUNDS))
    assert answers[False] == 0
    if checker is not TotalQueue:  # which needs a drain to be sure
        assert answers[True] > ROUNDS / 2


@EACH
def test_what_has_an_order_is_never_invalid(checker: Any, kind: Kind, wrong: Any) -> None:
    """The slow oracle tries every order of small histories, answers changed at random."""
    seen = Tally[Any]()
    for seed in range(ROUNDS):
        random = Random(seed)
        history = simulated(kind, seed, random.randrange(2, 8), processes=3)
        changed = mutated(history, random, wrong) if seed % 4 else history
        if not any(op.type == "ok" for op in changed):
            continue
        explained, said = has_an_order(changed, kind), answer(checker, changed)
        assert not (explained and said is False), changed.operations
        seen[explained, said] += 1
    assert seen[True, True] + seen[True, "unknown"] > 20
    assert seen[False, False] > (0 if checker is Comments else 20)


def counter_can_be(found: list[Call]) -> bool:
    """Every read is the start, all changes over by then, and some of those that may be."""
    adds = [call for call in found if call.f == "add" and not call.failed]
    for read in (call for call in found if call.f == "read" and call.ok):
        sums = {sum(add.value for add in adds if add.precedes(read))}
        for add in adds:
            if not add.precedes(read) and add.start < read.end:
                sums |= {total + add.value for total in sums}
        if read.answer not in sums:
            return False
    return True


def comments_can_be(found: list[Call]) -> bool:
    """No read shows a write and lacks one that was over before it began; nothing unwritten."""
    writes = [call for call in found if call.f == "write"]
    for read in (call for call in found if call.f == "read" and call.ok):
        for write in writes:
            if write.value in read.answer:
                if write.failed or write.start > read.end:
                    return False
                before = [w for w in writes if w.ok and w.precedes(write)]
                if any(w.value not in read.answer for w in before):
                    return False
        if any(all(w.value != shown for w in writes) for shown in read.answer):
            return False
        if len(set(read.answer)) < len(read.answer):
            return True  # not this checker's business
    return True


def queue_can_be(found: list[Call]) -> bool:
    """At every answer, nothing had come out more often than enqueues of it had begun."""
    takes = [call for call in found if call.f == "dequeue" and call.ok and call.answer is not None]
    for take in takes:
        out = sum(t.answer == take.answer and t.end <= take.end for t in takes)
        begun = [c for c in found if c.f == "enqueue" and c.value == take.answer and not c.failed]
        if out > sum(call.start < take.end for call in begun):
            return False
    return True


def ids_can_be(found: list[Call]) -> bool:
    """No two answers are equal."""
    given = [call.answer for call in found if call.ok]
    return len(set(given)) == len(given)


def rising_can_be(found: list[Call]) -> bool:
    """Within a process nothing falls, and no two increments answer the same."""
    for later in found:
        for before in found:
            is_next = before.process == later.process and before.start < later.start
            if before.ok and later.ok and is_next and before.answer > later.answer:
                return False
    raised = [call.answer for call in found if call.f == "inc" and call.ok]
    return len(set(raised)) == len(raised)


@pytest.mark.parametrize(
    ("checker", "kind", "wrong", "can_be"),
    [
        (Counter, COUNTER, other_number, counter_can_be),
        (Comments, COMMENTS, other_list, comments_can_be),
        (Queue, QUEUE, other_number, queue_can_be),
        (UniqueIds, IDS, other_number, ids_can_be),
        (SessionMonotonic, RISING, other_number, rising_can_be),
    ],
    ids=lambda x: getattr(x, "name", None),
)
def test_the_checker_keeps_exactly_to_its_promise(
    checker: Any, kind: Kind, wrong: Any, can_be: Callable[[list[Call]], bool]
) -> None:
    caught = 0
    for seed in range(2 * ROUNDS):
        random = Random(seed)
        history = mutated(simulated(kind, seed, 20), random, wrong)
        if checker is Comments:
            history = replace(history, header=Header(initial=[]))
        expected = can_be(calls(history))
        assert (answer(checker, history) is not False) is expected, seed
        caught += not expected
    assert caught > ROUNDS / 4


def without(history: History, position: int, dropped: int) -> History:
    """``history`` whose answer at ``position`` lacks one message or event."""
    operations = list(history)
    old = operations[position].value
    if isinstance(old, dict):
        value: Any = {**old, "events": old["events"][:dropped] + old["events"][dropped + 1 :]}
    else:
        messages = old[0][1]["x"]
        value = [["poll", {"x": messages[:dropped] + messages[dropped + 1 :]}]]
    operations[position] = structs.replace(operations[position], value=value)
    return History(operations, history.header)


def acknowledged(found: list[Call]) -> dict[Any, Call]:
    """The acknowledged sends or writes, by what they sent."""
    done = [call for call in found if call.f in ("send", "write") and call.ok]
    return {call.asked if call.f == "write" else call.asked[0][2]: call for call in done}


@pytest.mark.slow
@pytest.mark.parametrize(("checker", "kind"), [(Log, LOG), (Watch, WATCH)])
def test_a_message_or_event_left_out_is_caught(checker: Any, kind: Kind) -> None:
    """Wherever its write was acknowledged before the read of it began."""
    tried = 0
    for seed in range(ROUNDS // 4):
        history = simulated(kind, seed, 30)
        done = acknowledged(calls(history))
        for call in calls(history):
            if call.f not in ("final-poll", "watch") or not call.ok:
                continue
            shown = call.answer["events"] if kind is WATCH else call.answer[0][1]["x"]
            for place, (_, value) in enumerate(shown):
                if value in done and done[value].precedes(call):
                    tried += 1
                    assert answer(checker, without(history, call.end, place)) is False
    assert tried > ROUNDS
