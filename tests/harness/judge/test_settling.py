"""A verdict ``unknown`` says for each of its reasons what would settle it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import replace
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
from harness.judge.settling import steps
from harness.plugins import Found, Registry
from harness.verdict import steps as common_steps
from harness.verdict.record import Record
from harness.verdict.steps import RUN_AGAIN, SEARCH_LONGER, Step
from harness.verdict.verdict import UNKNOWN, Anomaly, Verdict, untested

ILL = HealthFinding(check="reads", level="unknown", message="saw nothing", settle="--time-limit 40")
WARNED = HealthFinding(check="loop-lag", level="warning", message="late", settle="a lower --rate")
DOUBT = Verdict(valid=UNKNOWN, why="the checker bank ran out of budget", settle=SEARCH_LONGER)
BAD = Verdict(valid=False, why="no", anomalies={"x": [Anomaly(message="no")]})
RUN_FLAGS = re.compile(
    r"--(time-limit|rate|concurrency|nodes|nemesis[a-z-]*|recovery-timeout|op-timeout|parallel|seed)\b"
    r"|polygraph check RUN"
)
COMMON = {name: each for name, each in vars(common_steps).items() if isinstance(each, Step)}


def test_each_reason_has_its_step() -> None:
    found = steps(UNKNOWN, [ILL, WARNED], {"bank": DOUBT, "stats": Verdict(valid=True)})
    assert found[0]["do"] == "--time-limit 40"
    assert "--budget" in found[1]["do"]
    assert len(found) == 2


def test_what_the_checker_says_would_settle_it_goes_before_what_its_reason_suggests() -> None:
    knows = Verdict(valid=UNKNOWN, why="the set was never read", settle="read the set")
    assert [each["do"] for each in steps(UNKNOWN, [], {"set": knows})] == ["read the set"]


FOR_RUNS_ALONE = {"RUN_AGAIN", "FREE_MEMORY", "MAKE_ROOM", "ASK_EVERY_NODE", "LOOK_AT_LEDGER"}
"""Said of what only a run has: facts, logs, a ledger, the states of nodes."""


@pytest.mark.parametrize("name", sorted(COMMON.keys() - FOR_RUNS_ALONE))
def test_advice_on_a_file_names_no_flag_of_a_run(name: str) -> None:
    doubt = Verdict(valid=UNKNOWN, why="who knows", settle=COMMON[name])
    (told,) = steps(UNKNOWN, [], {"bank": doubt}, is_run=False)
    assert not RUN_FLAGS.search(told["do"])
    assert "{" not in told["do"]


def settled(source: Path) -> Iterator[tuple[int, ast.expr]]:
    """What is given as ``settle`` or ``mend`` in a source, or as a constant of that meaning."""
    for node in ast.walk(ast.parse(source.read_text("utf-8"))):
        if isinstance(node, ast.keyword) and node.arg in ("settle", "mend"):
            yield node.value.lineno, node.value
        elif isinstance(node, ast.AnnAssign) and isinstance(node.value, ast.Constant):
            yield node.lineno, node.value


def test_what_checkers_say_in_plain_text_is_true_of_files_as_well() -> None:
    root = Path(checkers.__file__).parents[1]
    wrong = [
        f"{source.relative_to(root)}:{line}: {node.value}"
        for source in sorted((root / "checkers").rglob("*.py"))
        for line, node in settled(source)
        if isinstance(node, ast.Constant)
        and RUN_FLAGS.search(str(node.value))
        # What is read of a run's facts, logs and states is never judged in a bare file.
        and source.parent.name != "run"
    ]
    assert wrong == []


def test_every_unknown_of_a_checker_says_what_would_settle_it() -> None:
    root = Path(checkers.__file__).parents[1]
    sources = [*sorted((root / "checkers").rglob("*.py")), *(root / "harness/judge").glob("*.py")]
    silent = [
        f"{source.relative_to(root)}:{call.lineno}"
        for source in sources
        for call in ast.walk(ast.parse(source.read_text("utf-8")))
        if isinstance(call, ast.Call) and getattr(call.func, "id", "") == "Verdict"
        for given in [{each.arg: each.value for each in call.keywords}]
        if "UNKNOWN" in ast.unparse(given["valid"]) and "settle" not in given
    ]
    assert silent == []


def test_what_a_plug_in_says_is_told_and_a_silent_one_gets_a_general_step() -> None:
    for is_run in (True, False):
        silent = Verdict(valid=UNKNOWN, why="who knows")
        knows = Verdict(valid=UNKNOWN, why="who knows", settle="ask it")
        (general,) = steps(UNKNOWN, [], {"theirs": silent}, is_run=is_run)
        (own,) = steps(UNKNOWN, [], {"theirs": knows}, is_run=is_run)
        assert general["do"] == common_steps.ANYTHING.words("theirs", is_run=is_run)
        assert own["do"] == "ask it"


def test_the_name_of_the_checker_stands_in_the_step() -> None:
    late = Verdict(valid=UNKNOWN, why="late", settle=common_steps.SEARCH_CYCLES_LONGER)
    (told,) = steps(UNKNOWN, [], {"rw-register": late})
    assert "-m rw-register --cycle" in told["do"]


CUT = HealthFinding(check="interrupted", level="unknown", message="it was", settle=RUN_AGAIN)
MORE = replace(ILL, settle=common_steps.of_more("--time-limit 40"))


def test_a_run_that_was_cut_short_is_told_once_to_come_to_its_end() -> None:
    never = untested("it was never read", settle="read it")
    found = steps(UNKNOWN, [CUT, MORE], {"set": never, "bank": DOUBT})
    assert found[0]["do"] == RUN_AGAIN.run
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
