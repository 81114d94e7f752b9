"""What a run of registers acknowledged and has no longer: lost, or only late on one node."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from msgspec.structs import replace

from checkers.explained.notation import scripted
from checkers.linearizable import Linearizable
from harness.history.history import History
from harness.judge.composing import against_claims, compose
from harness.verdict.record import Record
from harness.verdict.verdict import UNKNOWN, Budget, Verdict

RECOVERED_MS = 100
"""Everything of a script after its line ``--`` is sent later than that."""


def played(script: str, **header: Any) -> Record:
    """A run: processes are clients of the node of their number, ``--`` is the recovery."""
    before, _, after = script.partition("--")
    header = {"claims": ["serializable"], **header}
    history = scripted(before + after, **header)
    split = len(scripted(before))
    operations = [
        replace(
            operation,
            node=f"n{operation.process % 10}",
            time=operation.time + (RECOVERED_MS * 1_000_000 if place >= split else 0),
        )
        for place, operation in enumerate(history.operations)
    ]
    final = [RECOVERED_MS * 1_000_000, 10**10]
    return Record(history=History(operations, history.header), run={"phases": {"final": final}})


def judged(record: Record, **options: Any) -> Verdict:
    return Linearizable(options).check(record, Budget.start(600))


def composed(record: Record) -> Mapping[str, Any]:
    header = record.history.header
    answers = {"linearizable": judged(record)}
    return compose(record, answers, claims=header.claims, health_findings=[], requested_faults=[])


LOST = {
    "of a write, and the initial value is back": "0 write 1\n--\n1 read = null",
    "of a write after another": "0 write 1\n0 write 2\n--\n1 read = 1",
    "of a compare-and-set": "0 write 1\n0 cas [1, 2]\n--\n1 read = 1",
    "on every node": "0 write 1\n0 write 2\n--\n1 read = 1\n2 read = 1",
    "on every node, which show different values": (
        "0 write 1\n0 write 2\n--\n1 read = null\n2 read = 1"
    ),
    "though some unknown write of another value may have happened": (
        "0 write 1\n0 write 2\n1 write 3 ?\n--\n1 read = 1"
    ),
    "though a write that failed tried the value": (
        "0 write 1\n0 write 2\n1 write 1 !\n--\n1 read = 1"
    ),
    "though the value was made twice, before": "0 write 1\n0 write 1\n0 write 2\n--\n1 read = 1",
    "though it was read before": "0 write 1\n0 write 2\n1 read = 2\n--\n1 read = 1",
    "by the last read, though one before it was late": (
        "0 write 1\n0 write 2\n--\n1 read = 2\n1 read = 1"
    ),
}


@pytest.mark.parametrize("script", LOST.values(), ids=LOST.keys())
def test_what_every_last_read_lacks_is_lost_whatever_is_claimed(script: str) -> None:
    record = played(script)
    verdict = judged(record)
    assert next(iter(verdict.anomalies)) == "lost-write"
    assert "lost-write" not in verdict.stats.get("permitted", {})
    assert against_claims(verdict, ["serializable"]) == verdict
    answer = composed(record)
    assert answer["valid"] is False
    assert answer["why"].startswith("Durability of what was acknowledged is broken: Lost write")


NOT_LOST = {
    "late on one node": "0 write 1\n0 write 2\n--\n1 read = 1\n2 read = 2",
    "late at first": "0 write 1\n0 write 2\n--\n1 read = 1\n1 read = 2",
    "late before recovery": "0 write 1\n0 write 2\n1 read = 1\n--\n1 read = 2",
    "late before recovery, and replaced since": (
        "0 write 1\n0 write 2\n1 read = 1\n0 write 3\n--\n1 read = 3"
    ),
    "never read after recovery": "0 write 1\n0 write 2\n1 read = 1\n--\n",
    "only lost before what was replaced since": (
        "0 write 1\n1 read = null\n0 write 2\n--\n1 read = 2"
    ),
    "replaced by a write of unknown outcome": (
        "0 write 1\n0 write 2\n1 write 1 ?\n1 read = 1\n1 read = 2\n--\n1 read = 1\n2 read = 1"
    ),
    "replaced by a write of unknown outcome that began before": (
        "1 write 1 ?\n0 write 2\n1 read = 1\n0 read = 2\n--\n1 read = 1"
    ),
    "replaced by a compare-and-set of unknown outcome": (
        "0 write 1\n0 write 2\n1 cas [2, 1] ?\n1 read = 1\n1 read = 2\n--\n1 read = 1"
    ),
    "replaced by a write at the same time": (
        "0 + write 1\n1 write 2\n0 - ok\n1 read = 1\n1 read = 2\n--\n1 read = 1"
    ),
    "replaced by the initial value": ("0 write 1\n0 write null\n1 read = 1\n--\n1 read = null"),
    "not acknowledged": (
        "0 write 1\n1 write 2 ?\n1 read = 2\n1 read = 1\n1 read = 2\n--\n1 read = 1"
    ),
    "not answered before the last read": (
        "0 write 1\n1 read = null\n--\n1 + read\n0 write 2\n1 - ok 1"
    ),
    "and what is shown was never written": "0 write 1\n--\n1 read = 7",
}


@pytest.mark.parametrize("script", NOT_LOST.values(), ids=NOT_LOST.keys())
def test_what_may_be_late_or_replaced_is_not_lost(script: str) -> None:
    record = played(script)
    verdict = judged(record)
    assert verdict.valid is False
    assert "lost-write" not in verdict.anomalies
    assert composed(record)["valid"] == UNKNOWN


@pytest.mark.parametrize("script", LOST.values(), ids=LOST.keys())
def test_only_a_run_with_reads_after_recovery_tells_a_loss(script: str) -> None:
    record = played(script)
    for run in (None, {}, {"phases": {"run": [0, 1]}}):
        bare = Record(history=record.history, run=run)
        assert "lost-write" not in judged(bare).anomalies
        assert composed(bare)["valid"] == UNKNOWN


def test_a_loss_that_an_option_permits_is_told_and_breaks_no_promise() -> None:
    record = played(LOST["of a write after another"], not_durable="synchronous_commit=off")
    verdict = judged(record)
    assert list(verdict.anomalies) == ["stale-read"]
    assert verdict.stats["permitted"] == {"lost-write": 1}
    answer = composed(record)
    assert answer["valid"] == UNKNOWN
    assert "the register lost acknowledged writes, which is permitted" in answer["why"]
    assert "synchronous_commit=off" in answer["why"]


def test_where_linearizability_is_claimed_that_is_broken_too() -> None:
    record = played(LOST["of a write after another"], claims=["linearizable"])
    answer = composed(record)
    assert answer["valid"] is False
    assert answer["why"].startswith("The claim linearizable is broken: Lost write")


def test_the_proof_shows_the_last_loss_the_reads_and_how_many_there_are() -> None:
    script = "0 write 1\n0 write 2\n0 cas [2, 3]\n--\n1 read = 1\n2 read = null"
    verdict = judged(played(script))
    case = verdict.anomalies["lost-write"][0]
    assert case.witness == (1, 5, 7, 9)
    assert case.message.splitlines()[0] == (
        "Lost write: T2 replaced 2 by 3 and was acknowledged, and each of 2 last reads after"
        " recovery shows what was there before, 1 or nil."
    )
    assert "T3 read 1, and only T1 had written 1" in case.message
    assert "T4 read nil, and nil was the value at the start" in case.message
    assert "2 acknowledged changes are lost so, the first answered at index 3" in case.message
    assert verdict.stats["lost-write-count"] == 2


@pytest.mark.parametrize("padding", [0, 5_000])
def test_keys_are_told_apart_also_in_long_histories(padding: int) -> None:
    lost = "0 write [7, 1]\n0 write [7, 2]\n0 write [8, 1]\n0 write [8, 2]\n0 write [9, 1]\n"
    many = "\n".join(f"3 write [9, {n}]" for n in range(2, 2 + padding // 2))
    final = "--\n1 read [7, null] = [7, 1]\n1 read [8, null] = [8, 1]\n2 read [8, null] = [8, 2]"
    record = played(f"{lost}{many}\n{final}", independent=True)
    verdict = judged(record)
    assert [case.key for case in verdict.anomalies["lost-write"]] == [7]
    assert {case.key for case in verdict.anomalies["stale-read"]} == {7, 8}
    assert verdict.why.startswith("2 of 3 keys are not linearizable, 1 of them lost acknowledged")
    assert composed(record)["why"].startswith("Durability of what was acknowledged is broken: ")
