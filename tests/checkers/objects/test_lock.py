"""The checker of locks: held intervals and fence tokens."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from checkers.objects.lock import Lock
from harness.history.reader import read_history
from harness.verdict.record import Record
from harness.verdict.verdict import Budget
from tests.checkers.scripted import judged, kinds


@pytest.mark.parametrize(
    "script",
    [
        "0 acquire = 1\n0 release\n1 acquire = 2\n1 release",
        "0 acquire\n1 acquire !\n0 release\n1 acquire",
        "0 acquire\n0 + release\n1 acquire\n0 - ok",
        "0 acquire\n0 release ?\n1 acquire",
        "0 acquire ?\n1 acquire\n1 release",
        "0 + acquire\n1 + acquire\n1 - ok 2\n1 release\n0 - ok 1",
        "0 acquire ?\n1 acquire !",
    ],
)
def test_locks_that_are_held_by_one_at_a_time(script: str) -> None:
    verdict = judged(Lock, script)
    assert verdict.valid in (True, "unknown")
    assert verdict.anomalies == {}


@pytest.mark.parametrize(
    "script",
    [
        "0 acquire\n1 acquire",
        "0 acquire\n1 acquire\n1 release\n0 release",
        "0 acquire\n0 release !\n1 acquire",
        "0 acquire\n0 acquire",
        "0 + acquire\n1 acquire\n0 - ok",
    ],
)
def test_two_holders_at_one_moment_are_an_overlap(script: str) -> None:
    verdict = judged(Lock, script)
    assert verdict.valid is False
    assert kinds(verdict) == {"overlap": 1}


def test_a_long_hold_overlaps_each_that_comes_into_it() -> None:
    script = "0 acquire\n1 acquire\n1 release\n2 acquire\n2 release\n0 release"
    assert kinds(judged(Lock, script)) == {"overlap": 2}


def test_a_lease_ends_a_hold() -> None:
    script = "0 acquire\n1 acquire"
    assert judged(Lock, script, lease_s=0.001).valid is True
    assert judged(Lock, script, lease_s=10).valid is False


def test_without_times_no_lease_is_judged(tmp_path: Path) -> None:
    lines = [
        {"process": process, "type": kind, "f": "acquire", "value": None}
        for process in (0, 1)
        for kind in ("invoke", "ok")
    ]
    path = tmp_path / "history.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    verdict = Lock({"lease_s": 10}).check(Record(history=read_history(path)), Budget.start(10.0))
    assert verdict.valid == "unknown"
    assert "there are no times" in verdict.why


def test_tokens_must_rise_in_real_time() -> None:
    script = "0 acquire = 5\n0 release\n1 acquire = 4\n1 release"
    verdict = judged(Lock, script)
    assert kinds(verdict) == {"fence-fell": 1}
    assert "T1 < T2" in verdict.anomalies["fence-fell"][0].message


def test_a_token_given_twice_fences_nobody_off() -> None:
    script = "0 acquire = 5\n0 release\n1 acquire = 5\n1 release"
    assert kinds(judged(Lock, script)) == {"fence-repeated": 1}


def test_a_release_of_what_was_not_held_is_wrong() -> None:
    assert kinds(judged(Lock, "0 acquire\n1 release\n0 release")) == {"not-held": 1}
    assert kinds(judged(Lock, "0 acquire\n0 release\n0 release")) == {"not-held": 1}
    assert judged(Lock, "0 acquire\n0 release\n1 acquire\n1 release").valid is True
