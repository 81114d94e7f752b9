"""The checker linearizable: drawn cases, keys, models, initial values, budgets."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from checkers.linearizable import CHECKERS, Linearizable
from harness.history.history import History
from harness.history.operation import Header, Operation
from harness.verdict.record import Record
from harness.verdict.verdict import UNKNOWN, Budget, Verdict
from tests.checkers.drawing import drawn


def judged(history: History, budget: Budget | None = None, **options: Any) -> Verdict:
    return Linearizable(options).check(Record(history=history), budget or Budget.start(600))


VALID = {
    "a read sees the write before it": """
        p: [w1]
        q:       [r1]
    """,
    "a read beside a write may see either": """
        p: [w1        ]
        q:  [r_] [r1]
    """,
    "readers may see a write at different moments of its interval": """
        p: [w1        ]
        q:  [r1 ]
        r:  [r_      ]
    """,
    "an unknown write may happen much later": """
        p: [w1]  [w2?
        q:          [r1] [r1]   [r2]
    """,
    "an unknown write may never happen": """
        p: [w1]  [w2?
        q:          [r1] [r1]
    """,
    "a failed write never happened": """
        p: [w1]  [w2!
        q:            [r1]
    """,
    "compare-and-set hands a value on": """
        p: [w1]  [c1>2]
        q:               [r2]
    """,
    "a failed compare-and-set says nothing": """
        p: [w1]  [c1>2!
        q:               [r1]
    """,
    "an unanswered read says nothing": """
        p: [w1]  [r7?
        q:            [r1]
    """,
    "the same value may come back": """
        p: [w1]  [w2]  [w1]
        q:                  [r1]
    """,
}

STALE = {
    "a read of what was overwritten": """
        p: [w1]  [w2]
        q:             [r1]
    """,
    "a read of the initial value after a write": """
        p: [w1]
        q:       [r_]
    """,
    "two readers see a new value, then the old one": """
        p: [w1]   [w2              ]
        q:          [r2]  [r1]
    """,
    "a value that one process saw and a later one did not": """
        p: [w1]   [w2           ?
        q:          [r2]
        r:                [r1]
    """,
    "a read of what a compare-and-set replaced": """
        p: [w1]  [c1>2]
        q:               [r1]
    """,
    "values come back, but not this one": """
        p: [w1]  [w2]  [w1]   [w2]
        q:                           [r1]
    """,
}

NONLINEARIZABLE = {
    "a read of what nobody wrote": """
        p: [w1]
        q:       [r3]
    """,
    "a read before its write": """
        p:       [w1]
        q: [r1]
    """,
    "a read of what a failed write would have written": """
        p: [w1]  [w2!
        q:            [r2]
    """,
    "two compare-and-sets take the same value": """
        p: [w1]  [c1>2]
        q:        [c1>3]
    """,
    "compare-and-sets that feed each other": """
        p: [c1>2]
        q: [c2>1]
    """,
    "two values on both sides of a compare-and-set": """
        p: [w1]   [c1>2   ]
        q:         [w5]
        r:  [r5]
    """,
}


@pytest.mark.parametrize("name", VALID)
def test_a_history_with_an_order_is_valid(name: str) -> None:
    verdict = judged(drawn(VALID[name]))
    assert verdict.valid is True
    assert verdict.anomalies == {}


@pytest.mark.parametrize("name", STALE)
def test_an_older_value_read_is_a_stale_read(name: str) -> None:
    verdict = judged(drawn(STALE[name]))
    assert verdict.valid is False
    assert list(verdict.anomalies) == ["stale-read"]


@pytest.mark.parametrize("name", NONLINEARIZABLE)
def test_anything_else_without_an_order_is_nonlinearizable(name: str) -> None:
    verdict = judged(drawn(NONLINEARIZABLE[name]))
    assert verdict.valid is False
    assert list(verdict.anomalies) == ["nonlinearizable"]


def test_precedence_is_by_record_and_never_by_time() -> None:
    operations = [
        Operation(0, 5, 0, "invoke", "write", 1),
        Operation(1, 5, 0, "ok", "write", 1),
        Operation(2, 5, 1, "invoke", "read", None),
        Operation(3, 5, 1, "ok", "read", None),
    ]
    assert judged(History(operations)).valid is False
    swapped = [operations[0], operations[2], operations[1], operations[3]]
    assert judged(History(swapped)).valid is True


def test_the_nemesis_is_ignored() -> None:
    history = drawn("p: [w1]  [r1]")
    noise = Operation(9, 0, "nemesis", "info", "start-partition", "halves")
    assert judged(replace(history, operations=[noise, *history.operations, noise])).valid is True


def test_an_answer_whose_invocation_is_lost_may_have_been_asked_for_at_any_time() -> None:
    history = drawn(
        """
        p: [w1]  [w2]
        q:             [r1]
        """
    )
    operations = [op for op in history if not (op.f == "read" and op.type == "invoke")]
    assert judged(History(operations)).valid is True


def keyed(history: History, key: Any, first_process: int) -> list[Operation]:
    return [
        Operation(op.index, op.time, op.process + first_process, op.type, op.f, [key, op.value])
        for op in history
        if isinstance(op.process, int)
    ]


GOOD = "p: [w1]  [r1]"
BAD = "p: [w1]  [r_]"


def keys(*drawings: str, **header: Any) -> History:
    operations = []
    for number, drawing in enumerate(drawings):
        operations += keyed(drawn(drawing), f"k{number}", 100 * number)
    return History(operations, Header(model="cas-register", independent=True, **header))


def test_keys_are_judged_apart_and_the_broken_one_is_named() -> None:
    verdict = judged(keys(GOOD, BAD, GOOD))
    assert verdict.valid is False
    assert [case.key for case in verdict.anomalies["stale-read"]] == ["k1"]
    assert verdict.stats["keys"] == 3
    assert verdict.stats["keys-invalid"] == ["k1"]
    assert "1 of 3 keys" in verdict.why
    assert 'key "k1"' in verdict.why


def test_foreign_histories_of_independent_keys_are_recognised() -> None:
    foreign = History(keys(GOOD, GOOD).operations)
    assert judged(foreign).stats["keys"] == 2
    assert judged(foreign, independent=False).stats["keys"] == 1
    plain = drawn("p: [w1]  [r1]")
    assert judged(plain).stats["keys"] == 1


def test_the_initial_value_comes_from_the_options_or_else_from_the_header() -> None:
    reads = "p: [r7]"
    assert judged(drawn(reads)).valid is False
    assert judged(drawn(reads, initial=7)).valid is True
    assert judged(drawn(reads, initial=3)).valid is False
    assert judged(drawn(reads, initial=3), initial=7).valid is True
    per_key = keys("p: [r7]", "p: [r8]", initial={"k0": 7, "k1": 8})
    assert judged(per_key).valid is True


def test_a_nil_read_counts_unless_the_history_follows_knossos() -> None:
    vanished = "p: [w1]  [r_]"
    assert judged(drawn(vanished, initial=0, model="cas-register")).valid is False
    said_nothing = judged(drawn(vanished, initial=0))
    assert said_nothing.valid == UNKNOWN
    assert "nothing of this was tested" in said_nothing.why
    assert judged(drawn("p: [w1]  [r_]  [r1]", initial=0)).valid is True
    assert judged(drawn(vanished, initial=0), nil_read_is_unknown=False).valid is False
    assert judged(drawn(vanished), nil_read_is_unknown=True).valid == UNKNOWN


def test_values_are_told_apart_as_in_json() -> None:
    def wrote_and_read(written: Any, seen: Any) -> History:
        operations = [
            Operation(0, 0, 0, "invoke", "write", written),
            Operation(1, 1, 0, "ok", "write", written),
            Operation(2, 2, 0, "invoke", "read", None),
            Operation(3, 3, 0, "ok", "read", seen),
        ]
        return History(operations)

    assert judged(wrote_and_read(1, True)).valid is False
    assert judged(wrote_and_read("1", 1)).valid is False
    assert judged(wrote_and_read({"a": [1]}, {"a": [1]})).valid is True


@pytest.mark.parametrize("name", ["linearizable", "cas-register", "register"])
def test_every_name_is_a_checker_that_reads_the_history_alone(name: str) -> None:
    checker = CHECKERS[name]({})
    assert checker.reads == {"history"}
    record = Record(history=drawn("p: [w1]  [r_]"))
    assert checker.check(record, Budget.start(600)).valid is False


def test_an_operation_that_the_model_lacks_makes_it_unknown() -> None:
    verdict = judged(drawn("p: [w1]  [c1>2]"), model="register")
    assert verdict.valid == UNKNOWN
    assert "operation 2 (cas by process 0)" in verdict.why
    assert judged(drawn("p: [w1]"), model="queue").valid == UNKNOWN


def test_a_key_that_is_no_pair_makes_it_unknown() -> None:
    assert judged(drawn("p: [w1]", independent=True)).valid == UNKNOWN


def test_linearizable_is_ruled_out_and_what_is_stronger_with_it() -> None:
    verdict = judged(drawn(BAD))
    assert verdict.not_ == ("linearizable",)
    assert "strict-serializable" in verdict.also_not


def crowded_key() -> list[Operation]:
    """Fourteen writes of few values at once: a search that small budgets cannot pay."""
    calls = [Operation(n, n, n, "invoke", "write", ["crowd", n % 5]) for n in range(14)]
    return [*calls, *(replace_type(call, 14 + n) for n, call in enumerate(calls))]


def replace_type(call: Operation, index: int) -> Operation:
    return Operation(index, index, call.process, "ok", call.f, call.value)


def small_budget() -> Budget:
    return Budget(seconds=600, bytes=1 << 10, deadline=Budget.start(600).deadline)


def test_a_key_beyond_the_budget_is_unknown_and_named_and_the_others_are_judged() -> None:
    easy = keyed(drawn(GOOD), "easy", 100)
    history = History([*crowded_key(), *easy], Header(independent=True))
    verdict = judged(history, small_budget())
    assert verdict.valid == UNKNOWN
    assert 'key "crowd"' in verdict.why
    assert "memory" in verdict.why
    assert verdict.stats["keys-unknown"] == ['"crowd"']
    assert judged(history).valid is True


def test_a_key_proved_wrong_wins_over_one_beyond_the_budget() -> None:
    wrong = keyed(drawn(BAD), "wrong", 100)
    history = History([*crowded_key(), *wrong], Header(independent=True))
    verdict = judged(history, small_budget())
    assert verdict.valid is False
    assert [case.key for case in verdict.anomalies["stale-read"]] == ["wrong"]


def test_no_time_left_is_unknown_and_never_valid() -> None:
    verdict = judged(History(crowded_key(), Header(independent=True)), Budget.start(0))
    assert verdict.valid == UNKNOWN
    assert "checker time" in verdict.why


def test_a_defect_in_telling_a_proof_does_not_hide_the_violation(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken_explainer(*_: Any) -> Any:
        raise KeyError("lost")

    monkeypatch.setattr("checkers.linearizable.checker.prove", broken_explainer)
    verdict = judged(drawn(BAD))
    assert verdict.valid is False
    (case,) = verdict.anomalies["nonlinearizable"]
    assert "KeyError: 'lost'" in case.message
    assert case.witness == (3,)
