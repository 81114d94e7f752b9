"""The exact search answers what trying every order answers, and stays within its allowance."""

from __future__ import annotations

from random import Random

import pytest

from checkers.linearizable.register_entries import NEVER, NOTHING, Entry, until, without_idle_infos
from checkers.linearizable.search import first_impossible
from checkers.linearizable.search_problem import Allowance, Exhausted
from harness.verdict.verdict import Budget
from tests.checkers.linearizable.orders import (
    has_order,
    ordered_entries,
    random_entries,
    with_one_read_changed,
)


def allowance(configurations: int = 1_000_000) -> Allowance:
    return Allowance(configurations, Budget.start(600))


def read(invoke: int, complete: int, value: int) -> Entry:
    return Entry(invoke, invoke, complete, value, NOTHING)


def write(invoke: int, complete: int, value: int) -> Entry:
    return Entry(invoke, invoke, complete, NOTHING, value)


def cas(invoke: int, complete: int, old: int, new: int) -> Entry:
    return Entry(invoke, invoke, complete, old, new)


@pytest.mark.parametrize("unknown", [0.0, 0.2, 0.5])
@pytest.mark.parametrize("cas_share", [0.0, 0.4])
def test_random_answers_are_judged_as_by_trying_every_order(
    unknown: float, cas_share: float
) -> None:
    verdicts = set()
    for seed in range(700):
        random = Random(seed)
        entries = random_entries(
            random,
            size=random.randint(2, 7),
            processes=random.randint(1, 5),
            values=random.randint(2, 4),
            unknown=unknown,
            cas=cas_share,
        )
        found = first_impossible(entries, allowance())
        assert (found is None) == has_order(entries), entries
        verdicts.add(found is None)
        if found is not None:
            assert has_order(until(entries, found.entry.complete - 1)), "not the first"
            assert not has_order(until(entries, found.entry.complete)), "too early"
    assert verdicts == {True, False}


@pytest.mark.slow
def test_histories_that_have_an_order_by_construction_are_never_called_wrong() -> None:
    for seed in range(300):
        random = Random(seed)
        entries = ordered_entries(
            random, size=80, processes=6, values=random.choice([0, 3, 5]), unknown=0.04, cas=0.4
        )
        assert first_impossible(entries, allowance()) is None, entries


def test_one_changed_read_is_caught_unless_another_order_explains_it() -> None:
    caught = 0
    for seed in range(1000):
        random = Random(seed)
        entries = ordered_entries(
            random, size=7, processes=4, values=random.choice([0, 3]), unknown=0.15, cas=0.3
        )
        changed = with_one_read_changed(random, entries)
        found = first_impossible(changed, allowance())
        assert (found is None) == has_order(changed), changed
        caught += found is not None
    assert caught > 300


def test_infos_are_pruned_by_subset_and_never_by_count() -> None:
    """After the first read of 5 one configuration has used one info and another one two; only
    the one that has used *more* in number can go on, because it kept ``write 5``."""
    infos = [write(0, NEVER, 5), cas(1, NEVER, 0, 4), cas(2, NEVER, 4, 5)]
    entries = [*infos, read(3, 4, 5), write(5, 6, 9), read(7, 8, 5)]
    assert has_order(entries)
    assert first_impossible(entries, allowance()) is None
    again = [*entries, write(9, 10, 9), read(11, 12, 5)]
    assert not has_order(again)
    found = first_impossible(again, allowance())
    assert found is not None
    assert found.entry == again[-1]


@pytest.mark.slow
def test_more_than_fifty_six_operations_may_be_open_at_once() -> None:
    infos = [write(n, NEVER, n + 1) for n in range(90)]
    reads = [read(200 + 2 * n, 201 + 2 * n, n + 1) for n in range(90)]
    assert first_impossible([*infos, *reads], allowance()) is None
    twice = read(400, 401, 1)
    found = first_impossible([*infos, *reads, twice], allowance())
    assert found is not None
    assert found.entry == twice
    assert found.values >= {90}
    assert 1 not in found.values


def test_equal_infos_cost_no_more_than_their_number() -> None:
    infos = [write(n, NEVER, 1) for n in range(60)]
    rest: list[Entry] = []
    for n in range(30):
        rest += [write(100 + 4 * n, 101 + 4 * n, 2), read(102 + 4 * n, 103 + 4 * n, 1)]
    spent = allowance()
    assert first_impossible([*infos, *rest], spent) is None
    assert spent.visited < 2_000


def test_infos_that_nobody_needs_are_left_out() -> None:
    seen, unseen = write(0, NEVER, 1), write(1, NEVER, 2)
    idle, feeding = cas(2, NEVER, 3, 3), cas(3, NEVER, 1, 4)
    ring = [cas(4, NEVER, 5, 6), cas(5, NEVER, 6, 5)]
    last = read(6, 7, 4)
    assert without_idle_infos([seen, unseen, idle, feeding, *ring, last]) == [seen, feeding, last]


def test_a_spent_allowance_ends_the_search_and_says_what_ran_out() -> None:
    crowd = [write(n, 100 + n, n % 7) for n in range(14)]
    with pytest.raises(Exhausted, match="1,000 configurations") as caught:
        first_impossible(crowd, allowance(1_000))
    assert caught.value.more_would_help
    narrow = Budget(seconds=600, bytes=1 << 10, deadline=Budget.start(600).deadline)
    with pytest.raises(Exhausted, match="memory"):
        first_impossible(crowd, Allowance(10_000_000, narrow))
    with pytest.raises(Exhausted, match="checker time"):
        first_impossible(crowd, Allowance(10_000_000, Budget.start(0)))
