"""What a checker's model does not know is never passed over, and never guessed at."""

from __future__ import annotations

from typing import Any

import pytest

from harness.errors import UsageError
from harness.history.history import History
from harness.history.operation import Operation
from harness.history.without import without
from harness.judge.judge import judge_history, run_checkers
from harness.plugins import BUILT_IN, Found, Registry
from harness.verdict.record import Record
from harness.verdict.verdict import UNKNOWN, Budget, Verdict


class Sets:
    """A checker of adds and reads, which would say that all is well."""

    name = "sets"
    reads = frozenset({"history"})
    operations = frozenset({"add", "read"})

    def __init__(self, options: Any) -> None:
        del options

    def check(self, record: Record, budget: Budget) -> Verdict:
        return Verdict(valid=True)


class ByKey(Sets):
    """One that names foreign operations itself."""

    names_foreign = True


class Lists(Sets):
    """One of transactions, whatever they are called."""

    operations = frozenset()
    micro_operations = frozenset({"append", "r"})


REGISTRY = Registry(
    _cache={
        "checkers": {
            name: Found(name, made, BUILT_IN)
            for name, made in {"sets": Sets, "by-key": ByKey, "lists": Lists}.items()
        }
    }
)


def drawn(*calls: tuple[str, str, Any]) -> History:
    operations: list[Operation] = []
    for process, (f, end, value) in enumerate(calls):
        operations.append(Operation(len(operations), 0, process, "invoke", f, value))
        if end:
            operations.append(Operation(len(operations), 0, process, end, f, value))
    return History(operations)


def judged(history: History, *names: str) -> dict[str, Any]:
    return judge_history(history, names, {}, REGISTRY)


ADDED = ("add", "ok", 1)


@pytest.mark.parametrize("end", ["ok", "info", ""])
def test_a_foreign_operation_that_may_have_happened_makes_unknown_and_is_named(end: str) -> None:
    verdict = judged(drawn(ADDED, ("remove", end, 1), ("remove", end, 2)), "sets")
    assert verdict["valid"] == UNKNOWN
    assert "2 remove" in verdict["why"]
    (told,) = verdict["settle"]
    assert "--ignore-f remove" in told["do"]


def test_one_that_certainly_did_not_happen_is_no_matter() -> None:
    assert judged(drawn(ADDED, ("remove", "fail", 1)), "sets")["valid"] is True


def test_left_out_on_the_users_word_it_is_judged_without() -> None:
    verdict = judged(without(drawn(ADDED, ("remove", "ok", 1)), ["remove"]), "sets")
    assert verdict["valid"] is True
    assert "1 operations 'remove' were left out" in verdict["notices"][0]


def test_a_checker_that_names_them_itself_is_asked() -> None:
    assert judged(drawn(ADDED, ("remove", "ok", 1)), "by-key")["valid"] is True


def test_a_history_without_one_operation_of_the_model_is_refused_and_what_fits_is_named() -> None:
    with pytest.raises(UsageError) as caught:
        judged(drawn(("txn", "ok", [["append", 1, 2]]), ("sleep", "ok", None)), "sets")
    assert "1 sleep, 1 txn" in str(caught.value)
    assert "-m lists" in str(caught.value)
    for others in ((), [("clear", "ok", None)]):  # nothing knows clear, so what knows most is named
        with pytest.raises(UsageError, match="-m sets or by-key"):
            judged(drawn(ADDED, *others), "lists")


def test_transactions_are_known_by_their_steps_and_empty_ones_too() -> None:
    assert judged(drawn(("anything", "ok", [["append", 1, 2]])), "lists")["valid"] is True
    assert judged(drawn(("anything", "ok", [])), "lists")["valid"] is True
    keyed = ("anything", "ok", [7, [["append", 1, 2]]])
    assert judged(drawn(keyed), "lists")["valid"] is True


def test_inside_a_run_it_is_unknown_and_not_refused() -> None:
    record = Record(history=drawn(("sleep", "fail", None)))
    verdicts, _ = run_checkers(record, ["sets"], {}, REGISTRY, seconds=60.0)
    assert verdicts["sets"].valid == UNKNOWN
    assert "nothing of this was tested" in verdicts["sets"].why


def test_a_history_of_nothing_is_no_mistake_of_the_user() -> None:
    assert judged(drawn(), "sets")["valid"] == UNKNOWN
