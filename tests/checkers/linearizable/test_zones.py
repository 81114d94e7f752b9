"""Where every value was made once, the near-linear rules answer what trying every order answers."""

from __future__ import annotations

from random import Random

from checkers.linearizable.register_entries import until
from checkers.linearizable.search import first_impossible
from checkers.linearizable.search_problem import Allowance
from checkers.linearizable.zones import (
    Backwards,
    Circle,
    ConsumedTwice,
    NeverMade,
    Torn,
    contradiction,
    earliest_contradiction,
    has_unique_values,
)
from harness.verdict.verdict import Budget
from tests.checkers.linearizable.orders import (
    has_order,
    ordered_entries,
    random_entries,
    with_one_read_changed,
)


def test_random_answers_are_judged_as_by_trying_every_order() -> None:
    kinds: set[type] = set()
    judged = 0
    for seed in range(12_000):
        random = Random(seed)
        entries = random_entries(
            random,
            size=random.randint(2, 6),
            processes=random.randint(1, 5),
            values=random.randint(3, 6),
            unknown=random.choice([0.0, 0.2, 0.5]),
            cas=random.choice([0.0, 0.3]),
        )
        if not has_unique_values(entries):
            continue
        judged += 1
        why = contradiction(entries)
        assert (why is None) == has_order(entries), entries
        kinds.add(type(why))
    assert judged > 2_000
    assert kinds >= {type(None), NeverMade, Torn, Circle, ConsumedTwice}


def test_one_changed_read_is_caught_and_the_earliest_impossible_answer_is_named() -> None:
    kinds: set[type] = set()
    for seed in range(1500):
        random = Random(seed)
        entries = ordered_entries(random, size=7, processes=4, values=0, unknown=0.15, cas=0.4)
        assert contradiction(entries) is None, entries
        changed = with_one_read_changed(random, entries)
        found = earliest_contradiction(changed)
        assert (found is None) == has_order(changed), changed
        if found is not None:
            late, why = found
            kinds.add(type(why))
            assert has_order(until(changed, late.complete - 1))
            assert not has_order(until(changed, late.complete))
    assert kinds >= {NeverMade, Torn, Backwards}


def test_zones_and_search_agree_on_longer_histories() -> None:
    wrong = 0
    for seed in range(200):
        random = Random(seed)
        entries = ordered_entries(random, size=60, processes=5, values=0, unknown=0.03, cas=0.4)
        changed = with_one_read_changed(random, entries)
        found = earliest_contradiction(changed)
        searched = first_impossible(changed, Allowance(1_000_000, Budget.start(600)))
        assert (found is None) == (searched is None)
        if found is not None and searched is not None:
            assert found[0] == searched.entry
            wrong += 1
    assert wrong > 100
