"""What was broken is named as what it is, the machine excuses its own, fault-free cases lead."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from msgspec.structs import replace

from checkers.proof.cases import SHOWN_CASES as SHOWN
from checkers.proof.findings import Findings
from harness.cli.ending import verdict_lines
from harness.history.calls import Call
from harness.history.columns import columns
from harness.history.history import History
from harness.history.ledger import LedgerEntry
from harness.history.operation import Operation
from harness.judge.composing import compose
from harness.verdict.record import Record
from harness.verdict.verdict import UNKNOWN, Anomaly, Verdict

SECOND = 10**9


def timed(seconds: Sequence[float]) -> History:
    """A read at each of these times, half a second long, each by a process of its own."""
    operations = []
    for process, at in enumerate(seconds):
        for kind, late in (("invoke", 0.0), ("ok", 0.5)):
            time = int((at + late) * SECOND)
            operations.append(Operation(len(operations), time, process, kind, "read", 1))
    return History(operations)


def fault(start_s: float, end_s: float) -> list[LedgerEntry]:
    times = {"intend": start_s, "injected": start_s, "bit": start_s, "healed": end_s}
    return [LedgerEntry(1, "kill", ["n1"], event, int(at * SECOND)) for event, at in times.items()]


def composed(
    verdicts: Mapping[str, Verdict],
    *,
    history: History | None = None,
    faults: Sequence[LedgerEntry] = (),
    run: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    return compose(
        Record(history=history or timed([1.0]), faults=faults, run=run or {}),
        verdicts,
        claims=["serializable"],
        health_findings=[],
        requested_faults=[],
    )


def bad(kind: str, *witnesses: int, **more: Any) -> Verdict:
    cases = [Anomaly(message=f"case {each}", witness=(each,)) for each in witnesses]
    cases = cases or [Anomaly(message="it was bad")]
    return Verdict(valid=False, why=f"found {kind}", anomalies={kind: cases}, **more)


@pytest.mark.parametrize("is_columned", [False, True])
def test_cases_with_no_fault_in_force_come_first_and_are_counted(is_columned: bool) -> None:
    history = timed([1, 5, 6, 9])
    if is_columned:
        history = History(history.operations, prepared=columns(history))
    verdict = composed({"x": bad("stale", 3, 2, 4, 7)}, history=history, faults=fault(4, 8))
    told = [case["message"] for case in verdict["checkers"]["x"]["anomalies"]["stale"]]
    assert told == ["case 7", "case 3", "case 2", "case 4"]
    assert verdict["checkers"]["x"]["no_fault"] == {"stale": [1, 4]}
    assert "1 of 4 with no fault in force" in verdict["why"]
    assert any("(1 of 4, 1 with no fault in force)" in line for line in verdict_lines(verdict))


def test_where_no_fault_was_injected_nothing_is_said_of_faults() -> None:
    verdict = composed({"x": bad("stale", 1)})
    assert "no_fault" not in verdict["checkers"]["x"]
    assert "in force" not in verdict["why"]


def test_of_many_cases_a_checker_tells_the_fault_free_ones() -> None:
    history = timed([5.0] * SHOWN * 2 + [20.0])
    findings = Findings(Record(history=history, faults=fault(4, 8)))
    for place in range(0, len(history), 2):
        begun, ended = history.operations[place : place + 2]
        call = Call(begun, ended, place, place + 1)
        findings.add("stale", [call], ["it was"])
    assert findings.cases.counts == {"stale": SHOWN * 2 + 1}
    assert len(findings.cases.shown["stale"]) == SHOWN
    assert findings.cases.shown["stale"][-1].witness == (SHOWN * 4, SHOWN * 4 + 1)


@pytest.mark.parametrize(
    ("checker", "kind", "promise"),
    [
        ("no-recovery", "no-recovery", "Availability after the faults is broken: "),
        ("crash", "crash", "That no process ends by itself is broken: "),
        ("logs", "panic", "What the logs must never say is broken: "),
        ("agreement", "replica-divergence", "That all nodes come to hold the same is broken: "),
        ("set", "lost", "Durability of what was acknowledged is broken: "),
        ("list-append", "G2", "The claim serializable is broken: "),
    ],
)
def test_each_finding_names_the_promise_that_it_breaks(
    checker: str, kind: str, promise: str
) -> None:
    verdict = composed({checker: bad(kind)})
    assert verdict["valid"] is False
    assert verdict["why"].startswith(promise)


def test_several_broken_promises_are_told_apart() -> None:
    why = composed({"no-recovery": bad("no-recovery"), "bank": bad("wrong-total")})["why"]
    assert "the claim serializable is broken: found wrong-total (bank)" in why
    assert "vailability after the faults is broken: found no-recovery (no-recovery)" in why


TROUBLE = [
    {"machine_trouble": ["the disk that holds the run's folder is full"]},
    {"machine_trouble": ["this machine stood still for 30.0 s"]},
    {"lag_ms": {"p99": 3.0, "max": 1500.0}},
    {"suspended_ms": 900.0},
]


@pytest.mark.parametrize("run", TROUBLE)
@pytest.mark.parametrize("checker", ["no-recovery", "crash", "logs"])
def test_what_this_machine_may_have_caused_is_unknown(checker: str, run: dict[str, Any]) -> None:
    verdict = composed({checker: bad(checker)}, run=run)
    assert verdict["valid"] == UNKNOWN
    assert verdict["checkers"][checker]["anomaly_types"] == [checker]
    assert "which may be why" in verdict["why"]
    assert composed({checker: bad(checker)}, run={"lag_ms": {"max": 40.0}})["valid"] is False


@pytest.mark.parametrize("run", TROUBLE)
def test_what_clients_were_answered_is_never_excused_by_the_machine(run: dict[str, Any]) -> None:
    assert composed({"bank": bad("wrong-total")}, run=run)["valid"] is False


def test_what_stands_beside_the_value_of_a_witness_is_told() -> None:
    first, second = timed([1.0]).operations
    facts = {"again": {"1": 5}, "start_ts": 7, "exception": ["a trace"]}
    history = History([replace(first, extra={"pauses_s": [0.5]}), replace(second, extra=facts)])
    for prepared in (None, columns(history)):
        given = History(history.operations, prepared=prepared)
        verdict = composed({"bank": bad("wrong-total", 1)}, history=given)
        (case,) = verdict["checkers"]["bank"]["anomalies"]["wrong-total"]
        told = {"pauses_s": [0.5], "again": {"1": 5}, "start_ts": 7}
        assert case["data"]["beside"] == {"0": told}
        assert 'operation 0: pauses_s [0.5], again {"1": 5}, start_ts 7' in case["message"]


def test_a_checker_that_told_it_itself_is_left_alone_and_long_facts_are_cut() -> None:
    first, second = timed([1.0]).operations
    history = History([first, replace(second, extra={"plan": "x" * 1000})])
    said = Anomaly(message="m", witness=(1,), data={"beside": {}})
    cases = {"odd": [said, Anomaly(message="m", witness=(1,))]}
    odd = Verdict(valid=False, why="odd", anomalies=cases)
    verdict = composed({"x": odd}, history=history)
    own, other = verdict["checkers"]["x"]["anomalies"]["odd"]
    assert own["message"] == "m"
    assert len(other["message"]) < 400
    assert "data" not in other
