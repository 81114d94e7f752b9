"""The worst part wins, a checker that crashes is unknown, and a verdict is against a claim."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy
import pytest

from harness.history.history import History
from harness.history.ledger import LedgerEntry
from harness.history.operation import Header, Operation
from harness.judge.composing import against_claims, compose
from harness.judge.counting import count_faults
from harness.judge.health import HealthFinding
from harness.judge.judge import judge_history
from harness.plugins import Found, Registry
from harness.verdict.record import Record
from harness.verdict.verdict import (
    UNKNOWN,
    Anomaly,
    Budget,
    BudgetExceeded,
    Verdict,
    worst,
)

BROKEN = Verdict(
    valid=False,
    why="a read was stale",
    anomalies={"stale-read": [Anomaly(message="T1 < T2, a contradiction", witness=(0, 1))]},
    not_=("linearizable",),
    also_not=("strict-serializable",),
)


class Says:
    """A checker that gives the answer it was made with, or raises it."""

    name = "says"

    def __init__(self, answer: Any, *reads: str) -> None:
        self.answer = answer
        self.reads = frozenset({"history", *reads})

    def check(self, record: Record, budget: Budget) -> Verdict:
        if isinstance(self.answer, BaseException):
            raise self.answer
        verdict: Verdict = self.answer
        return verdict


def registry(**checkers: Says) -> Registry:
    def factory(checker: Says) -> Any:
        return lambda options: checker

    found = {name: Found(name, factory(checker), "test") for name, checker in checkers.items()}
    return Registry(_cache={"checkers": found})


def history(*types: str, claims: tuple[str, ...] = ()) -> History:
    made = [Operation(i, i, 0, kind, "read", None) for i, kind in enumerate(types)]
    return History(made, Header(claims=list(claims)))


def judge(options: Mapping[str, Any] | None = None, **checkers: Says) -> dict[str, Any]:
    done = history("invoke", "ok")
    return judge_history(done, list(checkers), options or {}, registry(**checkers))


@pytest.mark.parametrize(
    ("parts", "answer"),
    [([], True), ([True], True), ([True, UNKNOWN], UNKNOWN), ([UNKNOWN, False, True], False)],
)
def test_the_worst_part_wins(parts: list[Any], answer: Any) -> None:
    assert worst(parts) == answer


def test_one_invalid_checker_makes_the_verdict_invalid_and_names_itself() -> None:
    verdict = judge(fine=Says(Verdict(valid=True)), bad=Says(BROKEN))
    assert verdict["valid"] is False
    assert verdict["why"] == "A read was stale (bad)"
    assert verdict["checkers"]["bad"]["anomalies"]["stale-read"][0]["witness"] == [0, 1]


@pytest.mark.parametrize(
    ("error", "word"),
    [
        (ValueError("oops"), "crashed"),
        (MemoryError(), "memory"),
        (BudgetExceeded("key 3: 5 s"), "budget"),
    ],
)
def test_a_checker_that_fails_is_unknown_never_valid(error: Exception, word: str) -> None:
    verdict = judge(fine=Says(Verdict(valid=True)), broken=Says(error))
    assert verdict["valid"] == "unknown"
    assert word in verdict["why"]


@pytest.mark.parametrize(
    "answer",
    [
        Verdict(valid=numpy.False_),  # type: ignore[arg-type]
        Verdict(valid=numpy.True_),  # type: ignore[arg-type]
        Verdict(valid=0),  # type: ignore[arg-type]
        Verdict(valid=1),  # type: ignore[arg-type]
        Verdict(valid="false"),  # type: ignore[arg-type]
        Verdict(valid=None),  # type: ignore[arg-type]
        Verdict(valid=True, stats={"odd": {1, 2}}),
        Verdict(valid=True, stats={"nan": float("nan")}),
        True,
        None,
    ],
)
def test_an_odd_answer_is_unknown_never_valid(answer: Any) -> None:
    assert judge(odd=Says(answer))["valid"] == "unknown"


def test_an_invalid_answer_with_odd_figures_stays_invalid() -> None:
    odd = Verdict(valid=False, why="broken", stats={"odd": object()})
    assert judge(odd=Says(odd))["valid"] is False


def test_an_invalid_part_wins_over_a_crashed_one() -> None:
    assert judge(bad=Says(BROKEN), broken=Says(ValueError()))["valid"] is False


def test_a_checker_whose_parts_are_missing_is_left_out_by_name() -> None:
    verdict = judge(fine=Says(Verdict(valid=True)), crash=Says(BROKEN, "logs"))
    assert (verdict["valid"], verdict["left_out"]) == (True, ["crash"])


def test_nothing_to_apply_and_nothing_to_judge_are_unknown() -> None:
    assert judge(crash=Says(BROKEN, "logs"))["valid"] == "unknown"
    empty = judge_history(History([]), ["a"], {}, registry(a=Says(Verdict(valid=True))))
    assert empty["valid"] == "unknown"


@pytest.mark.parametrize(
    ("claims", "answer"),
    [
        ((), False),
        (("strict-serializable",), False),
        (("linearizable",), False),
        (("serializable",), UNKNOWN),
    ],
)
def test_an_anomaly_breaks_only_what_was_claimed(claims: tuple[str, ...], answer: Any) -> None:
    assert against_claims(BROKEN, claims).valid == answer


def test_an_anomaly_without_a_model_breaks_every_claim() -> None:
    crash = Verdict(valid=False, why="n1 panicked", anomalies={"crash": []})
    assert against_claims(crash, ["read-committed"]).valid is False


def test_grave_ailments_make_a_valid_run_unknown_and_never_an_invalid_one() -> None:
    finding = HealthFinding(check="reads", level="unknown", message="saw nothing", settle="longer")
    record = Record(history=history("invoke", "ok"))
    fine, bad = {"fine": Verdict(valid=True)}, {"bad": BROKEN}
    parts = {"claims": [], "health_findings": [finding], "requested_faults": []}
    assert compose(record, fine, **parts)["valid"] == "unknown"
    assert "saw nothing" in compose(record, fine, **parts)["why"]
    assert compose(record, bad, **parts)["valid"] is False


def test_an_invoke_without_completion_counts_as_info() -> None:
    counts = history("invoke", "ok", "invoke", "fail", "invoke").outcomes
    assert counts == {"read": {"ok": 1, "fail": 1, "info": 1}}


def test_faults_are_counted_once_an_injection_and_named_when_they_never_began() -> None:
    def entry(number: int, event: str) -> LedgerEntry:
        return LedgerEntry(number, "kill", ["n1"], event, 0)

    entries = [entry(1, e) for e in ("intend", "injected", "bit", "bit", "heal", "healed")]
    assert count_faults([*entries, entry(2, "injected")], ["kill", "pause"]) == {
        "kill": {"injected": 2, "bit": 1, "healed": 1},
        "pause": {"injected": 0, "bit": 0, "healed": 0},
    }
