"""Small random histories are decided as having every turn in every order decides them.

The whole of it is :mod:`tests.checkers.isolation.rw_register.campaign`; this is the beginning.
"""

from __future__ import annotations

import pytest

from checkers.isolation.rw_register import decision, greedy_schedule
from checkers.isolation.rw_register.decision import decide
from checkers.isolation.rw_register.problem import LEVELS, problem
from checkers.proof.models import canonical
from harness.verdict.verdict import UNKNOWN, Budget
from tests.checkers.elle.registers.drawing import drawn, judged
from tests.checkers.isolation.rw_register.campaign import Tally, decide_one, known_of
from tests.checkers.isolation.rw_register.contested import contested
from tests.checkers.isolation.rw_register.schedule_oracle import MODELS, allows

FORK = """
    p: [wx1]        [rx1 ry8]
    q: [wy2]        [rx9 ry2]
    r: [wx9]        [rx1 ry2]
    s: [wy8]        [rx9 ry8]
    """
"""Nothing but trying both orders of x and both of y shows what is wrong."""


@pytest.mark.slow
def test_small_histories_are_decided_as_every_order_of_turns_has_it() -> None:
    tally = Tally()
    for seed in range(120):
        decide_one(seed, tally)
    assert tally.wrong == []
    ways = {(way, is_allowed) for _, way, is_allowed in tally.ways}
    assert {("guess", True), ("rules", True), ("rules", False), ("choices", True)} <= ways
    for model in MODELS:
        answers = [is_allowed for name, _, is_allowed in tally.ways.elements() if name == model]
        assert min(answers.count(True), answers.count(False)) > 20


@pytest.mark.parametrize("model", list(MODELS))
def test_a_fork_of_blind_writes_is_refuted_at_every_level(model: str) -> None:
    history = drawn(FORK)
    assert not allows(history, *MODELS[model])
    verdict = judged(history, model)
    assert verdict.valid is False
    assert model in verdict.not_ + verdict.also_not


def test_what_is_open_without_a_solver_says_what_would_settle_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(decision, "has_solver", lambda: False)
    stated = problem(known_of(drawn(FORK)))
    assert stated is not None
    made = decide(stated, LEVELS["PL-3"], Budget.start(60))
    assert made.holds is None
    assert "python-sat" in made.why
    assert "polygraph-db[solver]" in made.settle
    assert judged(FORK, "serializable").valid is False, "small ones are still tried out"


def test_a_larger_history_without_a_solver_is_unknown_and_says_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from checkers.isolation.rw_register import checker

    monkeypatch.setattr(decision, "has_solver", lambda: False)
    monkeypatch.setattr(checker, "MOST_TRANSACTIONS", 5)
    verdict = judged(FORK, "serializable")
    assert verdict.valid == UNKNOWN
    assert "python-sat" in verdict.why
    assert "polygraph-db[solver]" in verdict.settle


def test_without_a_solver_no_answer_is_another_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decision, "has_solver", lambda: False)
    monkeypatch.setattr(greedy_schedule, "BEGINS", (0.0,))  # so that some are left to choices
    open_ = 0
    for seed in range(80):
        history = contested(seed, transactions=6, keys=2)
        stated = problem(known_of(history))
        if stated is None:
            continue
        made = decide(stated, LEVELS[canonical("snapshot-isolation")], Budget.start(60))
        is_allowed = allows(history, *MODELS["snapshot-isolation"])
        assert made.holds in (None, is_allowed), seed
        open_ += made.holds is None
    assert open_ > 0


@pytest.mark.slow
def test_every_mutation_of_a_valid_history_is_caught_or_valid() -> None:
    """Each read of some valid histories is made to tell each other value of its key."""
    caught = kept = 0
    for seed in range(40):
        history = contested(seed, transactions=5, keys=2)
        if not allows(history, *MODELS["serializable"]):
            continue
        for mutated in mutations(history):
            is_allowed = allows(mutated, *MODELS["serializable"])
            verdict = judged(mutated, "serializable")
            assert verdict.valid in (is_allowed, UNKNOWN), seed
            if verdict.valid == UNKNOWN:
                assert "nothing of this was tested" in verdict.why or set(verdict.anomalies) == {
                    "empty-transaction-graph"
                }
            caught += not is_allowed
            kept += is_allowed
    assert caught > 100
    assert kept > 20


def mutations(history):  # type: ignore[no-untyped-def]
    """The same history with one answer changed, in every way."""
    from msgspec.structs import replace

    from harness.history.history import History

    values: dict[str, set[object]] = {}
    for operation in history.operations:
        for f, key, value in operation.value:
            if f == "w":
                values.setdefault(key, {None}).add(value)
    for place, operation in enumerate(history.operations):
        if operation.type != "ok":
            continue
        for at, (f, key, value) in enumerate(operation.value):
            for other in values.get(key, {None}) - {value} if f == "r" else ():
                steps = [list(step) for step in operation.value]
                steps[at][2] = other
                operations = list(history.operations)
                operations[place] = replace(operation, value=steps)
                yield History(operations, history.header)
