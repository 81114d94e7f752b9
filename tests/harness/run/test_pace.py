"""Rate and latency of a run under way, in buckets that grow wider as it goes on."""

from __future__ import annotations

from typing import Final

from harness.history.operation import FAIL, INVOKE, OK, Operation
from harness.run.pace import FIRST_WIDTH_S, MOST_BUCKETS, Pace

MS: Final = 1_000_000


def call(pace: Pace, at_ms: int, takes_ms: float, type_: str = OK, process: int = 0) -> None:
    """One call, seen at both ends."""
    pace.see(Operation(0, at_ms * MS, process, INVOKE, "read", None))
    pace.see(Operation(1, int((at_ms + takes_ms) * MS), process, type_, "read", 1))


def test_what_ended_in_a_bucket_counts_there_and_the_last_one_is_not_told() -> None:
    pace = Pace()
    call(pace, 100, 10)
    call(pace, 450, 100)
    call(pace, 600, 10, FAIL)
    call(pace, 1010, 10)
    told = pace.told()
    assert (told["ok"], told["fail"], told["info"]) == ([1, 1], [0, 1], [0, 0])


def test_a_stretch_without_an_answer_is_nought_and_has_no_latency() -> None:
    pace = Pace()
    call(pace, 100, 10)
    pace.pass_time(2_100 * MS)
    told = pace.told()
    assert told["ok"] == [1, 0, 0, 0]
    assert told["p99_ms"][1:] == [None, None, None]


def test_quantiles_are_told_to_within_five_percent() -> None:
    pace = Pace()
    for at in range(200):
        call(pace, at, 3 if at < 190 else 70, process=at)
    pace.pass_time(500 * MS)
    told = pace.told()
    assert abs(told["p50_ms"][0] / 3 - 1) < 0.05
    assert abs(told["p99_ms"][0] / 70 - 1) < 0.05


def test_a_long_run_has_wider_buckets_and_loses_no_count() -> None:
    pace = Pace()
    seconds = int(MOST_BUCKETS * FIRST_WIDTH_S * 3)
    for second in range(seconds):
        call(pace, second * 1000, 10)
    pace.pass_time((seconds + 10) * 1000 * MS)
    told = pace.told()
    assert told["width_s"] == FIRST_WIDTH_S * 4
    assert len(told["ok"]) <= MOST_BUCKETS
    assert sum(told["ok"]) == seconds
    assert set(told["ok"][: seconds // 2]) == {2}


def test_the_nemesis_is_no_client() -> None:
    pace = Pace()
    pace.see(Operation(0, 0, "nemesis", "info", "kill", None))
    pace.pass_time(1000 * MS)
    assert pace.told()["info"] == [0, 0]
