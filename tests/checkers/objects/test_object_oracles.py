"""The checkers of single objects against their definitions, on random histories of all kinds."""

from __future__ import annotations

from collections import Counter as Tally
from random import Random
from typing import Any

import pytest

from checkers.objects.bank import Bank
from checkers.objects.counter import Counter
from checkers.objects.lock import Lock
from checkers.objects.queue import Queue
from checkers.objects.set_full import SetFull
from checkers.objects.sets import Set
from checkers.objects.total_queue import TotalQueue
from checkers.objects.unique_ids import UniqueIds
from checkers.objects.watch import Watch
from harness.judge.unmodelled import unmodelled
from harness.verdict.record import Record
from harness.verdict.verdict import Budget, Verdict
from tests.checkers.objects import object_histories as histories
from tests.checkers.objects import object_oracles as oracles
from tests.checkers.objects import set_oracle, watch_oracle

FAMILIES: dict[str, tuple[Any, histories.Family, Any]] = {
    "set": (Set, histories.SETS, set_oracle.judge_set),
    "set-full": (SetFull, histories.SETS, set_oracle.judge_set_full),
    "counter": (Counter, histories.COUNTERS, oracles.judge_counter),
    "queue": (Queue, histories.QUEUES, oracles.judge_queue),
    "total-queue": (TotalQueue, histories.QUEUES, oracles.judge_total_queue),
    "unique-ids": (UniqueIds, histories.ID_LISTS, oracles.judge_ids),
    "lock": (Lock, histories.LOCKS, oracles.judge_lock),
    "watch": (Watch, histories.WATCHES, watch_oracle.judge_watch),
    "bank": (Bank, histories.BANKS, oracles.judge_bank),
}
ROUNDS = 600


def answered(factory: Any, record: Record, options: Any) -> tuple[Verdict, bool]:
    """The verdict as a user gets it, and whether an operation of no model stands in the way."""
    checker = factory(options)
    foreign = unmodelled(checker, checker.name, record.history.outcomes)
    return foreign or checker.check(record, Budget.start(60)), foreign is not None


def agrees(name: str, seed: int) -> tuple[bool, Any, Record, dict[str, Any]]:
    """Whether checker and definition agree on the history of that seed."""
    factory, family, oracle = FAMILIES[name]
    random = Random(f"{name} {seed}")
    record = histories.record_of(family, random)
    options = random.choice(family.options)
    verdict, is_foreign = answered(factory, record, options)
    if is_foreign:
        return verdict.valid == "unknown", verdict.valid, record, options
    return oracle(record, options).fits(verdict.valid), verdict.valid, record, options


@pytest.mark.parametrize("name", FAMILIES)
def test_a_checker_says_what_its_definition_says(name: str) -> None:
    said = Tally[Any]()
    for seed in range(ROUNDS):
        fits, valid, record, options = agrees(name, seed)
        assert fits, (seed, valid, options, record.header, list(record.history), record.run)
        said[valid] += 1
    assert min(said[True], said[False], said["unknown"]) > ROUNDS / 60, said
