"""The near-linear rules for queues and sets answer what trying every order answers."""

from __future__ import annotations

from collections import Counter
from random import Random
from typing import Any

import pytest

from checkers.linearizable import frontier
from checkers.linearizable.containers import NotDecided, decided
from checkers.linearizable.object_entries import Timed, problem_of, until
from checkers.linearizable.object_models import OBJECTS, Call
from checkers.linearizable.register_entries import NEVER
from checkers.linearizable.search_problem import Allowance
from harness.verdict.verdict import Budget
from tests.checkers.linearizable.sequences import has_order, part


def blind(random: Random, size: int, draw: Any, unknown: float) -> list[Timed]:
    """Calls with answers out of the air."""
    position, begun = 0, 0
    busy: list[tuple[int, str, Any, Any]] = []
    calls: list[Timed] = []
    while begun < size or busy:
        if begun < size and len(busy) < 4 and (not busy or random.random() < 0.5):
            busy.append((position, *draw(begun)))
            begun += 1
        else:
            at, f, value, answer = busy.pop(random.randrange(len(busy)))
            if random.random() < unknown:
                call = Call(f, value, None, False, at)
                if f != "read":
                    calls.append(Timed(at, at, NEVER, call))
            else:
                calls.append(Timed(at, at, position, Call(f, value, answer, True, at)))
        position += 1
    return sorted(calls, key=lambda timed: timed.at)


def queue_history(seed: int) -> list[Timed]:
    random = Random(seed)
    empties, unknown = random.choice([0.0, 0.3]), random.choice([0.0, 0.0, 0.3])
    taken: list[int] = []

    def draw(n: int) -> tuple[str, Any, Any]:
        if random.random() < 0.5:
            return "enqueue", n, n
        if random.random() < empties:
            return "dequeue", None, None
        fresh = [v for v in range(7) if v not in taken] or [0]
        taken.append(random.choice(fresh if random.random() < 0.9 else range(7)))
        return "dequeue", None, taken[-1]

    return blind(random, random.randint(2, 7), draw, unknown)


def set_history(seed: int) -> list[Timed]:
    random = Random(seed)
    added: list[int] = []

    def draw(n: int) -> tuple[str, Any, Any]:
        if random.random() < 0.5:
            added.append(n)
            return "add", n, n
        cut = random.randint(0, len(added))
        held = added[:cut] if random.random() < 0.8 else [v for v in added if random.random() < 0.7]
        return "read", None, held

    return blind(random, random.randint(2, 8), draw, random.choice([0.0, 0.3]))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("fifo-queue", queue_history),
        ("unordered-queue", queue_history),
        ("linearizable-set", set_history),
    ],
)
def test_random_answers_are_judged_as_by_trying_every_order(name: str, make: Any) -> None:
    reasons: Counter[str] = Counter()
    for seed in range(6000):
        calls = make(seed)
        try:
            found = decided(part(name, calls))
        except NotDecided:
            reasons["not decided"] += 1
            continue
        assert (found is None) == has_order(problem_of(part(name, calls))), (seed, calls)
        reasons[found[1].why if found else "valid"] += 1
        if found is not None:
            late, clash = found
            before = until(calls, late.complete - 1, OBJECTS[name])
            assert has_order(problem_of(part(name, before))), (seed, "not the first")
            assert late.at in {timed.at for timed in clash.cast}
    assert reasons["valid"] > 500
    expected = {
        "fifo-queue": 4,
        "unordered-queue": 3,
        "linearizable-set": 2,
    }
    assert len(set(reasons) - {"valid", "not decided"}) >= expected[name], reasons


@pytest.mark.parametrize("name", ["fifo-queue", "unordered-queue"])
def test_a_clash_has_no_order_by_itself(name: str) -> None:
    seen = 0
    for seed in range(3000):
        calls = queue_history(seed)
        try:
            found = decided(part(name, calls))
        except NotDecided:
            continue
        if found is None or any(timed.is_open for timed in found[1].cast):
            continue
        cast = sorted(found[1].cast, key=lambda timed: timed.at)
        past = until(cast, found[0].complete, OBJECTS[name])
        assert not has_order(problem_of(part(name, past))), (seed, calls, found)
        seen += 1
    assert seen > 500


def test_long_queues_agree_with_the_search() -> None:
    for seed in range(30):
        random = Random(seed)
        inside: list[int] = []
        calls, position = [], 0
        for n in range(300):
            if inside and random.random() < 0.5:
                value = inside.pop(0 if seed % 3 else random.randrange(min(2, len(inside))))
                call = Call("dequeue", None, value, True, 0)
            else:
                inside.append(n)
                call = Call("enqueue", n, n, True, 0)
            calls.append(Timed(position, position, position + 1, call))
            position += 2
        whole = part("fifo-queue", calls)
        found = decided(whole)
        stuck = frontier.first_stuck(problem_of(whole), Allowance(1_000_000, Budget.start(600)))
        assert (found is None) == (stuck is None)
        if found is not None and stuck is not None:
            assert found[0] == calls[stuck.late]
