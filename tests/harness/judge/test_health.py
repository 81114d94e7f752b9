"""A run in which too little happened, or whose faults did not bite, is unknown and says why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from harness.history.history import History
from harness.history.ledger import LedgerEntry
from harness.history.operation import Header, Operation
from harness.judge.health import examine
from harness.verdict.record import Record
from harness.verdict.steps import words_of

SECOND = 10**9


def operations(count: int = 40, *, until_s: float = 10.0, f: str = "read") -> list[Operation]:
    """``count`` ok operations, spread evenly, each 1 ms long."""
    made: list[Operation] = []
    for number in range(count):
        start = int(number * until_s * SECOND / count)
        made.append(Operation(len(made), start, 0, "invoke", f, None))
        made.append(Operation(len(made), start + 10**6, 0, "ok", f, [1, number]))
    return made


def ledger(*events: tuple[str, float]) -> list[LedgerEntry]:
    return [LedgerEntry(1, "kill", ["n1"], event, int(s * SECOND)) for event, s in events]


HEALTHY_LEDGER = ledger(("intend", 2), ("injected", 2), ("bit", 2.5), ("heal", 4), ("healed", 5))


@pytest.fixture
def healthy() -> Record:
    return Record(
        history=History(operations(), Header(independent=True)), faults=HEALTHY_LEDGER, run={}
    )


def levels(record: Record, requested: Sequence[str] = ("kill",)) -> dict[str, str]:
    return {finding.check: finding.level for finding in examine(record, requested)}


def test_a_healthy_run_has_no_ailment(healthy: Record) -> None:
    assert levels(healthy) == {}


def test_a_run_without_operations_is_unknown(healthy: Record) -> None:
    assert levels(replace(healthy, history=History([])))["operations"] == "unknown"


def test_a_kind_of_operation_that_is_rarely_ok_is_unknown(healthy: Record) -> None:
    rare = [*operations(), *operations(3, f="cas")]
    found = examine(replace(healthy, history=History(rare, healthy.header)), ["kill"])
    assert [(a.check, a.level) for a in found] == [("operations", "unknown")]
    assert "'cas'" in found[0].message


def test_nothing_ok_before_the_first_fault_is_unknown(healthy: Record) -> None:
    early = ledger(("intend", 0), ("injected", 0), ("bit", 1), ("healed", 2))
    assert levels(replace(healthy, faults=early)) == {"before-faults": "unknown"}


def test_nothing_ok_after_the_last_heal_is_unknown(healthy: Record) -> None:
    late = ledger(("intend", 2), ("injected", 2), ("bit", 3), ("healed", 60))
    assert levels(replace(healthy, faults=late)) == {"after-heal": "unknown"}


def test_reads_that_saw_nothing_are_unknown(healthy: Record) -> None:
    blind = [Operation(o.index, o.time, o.process, o.type, o.f, [1, None]) for o in operations()]
    record = replace(healthy, history=History(blind, healthy.header))
    assert levels(record) == {"reads": "unknown"}


def test_a_requested_fault_that_never_bit_is_unknown_and_says_what_was_measured(
    healthy: Record,
) -> None:
    faults = [
        *ledger(("intend", 2), ("injected", 2)),
        LedgerEntry(1, "kill", ["n1"], "failed", 3 * SECOND, {"why": "n1 still runs"}),
        *ledger(("healed", 4)),
    ]
    found = examine(replace(healthy, faults=faults), ["kill"])
    assert [(a.check, a.level) for a in found] == [("fault-bit", "unknown")]
    assert "n1 still runs" in found[0].message


def test_a_requested_fault_that_was_never_begun_is_unknown(healthy: Record) -> None:
    assert levels(healthy, ("kill", "pause")) == {"fault-bit": "unknown"}


def test_a_fault_that_was_never_proved_healed_is_unknown(healthy: Record) -> None:
    open_ended = [entry for entry in HEALTHY_LEDGER if entry.event != "healed"]
    assert levels(replace(healthy, faults=open_ended)) == {"fault-heal": "unknown"}


def test_a_fault_that_met_no_operation_is_unknown(healthy: Record) -> None:
    gap = [o for o in operations() if not 1.9 * SECOND < o.time < 5.1 * SECOND]
    record = replace(healthy, history=History(gap, healthy.header))
    assert levels(record) == {"fault-overlap": "unknown"}


def test_an_operation_that_a_fault_holds_up_met_it(healthy: Record) -> None:
    apart = [o for o in operations() if not 1.9 * SECOND < o.time < 5.1 * SECOND]
    held_up = [
        Operation(0, int(1.95 * SECOND), 1, "invoke", "read", None),
        Operation(0, int(5.05 * SECOND), 1, "ok", "read", [1, 2]),
    ]
    told = sorted([*apart, *held_up], key=lambda operation: operation.time)
    record = replace(healthy, history=History(told, healthy.header))
    assert "fault-overlap" not in levels(record)


@pytest.mark.parametrize(
    ("run", "expected"),
    [
        ({"lag_ms": {"p50": 1, "p99": 25.0, "max": 60.0}}, {"loop-lag": "warning"}),
        ({"lag_ms": {"p50": 1, "p99": 2.0, "max": 1500.0}}, {"loop-stall": "unknown"}),
        (
            {"blocking_calls": [{"by": "Toy.read", "at": "toy.py:3", "seconds": 0.5}]},
            {"blocking-calls": "warning"},
        ),
        ({"suspended_ms": 30_000.0}, {"suspended": "unknown"}),
        ({"interrupted": True}, {"interrupted": "unknown"}),
        ({"partial": True}, {"partial": "unknown"}),
        ({"ended_early": "disk full"}, {"ended-early": "unknown"}),
    ],
)
def test_stalls_and_unfinished_runs_are_told(
    healthy: Record, run: dict[str, Any], expected: dict[str, str]
) -> None:
    assert levels(replace(healthy, run=run)) == expected


def test_a_kind_that_belongs_to_the_final_reads_alone_needs_one_ok(healthy: Record) -> None:
    drain = [
        Operation(80, 11 * SECOND, 0, "invoke", "drain", None),
        Operation(81, 12 * SECOND, 0, "ok", "drain", [1]),
    ]
    record = replace(healthy, history=History([*operations(), *drain], healthy.header))
    assert levels(record) == {"operations": "unknown"}
    final = {"phases": {"final": [int(10.5 * SECOND), 13 * SECOND]}}
    assert levels(replace(record, run=final)) == {}


def test_the_next_step_names_the_flag_and_by_how_much(healthy: Record) -> None:
    flags = {"time_limit": 20.0, "rate": 100.0, "nemesis_interval": 10.0}
    header = Header(independent=True, options=flags)
    rare = History([*operations(), *operations(2, f="cas")], header)
    (found,) = examine(replace(healthy, history=rare), ["kill"])
    assert words_of(found.settle).startswith("--time-limit 100 (it was 20)")
    slow = replace(healthy, history=History(operations(), header), run={"lag_ms": {"max": 2000}})
    (found,) = examine(slow, ["kill"])
    assert "--rate 50 (it was 100)" in words_of(found.settle)


@pytest.mark.parametrize(
    ("f", "value"),
    [
        ("dequeue", None),
        ("drain", []),
        ("txn", [["r", "x", None], ["append", "x", 1]]),
        ("txn", [["r", "x", []]]),
    ],
)
def test_whatever_reads_and_never_sees_anything_is_unknown(
    healthy: Record, f: str, value: Any
) -> None:
    blind = [Operation(o.index, o.time, o.process, o.type, f, value) for o in operations()]
    assert levels(replace(healthy, history=History(blind))) == {"reads": "unknown"}


def test_a_transaction_that_saw_one_write_is_no_blind_read(healthy: Record) -> None:
    value = [["r", "x", None], ["r", "y", [1]]]
    seeing = [Operation(o.index, o.time, o.process, o.type, "txn", value) for o in operations()]
    assert levels(replace(healthy, history=History(seeing))) == {}


def test_calls_that_never_came_back_are_worth_a_remark(healthy: Record) -> None:
    assert levels(replace(healthy, run={"stuck_threads": 3})) == {"stuck-clients": "warning"}


def finals(*answers: tuple[str, str, str, int]) -> Record:
    """A run whose final phase, from second 10 on, asked these: f, node, end and key of each."""
    made = operations()
    for number, operation in enumerate(made):
        made[number] = msgspec.structs.replace(operation, node="n1" if number % 4 < 2 else "n2")
    for at, (f, node, kind, key) in enumerate(answers):
        start, process = (10 + at) * SECOND, 100 + at
        made.append(Operation(len(made), start, process, "invoke", f, [key, None], node=node))
        made.append(Operation(len(made), start + 10**6, process, kind, f, [key, 7]))
    run = {"phases": {"final": [10 * SECOND, 60 * SECOND]}}
    return Record(history=History(made, Header(independent=True)), run=run)


def test_final_reads_that_were_answered_in_the_end_are_well() -> None:
    asked = [("read", "n1", "fail", 1), ("read", "n2", "info", 1)]
    answered = [("read", "n1", "ok", 1), ("read", "n2", "ok", 1)]
    assert levels(finals(*asked, *answered), ()) == {}


@pytest.mark.parametrize(
    ("answers", "named"),
    [
        ([("read", "n1", "fail", 1), ("read", "n2", "fail", 1)], "of this kind"),
        (
            [("read", "n1", "ok", 1), ("read", "n2", "ok", 1), ("read", "n1", "info", 2)],
            "[2, null]",
        ),
        ([("read", "n1", "ok", 1), ("read", "n2", "fail", 1)], "answered by n2"),
        ([("read", "n1", "ok", 1), ("read", "n2", "ok", 1), ("drain", "n1", "info", 1)], "drain"),
    ],
)
def test_a_final_read_that_was_never_answered_is_unknown(
    answers: list[tuple[str, str, str, int]], named: str
) -> None:
    found = examine(finals(*answers), ())
    assert "final-reads" in {finding.check for finding in found if finding.level == "unknown"}
    assert named in " ".join(finding.message for finding in found)


def test_a_node_that_never_answered_anybody_is_only_told() -> None:
    record = finals(("read", "n1", "ok", 1), ("read", "n2", "ok", 1), ("read", "n3", "fail", 1))
    assert levels(record, ()) == {"silent-node": "warning"}


def test_keys_beyond_the_bound_and_trouble_of_the_machine_are_told(healthy: Record) -> None:
    run = {
        "final_keys": {"open_under_faults": 300, "read": 100},
        "machine_trouble": ["the disk is full"],
    }
    assert levels(replace(healthy, run=run)) == {"final-keys": "warning", "machine": "warning"}


def of(name: str, *events: tuple[str, dict[str, Any]]) -> list[LedgerEntry]:
    return [LedgerEntry(7, name, ["n1"], event, SECOND, detail) for event, detail in events]


ARMED = ("intend", {"armed": True})
ACTION = ("intend", {"momentary": True})


@pytest.mark.parametrize(
    ("events", "level", "said"),
    [
        ([ARMED, ("disarmed", {"why": "it never came"})], "warning", "it was never fired (it neve"),
        ([ACTION, ("refused", {"what": "nothing to do"})], "warning", "refused each time (nothing"),
        ([ACTION, ("done", {"what": "done"})], None, ""),
        (
            [ACTION, ("failed", {"why": "no answer"})],
            "unknown",
            "never seen to be done (no answer)",
        ),
        ([ARMED, ("fire", {}), ("injected", {}), ("failed", {"why": "no"})], "unknown", "to bite"),
        ([ARMED], "unknown", "never seen to bite"),
    ],
)
def test_what_never_fired_or_was_refused_is_no_missing_bite(
    healthy: Record, events: Any, level: str | None, said: str
) -> None:
    record = replace(healthy, faults=[*HEALTHY_LEDGER, *of("other", *events)])
    found = [each for each in examine(record, ["kill", "other"]) if each.check == "fault-bit"]
    assert [each.level for each in found] == ([] if level is None else [level])
    assert all(said in each.message for each in found)
