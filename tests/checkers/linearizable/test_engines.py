"""The compiled search gives the answers of the plain one, to the last state, and keeps budgets."""

from __future__ import annotations

from random import Random

import pytest

from checkers.linearizable import frontier, search
from checkers.linearizable.register_entries import (
    INITIAL,
    NEVER,
    NOTHING,
    Entry,
    without_idle_infos,
)
from checkers.linearizable.search_problem import Allowance, Exhausted, Problem, register_problem
from harness.verdict.verdict import Budget
from tests.checkers.linearizable.orders import (
    ordered_entries,
    random_entries,
    with_one_read_changed,
)

pytest.importorskip("numba")
sweep = pytest.importorskip("checkers.linearizable.sweep")


class Opaque:
    """A register as any other object: known by its transitions alone."""

    def __init__(self, problem: Problem) -> None:
        self.inner = problem.machine
        self.looks = list(self.inner.looks)
        self.held_bytes = 0

    def step(self, state: int, kind: int) -> int:
        return self.inner.step(state, kind)


def allowance(configurations: int = 10_000_000) -> Allowance:
    return Allowance(configurations, Budget.start(600))


def agree(entries: list[Entry]) -> bool:
    """Whether there is an order, by all three ways, which must say the same."""
    problem = register_problem(without_idle_infos(entries))
    plain = frontier.first_stuck(problem, allowance())
    assert sweep.first_stuck(problem, allowance()) == plain
    opaque = Problem(Opaque(problem), problem.kinds, problem.invoke, problem.complete)
    assert sweep.first_stuck(opaque, allowance()) == plain
    return plain is None


@pytest.mark.slow
def test_random_histories_get_the_same_answer() -> None:
    verdicts = []
    for seed in range(1500):
        random = Random(seed)
        entries = random_entries(
            random,
            size=random.randint(1, 12),
            processes=random.randint(1, 6),
            values=random.randint(2, 5),
            unknown=random.choice([0.0, 0.2, 0.5]),
            cas=random.choice([0.0, 0.4]),
        )
        verdicts.append(agree(entries))
    assert 100 < sum(verdicts) < 1400


def test_long_histories_with_infos_get_the_same_answer_before_and_after_a_change() -> None:
    verdicts = []
    for seed in range(40):
        random = Random(seed)
        entries = ordered_entries(
            random, size=150, processes=6, values=random.choice([3, 5]), unknown=0.03, cas=0.4
        )
        assert agree(entries)
        verdicts.append(agree(with_one_read_changed(random, entries)))
    assert not all(verdicts)


@pytest.mark.slow
def test_configurations_may_take_several_words() -> None:
    infos = [Entry(n, n, NEVER, NOTHING, n + 1) for n in range(70)]
    reads = [Entry(200 + 2 * n, 200 + 2 * n, 201 + 2 * n, n + 1, NOTHING) for n in range(70)]
    assert agree([*infos, *reads])
    assert not agree([*infos, *reads, Entry(600, 600, 601, 1, NOTHING)])


def crowd(size: int) -> Problem:
    return register_problem([Entry(n, n, 100 + n, NOTHING, n) for n in range(size)], (INITIAL,))


@pytest.mark.slow
def test_growing_changes_nothing() -> None:
    problem = crowd(13)
    spent, plain = allowance(), allowance()
    assert sweep.first_stuck(problem, spent) is None
    assert frontier.first_stuck(problem, plain) is None
    assert spent.visited > 4_000


@pytest.mark.slow
def test_every_budget_ends_it_and_says_what_ran_out() -> None:
    problem = crowd(30)
    with pytest.raises(Exhausted, match="200,000 configurations") as caught:
        sweep.first_stuck(problem, allowance(200_000))
    assert caught.value.more_would_help
    narrow = Budget(seconds=600, bytes=1 << 22, deadline=Budget.start(600).deadline)
    with pytest.raises(Exhausted, match="4 MiB of memory"):
        sweep.first_stuck(problem, Allowance(10**9, narrow))
    with pytest.raises(Exhausted, match="checker time"):
        sweep.first_stuck(problem, Allowance(10**9, Budget.start(0)))


def test_a_hard_short_history_is_handed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "EASY", 10)
    entries = [Entry(n, n, 100 + n, NOTHING, n % 3) for n in range(8)]
    late = Entry(200, 200, 201, 7, NOTHING)
    found = search.first_impossible([*entries, late], allowance())
    assert found is not None
    assert found.entry == late
    monkeypatch.setattr(search, "has_compiler", lambda: False)
    assert search.first_impossible([*entries, late], allowance()) == found
