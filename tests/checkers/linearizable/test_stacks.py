"""The near-linear rule for stacks answers what trying every order answers, and tells why."""

from __future__ import annotations

from collections import Counter
from functools import cache
from random import Random

import pytest

from checkers.linearizable import frontier
from checkers.linearizable.containers import NotDecided
from checkers.linearizable.nesting import Stay, knot, smallest_knot
from checkers.linearizable.object_entries import Timed, problem_of, until
from checkers.linearizable.object_models import OBJECTS, Call
from checkers.linearizable.search_problem import Allowance
from checkers.linearizable.stacks import decided
from harness.verdict.verdict import Budget
from tests.checkers.linearizable.sequences import has_order, part
from tests.checkers.linearizable.test_containers import blind

STACK = OBJECTS["stack"]


def random_stays(random: Random) -> list[Stay]:
    """Elements whose ends lie near each other or anywhere."""
    count = random.randint(1, 5)
    owners = [n for n in range(count) for _ in range(4)]
    if random.random() < 0.5:
        random.shuffle(owners)
    else:
        for _ in range(random.randint(0, 12)):
            at = random.randrange(len(owners))
            near = min(len(owners) - 1, at + random.randint(0, 4))
            owners[at], owners[near] = owners[near], owners[at]
    ends: dict[int, list[int]] = {}
    for moment, owner in enumerate(owners):
        ends.setdefault(owner, []).append(moment)
    return [Stay(*ends[owner]) for owner in sorted(ends)]


def can_be_nested(stays: list[Stay]) -> bool:
    """Push and pop one after the other in every way that the bounds allow."""

    @cache
    def goes(pushed: frozenset[Stay], inside: tuple[Stay, ...]) -> bool:
        due = [stay.sure for stay in stays if stay not in pushed] + [stay.end for stay in inside]
        if not due:
            return True
        for stay in stays:
            may_push = stay not in pushed and stay.begin < min(due)
            if may_push and goes(pushed | {stay}, (*inside, stay)):
                return True
        return bool(inside) and inside[-1].until < min(due) and goes(pushed, inside[:-1])

    return goes(frozenset(), ())


@pytest.mark.slow
def test_stays_can_be_nested_exactly_if_there_is_no_knot() -> None:
    seen: Counter[bool] = Counter()
    for seed in range(8000):
        stays = random_stays(Random(seed))
        tied = smallest_knot(stays)
        assert bool(tied) == bool(knot(stays)) == (not can_be_nested(stays)), (seed, stays)
        if tied:
            assert not can_be_nested(tied)
            assert all(can_be_nested([x for x in tied if x is not left]) for left in tied)
        seen[bool(tied)] += 1
    assert min(seen.values()) > 300, seen


@pytest.mark.slow
def test_thousands_of_stays_deep_or_side_by_side() -> None:
    count = 5000
    deep = [Stay(4 * n, 4 * n + 1, 8 * count - 4 * n, 8 * count - 4 * n + 1) for n in range(count)]
    beside = [Stay(4 * n, 4 * n + 1, 4 * n + 2, 4 * n + 3) for n in range(count)]
    assert knot(deep) == knot(beside) == []
    crossing = Stay(4 * count - 2, 4 * count - 1, 20 * count, 20 * count + 1)
    tied = smallest_knot([*deep, crossing])
    assert len(tied) == 2
    assert crossing in tied


def stack_history(seed: int) -> list[Timed]:
    random = Random(seed)
    empties, unknown = random.choice([0.0, 0.3]), random.choice([0.0, 0.0, 0.3])
    taken: list[int] = []

    def draw(n: int) -> tuple[str, int | None, int | None]:
        if random.random() < 0.5:
            return "push", n, n
        if random.random() < empties:
            return "pop", None, None
        fresh = [v for v in range(n + 2) if v not in taken] or [0]
        taken.append(random.choice(fresh if random.random() < 0.95 else range(7)))
        return "pop", None, taken[-1]

    return blind(random, random.randint(2, 8), draw, unknown)


@pytest.mark.slow
def test_random_answers_are_judged_as_by_trying_every_order() -> None:
    reasons: Counter[str] = Counter()
    for seed in range(6000):
        calls = stack_history(seed)
        try:
            found = decided(part("stack", calls), Budget.start(600))
        except NotDecided:
            reasons["not decided"] += 1
            continue
        assert (found is None) == has_order(problem_of(part("stack", calls))), (seed, calls)
        reasons[found[1].why if found else "valid"] += 1
        if found is not None:
            late, clash = found
            before = until(calls, late.complete - 1, STACK)
            assert has_order(problem_of(part("stack", before))), (seed, "not the first")
            assert any(timed.at == late.at for timed in clash.cast)
            cast = sorted(clash.cast, key=lambda timed: timed.at)
            told = until(cast, late.complete, STACK)
            assert not has_order(problem_of(part("stack", told))), (seed, calls, found)
    assert reasons["valid"] > 500
    assert len(set(reasons) - {"valid", "not decided"}) == 6, reasons


def acted(random: Random, count: int, clients: int) -> list[Timed]:
    """A stack at work: each call acts once inside its interval."""
    inside: list[int] = []
    waiting: list[tuple[int, str, int | None]] = []
    done: list[tuple[int, Call]] = []
    calls: list[Timed] = []
    position = begun = 0
    while begun < count or waiting or done:
        chance = random.random()
        if begun < count and len(waiting) + len(done) < clients and chance < 0.4:
            asks = random.random() < 0.5
            waiting.append((position, "push", begun) if asks else (position, "pop", None))
            begun, position = begun + 1, position + 1
        elif waiting and chance < 0.7:
            at, f, value = waiting.pop(random.randrange(len(waiting)))
            if value is not None:
                inside.append(value)
            answer = value if value is not None else inside.pop() if inside else None
            done.append((at, Call(f, value, answer, True, at)))
        elif done:
            at, call = done.pop(random.randrange(len(done)))
            calls.append(Timed(at, at, position, call))
            position += 1
    return sorted(calls, key=lambda timed: timed.at)


def test_what_a_stack_did_is_never_called_impossible() -> None:
    for seed in range(60):
        calls = acted(Random(seed), 400, clients=2 + seed % 9)
        assert decided(part("stack", calls), Budget.start(600)) is None, seed


@pytest.mark.slow
def test_two_answers_exchanged_are_judged_as_by_the_search() -> None:
    seen: Counter[bool] = Counter()
    for seed in range(150):
        random = Random(seed)
        calls = acted(random, 40, clients=3)
        pops = [n for n, c in enumerate(calls) if c.call.f == "pop" and c.call.answer is not None]
        if len(pops) < 2:
            continue
        one, other = random.sample(pops, 2)
        answers = calls[one].call.answer, calls[other].call.answer
        for place, answer in zip((other, one), answers, strict=True):
            old = calls[place]
            call = old.call._replace(answer=answer)
            calls[place] = Timed(old.at, old.invoke, old.complete, call)
        whole = part("stack", calls)
        found = decided(whole, Budget.start(600))
        stuck = frontier.first_stuck(problem_of(whole), Allowance(1_000_000, Budget.start(600)))
        assert (found is None) == (stuck is None), seed
        seen[found is None] += 1
    assert seen[False] > 50, seen
