"""Long histories are decided on columns: to the same verdict, witness and words as on objects."""

from __future__ import annotations

from dataclasses import replace
from random import Random
from typing import Any

import numpy as np
import pytest

from checkers.linearizable import Linearizable, checker
from checkers.linearizable.register_columns import rows_of
from checkers.linearizable.register_models import CAS_REGISTER
from checkers.linearizable.zone_columns import first_impossible, has_unique_values, impossible
from harness.history.columns import columns
from harness.history.history import History
from harness.history.operation import Header, Operation
from harness.verdict.record import Record
from harness.verdict.verdict import UNKNOWN, Budget
from tests.checkers.linearizable.orders import (
    ordered_entries,
    random_entries,
    with_one_read_changed,
)
from tests.checkers.linearizable.recorded import history_of


def both_ways(
    history: History, monkeypatch: pytest.MonkeyPatch, **options: Any
) -> tuple[dict[str, Any], dict[str, Any]]:
    record = Record(history=history)
    answers = []
    for long in (1 << 60, 0):
        monkeypatch.setattr(checker, "LONG", long)
        verdict = Linearizable(options).check(record, Budget.start(600)).as_json()
        answers.append(verdict)
    return answers[0], answers[1]


def random_history(seed: int) -> History:
    random = Random(seed)
    kind = seed % 3
    unknown, cas = random.choice([0.0, 0.1, 0.4]), random.choice([0.0, 0.2, 0.5])
    values = 0 if kind == 0 else random.randint(3, 6)
    make = random_entries if kind == 2 else ordered_entries
    entries = make(
        random,
        size=random.randint(1, 12),
        processes=random.randint(1, 5),
        values=values,
        unknown=unknown,
        cas=cas,
    )
    return history_of(with_one_read_changed(random, entries) if seed % 2 else entries)


@pytest.mark.slow
def test_one_key_gets_the_same_verdict(monkeypatch: pytest.MonkeyPatch) -> None:
    counts = {True: 0, False: 0, UNKNOWN: 0}
    for seed in range(900):
        history = random_history(seed)
        if not len(history):
            continue
        objects, by_columns = both_ways(history, monkeypatch, initial=0)
        assert objects == by_columns, seed
        counts[objects["valid"]] += 1
    assert min(counts[True], counts[False]) > 200


def interleaved(seed: int, keys: int) -> History:
    """Several random keys in one history, record by record."""
    random = Random(seed)
    left = [
        [op for op in random_history(100 * seed + n) if op.process != "nemesis"]
        for n in range(keys)
    ]
    records: list[Operation] = []
    while any(left):
        n = random.choice([n for n in range(keys) if left[n]])
        op = left[n].pop(0)
        process = int(op.process) * keys + n
        records.append(
            Operation(len(records), len(records), process, op.type, op.f, [f"k{n}", op.value])
        )
    return History(records, Header(model="cas-register", independent=True, initial=0))


@pytest.mark.slow
def test_many_keys_get_the_same_verdict(monkeypatch: pytest.MonkeyPatch) -> None:
    invalid = 0
    for seed in range(150):
        objects, by_columns = both_ways(interleaved(seed, 5), monkeypatch)
        assert objects == by_columns, seed
        invalid += objects["valid"] is False
    assert invalid > 50


def test_lost_invocations_nil_reads_and_odd_values_get_the_same_verdict(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for seed in range(200):
        random = Random(seed)
        history = random_history(seed)
        if not len(history):
            continue
        values = [None, True, 1.0, "1", [1], {"a": 1}, 1 << 70, -5]
        swap = {n: random.choice(values) for n in range(3)} if seed % 2 else {}
        operations = []
        for op in history:
            if op.type == "invoke" and random.random() < 0.05:
                continue
            value = op.value
            if isinstance(value, list):
                value = [swap.get(part, part) for part in value]
            elif type(value) is int:
                value = swap.get(value, value)
            operations.append(Operation(op.index, op.time, op.process, op.type, op.f, value))
        odd = replace(history, operations=operations)
        objects, by_columns = both_ways(odd, monkeypatch, initial=0)
        assert objects == by_columns, seed


@pytest.mark.parametrize("cas", [0.0, 0.5])
def test_a_long_unique_history_is_decided_with_one_stale_read_found(cas: float) -> None:
    random = Random(1)
    entries = ordered_entries(random, size=20_000, processes=8, values=0, unknown=0.01, cas=cas)
    rows = rows_of(columns(history_of(entries)), CAS_REGISTER, independent=False, initial=0)
    assert rows is not None
    assert has_unique_values(rows).all()
    assert not impossible(rows).any()
    changed = with_one_read_changed(random, entries)
    (wrong,) = [new for new, old in zip(changed, entries, strict=True) if new != old]
    rows = rows_of(columns(history_of(changed)), CAS_REGISTER, independent=False, initial=0)
    assert rows is not None
    late = first_impossible(rows, impossible(rows))
    assert late.tolist() == [wrong.complete]
    assert late.dtype == np.int64
