"""long-fork: two readers that see two writes in different orders, and nothing else."""

from __future__ import annotations

from typing import Any

import pytest

from checkers.isolation.long_fork import LongFork
from harness.verdict.record import LedgerEntry, Record
from harness.verdict.verdict import UNKNOWN, Budget, Verdict
from tests.checkers.elle.registers.drawing import drawn

FORK = """
p: [wx1  ]
q: [wy1  ]
r:   [rx1 ry_]
s:   [ry1 rx_]
"""


def judged(text: str, faults: Any = None, **options: Any) -> Verdict:
    record = Record(history=drawn(text), faults=faults)
    return LongFork(options).check(record, Budget.start(60))


def test_a_fork_is_told_with_all_four_transactions() -> None:
    cut = LedgerEntry(id=4, fault="partition", targets=["n2"], event="injected", time=0)
    verdict = judged(FORK, [cut])
    assert verdict.valid is False
    (case,) = verdict.anomalies["long-fork"]
    assert "T3 < T2, because T3 did not observe T2's write of key" in case.message
    assert case.message.count("However") == 1
    assert "partition of n2" in case.message
    assert len(case.witness) == 4
    assert verdict.stats["forks"] == 1


def test_it_breaks_snapshot_isolation_and_leaves_parallel_snapshot_isolation() -> None:
    verdict = judged(FORK)
    ruled_out = {*verdict.not_, *verdict.also_not}
    assert {"snapshot-isolation", "prefix", "strict-serializable"} <= ruled_out
    assert not {"parallel-snapshot-isolation", "read-committed", "causal-cerone"} & ruled_out
    allowed = judged(FORK, consistency_models=["parallel-snapshot-isolation"])
    assert allowed.valid == UNKNOWN
    assert "parallel-snapshot-isolation does not forbid long-fork" in allowed.why
    assert allowed.stats["permitted"] == {"long-fork": 1}


@pytest.mark.parametrize(
    "text",
    [
        "p: [wx1]\nq: [wy1]\nr: [rx_ ry_] [rx1 ry_] [ry1 rx1]",
        "p: [wx1]\nq: [wy1]\nr: [rx1 ry1]\ns: [rx1 ry_]",
        "p: [wx1?\nr: [rx1 ry_] [rx_ ry_]",
    ],
)
def test_states_of_one_store_are_no_fork(text: str) -> None:
    assert judged(text).valid is True


def test_reads_are_counted_as_early_and_late() -> None:
    stats = judged("p: [wx1]\nq: [wy1]\nr: [rx_ ry_] [rx1 ry_] [ry1 rx1]").stats
    assert (stats["reads-count"], stats["early-read-count"], stats["late-read-count"]) == (3, 1, 1)


def test_a_longer_chain_hides_no_fork() -> None:
    text = "p: [wx1]\nq: [wy1]\nr: [wz1]\ns: [rx1 ry_ rz_] [rx1 ry1 rz_]\nt: [rz1 rx_ ry_]"
    assert judged(text).anomalies.keys() == {"long-fork"}


def test_two_writes_of_a_key_are_unknown() -> None:
    assert judged("p: [wx1] [wx2]\nq: [rx1 ry_]").valid == UNKNOWN


def test_values_from_nowhere_or_from_failed_writes_are_no_reads() -> None:
    assert set(judged("p: [wx1]\nq: [rx2 ry_]").anomalies) == {"thin-air"}
    assert set(judged("p: [wx1!\nq: [rx1 ry_]").anomalies) == {"G1a"}


def test_without_reads_nothing_is_known() -> None:
    assert judged("p: [wx1]").valid == UNKNOWN
