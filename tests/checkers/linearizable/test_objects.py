"""Every object is judged as by trying every order, by each engine; witnesses are small."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from checkers.linearizable import CHECKERS, Linearizable, frontier, judge_objects, search, wgl
from checkers.linearizable.object_entries import Timed, problem_of, until
from checkers.linearizable.object_models import INCONSISTENT, OBJECTS, Call, Sequential
from checkers.linearizable.search_problem import Allowance, Exhausted
from harness.history.history import History
from harness.history.operation import Header, Operation
from harness.verdict.record import Record
from harness.verdict.verdict import UNKNOWN, Budget, Verdict
from tests.checkers.linearizable.sequences import (
    acted_out,
    has_order,
    part,
    with_one_answer_changed,
)


def allowance(configurations: int = 50_000) -> Allowance:
    return Allowance(configurations, Budget.start(600))


def engines_agree(name: str, calls: list[Timed]) -> bool:
    """Whether there is an order, by every engine, which must say the same."""
    problem = problem_of(part(name, calls))
    stuck = frontier.first_stuck(problem, allowance())
    assert (wgl.find_order(problem, allowance()) is None) == (stuck is not None)
    if search.has_compiler():
        from checkers.linearizable import sweep

        assert sweep.first_stuck(problem, allowance()) == stuck
    return stuck is None


@pytest.mark.slow
@pytest.mark.parametrize("name", OBJECTS)
def test_what_was_acted_out_on_the_model_has_an_order(name: str) -> None:
    for seed in range(60):
        calls = acted_out(Random(seed), OBJECTS[name], size=14, unknown=0.05)
        assert engines_agree(name, calls), (seed, calls)


@pytest.mark.parametrize("name", OBJECTS)
def test_one_changed_answer_is_judged_as_by_trying_every_order(name: str) -> None:
    verdicts = set()
    for seed in range(150):
        random = Random(seed)
        calls = acted_out(random, OBJECTS[name], size=random.randint(2, 8), unknown=0.15)
        changed = with_one_answer_changed(random, calls)
        has_one = has_order(problem_of(part(name, changed)))
        assert engines_agree(name, changed) == has_one, (seed, changed)
        verdicts.add(has_one)
        if not has_one:
            wrong = first_wrong(name, changed)
            before = until(changed, wrong.late.complete - 1, OBJECTS[name])
            assert has_order(problem_of(part(name, before))), "not the first"
            past = until(changed, wrong.late.complete, OBJECTS[name])
            assert not has_order(problem_of(part(name, past))), "too early"
    deaf = {"mutex", "owner-mutex", "reentrant-mutex", "multi-register"}
    assert verdicts == ({True} if name in deaf else {True, False})


def first_wrong(name: str, calls: list[Timed]) -> judge_objects.Wrong:
    """What the checker would say of ``calls``, by search alone."""
    wrong = judge_objects.by_search(part(name, calls))(allowance())
    assert wrong is not None
    return wrong


def test_an_order_found_depth_first_explains_every_answer() -> None:
    for seed in range(100):
        random = Random(seed)
        calls = acted_out(random, OBJECTS["stack"], size=12, unknown=0.1)
        problem = problem_of(part("stack", calls))
        order = wgl.find_order(problem, allowance())
        assert order is not None
        state, placed = problem.start[0], set()
        for i in order.operations:
            rest = (problem.complete[j] for j in range(len(calls)) if j not in placed)
            assert problem.invoke[i] < min(rest)
            state = problem.machine.step(state, problem.kinds[i])
            assert state >= 0
            placed.add(i)
        assert all(i in placed for i, c in enumerate(calls) if c.call.is_known)


def test_depth_first_search_keeps_to_its_allowance() -> None:
    calls = [Timed(n, n, 100 + n, Call("push", n, n, True, n)) for n in range(12)]
    calls.append(Timed(200, 200, 201, Call("pop", None, 77, True, 99)))
    with pytest.raises(Exhausted, match="5,000 configurations"):
        wgl.find_order(problem_of(part("stack", calls)), Allowance(5_000, Budget.start(600)))


def history(*lines: tuple[Any, ...], **header: Any) -> History:
    """Operations as (process, type, f, value), in order."""
    operations = [
        Operation(n, n, process, kind, f, value)
        for n, (process, kind, f, value) in enumerate(lines)
    ]
    return History(operations, Header(**header))


def done(process: int, f: str, asked: Any, answer: Any) -> list[tuple[Any, ...]]:
    return [(process, "invoke", f, asked), (process, "ok", f, answer)]


def judged(name: str, past: History, **options: Any) -> Verdict:
    return CHECKERS[name](options).check(Record(history=past), Budget.start(600))


FENCED = [*done(0, "acquire", None, 5), *done(0, "release", None, None)]
BOTH = [["r", "x", None], ["r", "y", None]]
BOTH_WRITTEN = done(0, "txn", [["w", "x", 1], ["w", "y", 1]], None)
CASES: dict[str, tuple[str, list[tuple[Any, ...]], list[tuple[Any, ...]]]] = {
    "a lock held twice": (
        "mutex",
        [*done(0, "acquire", None, None), *done(0, "release", None, None)],
        [*done(0, "acquire", None, None), *done(1, "acquire", None, None)],
    ),
    "a lock given back by another": (
        "owner-mutex",
        [*done(0, "acquire", None, None), *done(0, "release", None, None)],
        [*done(0, "acquire", None, None), *done(1, "release", None, None)],
    ),
    "a lock given back too often": (
        "reentrant-mutex",
        [*done(0, "acquire", None, None), *done(0, "acquire", None, None)],
        [*done(0, "acquire", None, None), *2 * done(0, "release", None, None)],
    ),
    "a fence that falls": (
        "fenced-mutex",
        [*FENCED, *done(1, "acquire", None, 6)],
        [*FENCED, *done(1, "acquire", None, 5)],
    ),
    "elements out of order": (
        "fifo-queue",
        [*done(0, "enqueue", 1, 1), *done(0, "enqueue", 2, 2), *done(1, "dequeue", None, 1)],
        [*done(0, "enqueue", 1, 1), *done(0, "enqueue", 2, 2), *done(1, "dequeue", None, 2)],
    ),
    "an element out twice": (
        "unordered-queue",
        [*done(0, "enqueue", 1, 1), *done(0, "enqueue", 2, 2), *done(1, "dequeue", None, 2)],
        [*done(0, "enqueue", 1, 1), *done(0, "dequeue", None, 1), *done(1, "dequeue", None, 1)],
    ),
    "the lower element first": (
        "stack",
        [*done(0, "push", 1, 1), *done(0, "push", 2, 2), *done(1, "pop", None, 2)],
        [*done(0, "push", 1, 1), *done(0, "push", 2, 2), *done(1, "pop", None, 1)],
    ),
    "a sum that nobody made": (
        "linearizable-counter",
        [*done(0, "add", 2, 2), *done(1, "decrement", 1, 1), *done(0, "read", None, 1)],
        [*done(0, "add", 2, 2), *done(1, "decrement", 1, 1), *done(0, "read", None, 2)],
    ),
    "an element that vanished": (
        "linearizable-set",
        [*done(0, "add", 1, 1), *done(0, "read", None, [1])],
        [*done(0, "add", 1, 1), *done(0, "read", None, [])],
    ),
    "an append that was lost": (
        "kv",
        [*done(0, "append", ["k", "a"], ["k", "a"]), *done(0, "get", ["k", None], ["k", "a"])],
        [*done(0, "append", ["k", "a"], ["k", "a"]), *done(0, "get", ["k", None], ["k", ""])],
    ),
    "two registers that never stood so": (
        "multi-register",
        [*BOTH_WRITTEN, *done(1, "txn", BOTH, [["r", "x", 1], ["r", "y", 1]])],
        [*BOTH_WRITTEN, *done(1, "txn", BOTH, [["r", "x", 1], ["r", "y", 0]])],
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_drawn_cases_are_judged_and_every_operation_of_the_witness_matters(case: str) -> None:
    name, good, bad = CASES[case]
    options = {"independent": True} if name == "kv" else {}
    assert judged(name, history(*good), **options).valid is True
    verdict = judged(name, history(*bad), **options)
    assert verdict.valid is False
    ((anomaly,),) = verdict.anomalies.values()
    assert anomaly.data["impossible"] == len(bad) - 1
    assert "a contradiction" in anomaly.message
    assert len(anomaly.witness) <= len(bad) // 2
    assert len(bad) - 1 in anomaly.witness


def test_a_witness_is_minimal() -> None:
    twice = [n % 10 for n in range(20)]  # so that no rule but the search decides
    noise = [line for n in twice for line in done(n, "push", n, n) + done(n, "pop", None, n)]
    bad = [*noise, *done(0, "push", 77, 77), *done(0, "push", 78, 78), *done(1, "pop", None, 77)]
    verdict = judged("stack", history(*bad))
    ((anomaly,),) = verdict.anomalies.values()
    assert anomaly.witness == (81, 83, 85)
    for words in ("push 77", "push 78", "pop -> 77", "could only be"):
        assert words in anomaly.message


def test_parts_that_may_be_judged_apart_are() -> None:
    lines = [*done(0, "add", 1, 1), *done(0, "contains", 1, False), *done(0, "contains", 2, False)]
    verdict = judged("linearizable-set", history(*lines))
    assert verdict.stats["keys"] == 2
    assert verdict.stats["keys-invalid"] == [1]
    whole = [*done(0, "add", 1, 1), *done(0, "read", None, [1])]
    assert judged("linearizable-set", history(*whole)).stats["keys"] == 1


def test_what_a_model_does_not_have_makes_it_unknown() -> None:
    verdict = judged("mutex", history(*done(0, "write", 1, 1)))
    assert verdict.valid == UNKNOWN
    assert "operation 0 (write by process 0)" in verdict.why


def test_a_model_of_ones_own_is_a_step() -> None:
    def step(state: Any, call: Call) -> Any:
        if call.f == "deposit":
            return state + call.value
        return state if not call.is_known or call.answer == state else INCONSISTENT

    account = Sequential("account", step, looks=lambda call: call.f == "read")
    good = history(*done(0, "deposit", 5, 5), *done(0, "read", None, 15), initial=10)
    bad = history(*done(0, "deposit", 5, 5), *done(0, "read", None, 5), initial=10)
    checker = Linearizable({}, account)
    assert checker.check(Record(history=good), Budget.start(600)).valid is True
    verdict = checker.check(Record(history=bad), Budget.start(600))
    assert verdict.valid is False
    assert "read -> 5" in verdict.why


def test_a_hard_part_is_unknown_and_named() -> None:
    crowd = [(n, "invoke", "push", n % 13) for n in range(14)]
    crowd += [(n, "ok", "push", n % 13) for n in range(14)]
    narrow = Budget(seconds=600, bytes=1 << 10, deadline=Budget.start(600).deadline)
    checker = CHECKERS["stack"]({})
    verdict = checker.check(Record(history=history(*crowd)), narrow)
    assert verdict.valid == UNKNOWN
    assert "memory" in verdict.why
