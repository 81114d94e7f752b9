"""A verdict ``unknown`` says for each of its reasons what would settle it."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import pytest

import checkers
from harness.cli.ending import verdict_lines
from harness.history.history import History
from harness.history.operation import Operation
from harness.judge.apart import unjudged
from harness.judge.composing import compose
from harness.judge.health import HealthFinding
from harness.judge.judge import judge_history
from harness.judge.settling import _OTHERWISE, RUN_AGAIN, step, steps
from harness.plugins import Found, Registry
from harness.verdict.record import Record
from harness.verdict.verdict import UNKNOWN, Anomaly, Verdict, untested

ILL = HealthFinding(check="reads", level="unknown", message="saw nothing", settle="--time-limit 40")
WARNED = HealthFinding(check="loop-lag", level="warning", message="late", settle="a lower --rate")
DOUBT = Verdict(valid=UNKNOWN, why="the checker bank ran out of budget: 300 s were not enough")
BAD = Verdict(valid=False, why="no", anomalies={"x": [Anomaly(message="no")]})


def test_each_reason_has_its_step() -> None:
    found = steps(UNKNOWN, [ILL, WARNED], {"bank": DOUBT, "stats": Verdict(valid=True)})
    assert found[0]["do"] == "--time-limit 40"
    assert "--budget" in found[1]["do"]
    assert len(found) == 2


def test_what_the_checker_says_would_settle_it_goes_before_what_its_reason_suggests() -> None:
    knows = Verdict(valid=UNKNOWN, why="the set was never read", settle="read the set")
    assert [each["do"] for each in steps(UNKNOWN, [], {"set": knows})] == ["read the set"]


@pytest.mark.parametrize(
    "why",
    [
        "the checker bank ran out of budget: 300 s were not enough",
        "nothing of this was tested: the set was never read",
        "who knows",
        "cycle-search-timeout",
        "x (that breaks read-atomic, which is not claimed; whether y holds is not decided)",
        "the order of key 3 is not wholly known",
        "the checker x ran out of memory",
    ],
)
def test_advice_on_a_file_names_no_flag_of_a_run(why: str) -> None:
    for settle in ("", "a longer --time-limit, or a higher --rate"):
        doubt = Verdict(valid=UNKNOWN, why=why, settle=settle)
        (told,) = steps(UNKNOWN, [], {"bank": doubt}, is_run=False)
        for flag in ("--time-limit", "--rate", "--recovery-timeout", "--concurrency", "RUN"):
            assert flag not in told["do"]


CUT = HealthFinding(check="interrupted", level="unknown", message="it was", settle=RUN_AGAIN)


def test_a_run_that_was_cut_short_is_told_once_to_come_to_its_end() -> None:
    never = untested("it was never read", settle="read it")
    slow = Verdict(valid=UNKNOWN, why="the checker bank ran out of budget: 3 s were not enough")
    found = steps(UNKNOWN, [CUT, ILL], {"set": never, "bank": slow})
    assert found[0]["do"] == RUN_AGAIN
    assert (
        found[0]["about"]
        == "it was; saw nothing; nothing of this was tested: it was never read (set)"
    )
    assert "--budget" in found[1]["do"]


def test_a_step_that_settles_several_reasons_is_told_once() -> None:
    doubt = {name: Verdict(valid=UNKNOWN, why="it was never read") for name in ("set", "queue")}
    (told,) = steps(UNKNOWN, [], doubt)
    assert told["about"] == "it was never read (set); it was never read (queue)"


def test_a_verdict_that_is_decided_needs_no_step() -> None:
    assert steps(True, [WARNED], {}) == []
    assert steps(False, [ILL], {"x": BAD}) == []


def composed(
    *, health_findings: list[HealthFinding], verdicts: dict[str, Verdict]
) -> dict[str, Any]:
    operations = [
        Operation(0, 0, 0, "invoke", "read", None),
        Operation(1, 1, 0, "ok", "read", 1),
    ]
    return compose(
        Record(history=History(operations)),
        verdicts,
        claims=[],
        health_findings=health_findings,
        requested_faults=[],
    )


def test_the_verdict_file_and_the_console_say_it() -> None:
    verdict = composed(health_findings=[ILL], verdicts={"stats": Verdict(valid=True)})
    assert verdict["settle"] == [{"about": "saw nothing", "do": "--time-limit 40"}]
    assert "    to settle it: --time-limit 40" in list(verdict_lines(verdict))
    assert composed(health_findings=[], verdicts={"stats": Verdict(valid=True)})["settle"] == []


def test_every_unknown_verdict_has_at_least_one_step() -> None:
    assert unjudged("the judging process was ended by signal 9")["settle"]
    assert composed(health_findings=[], verdicts={})["settle"]
    assert composed(health_findings=[], verdicts={"x": Verdict(valid=UNKNOWN, why="who knows")})[
        "settle"
    ]


def test_a_crashed_checker_is_told_as_a_defect_and_not_as_the_systems() -> None:
    class Broken:
        reads = frozenset({"history"})

        def __init__(self, options: Any) -> None:
            pass

        def check(self, record: Record, budget: Any) -> Verdict:
            raise ZeroDivisionError

    operations = [Operation(0, 0, 0, "invoke", "read", None), Operation(1, 1, 0, "ok", "read", 1)]
    registry = Registry(_cache={"checkers": {"odd": Found("odd", Broken, "test")}})
    verdict = judge_history(History(operations), ["odd"], {}, registry)
    assert verdict["valid"] == UNKNOWN
    assert "defect of the checker" in verdict["settle"][0]["do"]


@pytest.mark.parametrize(
    "why",
    [
        "the checker bank crashed: KeyError(3)",
        "the checker bank ran out of memory",
        "x (that breaks read-atomic, which is not claimed; whether y holds is not decided)",
        "etcd on n1 was killed (signal 9) at 3.0 s, by no fault of this run",
        "the disk under n1 was full (line 3 of its etcd.log)",
        "not every node's state is known (n2: no answer)",
        "nothing was ever polled",
        "empty-transaction-graph: no transaction depends on another",
        "the set was never read",
    ],
)
def test_known_reasons_have_a_step_of_their_own(why: str) -> None:
    assert step("bank", why) != _OTHERWISE.run


@pytest.mark.parametrize(
    "why",
    [
        "read 3 is not balances by account: 5",
        "read by process 1 answered 5: no list of elements like those added",
        "drain by process 1 answered 5: not a list of values like those enqueued",
        "read by process 1 answered true, which is no integer",
        "operation 3 (read) tells no values: [1]",
        'operation 5 has a step that cannot be read: ["rp", "true", 5]',
        "operation 3 answers key 2, which was not asked",
    ],
)
def test_answers_in_another_shape_are_to_be_mended_where_they_stand(why: str) -> None:
    assert step("any", why, is_run=False).startswith("mend the record that is named there")
    assert step("any", why).startswith("mend the client or the workload")


@pytest.mark.slow
def test_what_the_checkers_say_is_still_recognized() -> None:
    """The words that steps go by are spelled in the sources of judge and checkers."""
    root = Path(checkers.__file__).parents[1]
    said_by = [root / f"harness/judge/{name}.py" for name in ("judge", "composing", "foreign")]
    sources = [*said_by, *sorted((root / "checkers").rglob("*.py"))]
    words = " ".join(
        node.value
        for source in sources
        for node in ast.walk(ast.parse(source.read_text("utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    )
    for said in (
        " crashed: ",
        " ran out of budget: ",
        " ran out of memory",
        "which is not claimed",
        " was killed (signal 9) at",
        "not every node's state is known",
        "empty-transaction-graph",
        "nothing was ever polled",
    ):
        assert said in words
