"""Every model against its definition, on histories of all the kinds that users' files have."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from checkers.linearizable import CHECKERS, checker
from harness.history.history import History
from harness.history.operation import Operation
from harness.verdict.record import Record
from harness.verdict.verdict import Anomaly, Budget, Verdict
from tests.checkers.linearizable.definitions import (
    NOT_KNOWN,
    has_order,
    made,
    same,
    taken_in,
    verdict,
)
from tests.checkers.linearizable.raw import ASK, drawn

pytestmark = pytest.mark.slow


SEEDS = 250
"""Of each model; campaigns of hundreds of thousands are made by hand."""


def by_checker(model: str, history: Any) -> Verdict:
    return CHECKERS[model]({}).check(Record(history=history), Budget.start(60))


def against_definition(model: str, seed: int) -> Any:
    """The verdict on the history of ``seed``, which must be the definition's, with a proof."""
    _, history = drawn(seed, [model])
    header = history.header
    wanted = verdict(model, history.operations, header.initial, is_foreign=header.model is None)
    found = by_checker(model, history)
    assert found.valid == wanted, (seed, found.why)
    for cases in found.anomalies.values():
        for case in cases:
            assert "defect" not in case.message, seed
    return wanted


@pytest.mark.parametrize("model", ASK)
def test_every_model_answers_as_its_definition_does(model: str) -> None:
    counts = Counter(str(against_definition(model, seed)) for seed in range(SEEDS))
    assert len(counts) == 3, counts
    assert min(counts.values()) >= SEEDS // 25, counts


@pytest.mark.parametrize("model", ["register", "cas-register"])
def test_columns_answer_as_the_definition_does(model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checker, "LONG", 0)
    for seed in range(SEEDS):
        against_definition(model, seed)


@pytest.mark.parametrize("model", ASK)
def test_two_keys_are_judged_as_each_by_itself(model: str) -> None:
    for seed in range(0, SEEDS, 2):
        _, one = drawn(seed, [model])
        _, other = drawn(seed + 1, [model])
        operations = []
        for key, past in (("a", one), ("b", other)):
            for operation in past:
                value = [key, operation.value]
                process = 100 * "ab".index(key) + int(operation.process)
                operations.append((operation, process, value))
        records = [
            type(operation)(n, n, process, operation.type, operation.f, value, operation.error)
            for n, (operation, process, value) in enumerate(operations)
        ]
        header = replace_header(one, {"a": one.header.initial, "b": other.header.initial})
        found = by_checker(model, replace(one, operations=records, header=header))
        each = [
            verdict(model, past.operations, past.header.initial, is_foreign=False)
            for past in (one, other)
        ]
        is_owner = type(other.header.initial) is int and "mutex" in model  # who has another number
        if "unknown" not in each and not is_owner:
            assert found.valid is all(each), seed


def known_of(history: History, case: Anomaly, model: str) -> list[Operation]:
    """What ``case`` shows up to its impossible answer; of others only that they were asked.

    Of containers, what is about other elements than those shown is left out altogether, and so is
    what found nothing: both can be left out of any order.
    """
    falls_apart = model in ("fifo-queue", "unordered-queue", "stack") and not history.header.initial
    shown = [at in case.witness or history.pairs[at] in case.witness for at in range(len(history))]
    about = {same(o.value) for o, is_shown in zip(history, shown, strict=True) if is_shown}
    found = []
    for at, operation in enumerate(history.operations[: case.data["impossible"] + 1]):
        pair = history.pairs[at]
        end = history.operations[pair] if pair >= 0 else None
        if shown[at]:
            found.append(operation)
        elif operation.type == "invoke" and (end is None or end.type != "fail"):
            value = operation.value
            if operation.f in ("dequeue", "pop"):
                value = end.value if end is not None and end.type == "ok" else NOT_KNOWN
            is_other = value is not NOT_KNOWN and (value is None or same(value) not in about)
            found += [] if falls_apart and is_other else [operation]
    return found


@pytest.mark.parametrize("model", sorted(set(ASK) - {"multi-register"}))
def test_what_a_proof_shows_has_no_order_whatever_else_happened(model: str) -> None:
    counts: Counter[bool] = Counter()
    for seed in range(SEEDS, 2 * SEEDS):
        _, history = drawn(seed, [model])
        for cases in by_checker(model, history).anomalies.values():
            header = history.header
            thing = made(model, header.model is None and header.initial is not None)
            known = taken_in(thing, known_of(history, cases[0], model))
            done = [one for one in known if one is not None]
            if cases[0].key is None:
                counts[has_order(thing, done, thing.first(header.initial))] += 1
    assert set(counts) == {False}, counts


def replace_header(history: Any, initial: Any) -> Any:
    from msgspec import structs

    return structs.replace(history.header, model="any", initial=initial, independent=True)
