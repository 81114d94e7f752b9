"""Promises about gauges, held against drawn samples."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from checkers.run.metrics import CHECKERS
from harness.history.history import History
from harness.verdict.metrics import Metrics, Series
from harness.verdict.record import Record
from harness.verdict.verdict import Budget, Verdict

S = 1_000_000_000
LOAD = (S, 31 * S)
QUIET = (32 * S, 43 * S)
PENDING = {"name": "pending", "returns_to": 0.0, "within_s": 10.0}
Samples = Sequence[tuple[float, float]]
"""(second, value)."""


def series(
    samples: Samples, node: str = "n1", name: str = "pending", lives: Sequence[int] = ()
) -> Series:
    times, values = zip(*samples, strict=True)
    return Series(
        node=node,
        name=name,
        labels={},
        time=np.array([round(at * S) for at in times], np.int64),
        value=np.array(values, np.float64),
        life=np.array(lives or [0] * len(samples), np.int64),
    )


def judge(
    gauge: dict[str, Any], *sampled: Series, quiet: tuple[int, int] | None = QUIET
) -> Verdict:
    phases = {"run": list(LOAD)} | ({} if quiet is None else {"quiet": list(quiet)})
    run = {"phases": phases, "gauges": [gauge]}
    record = Record(history=History(()), run=run, metrics=Metrics(tuple(sampled)))
    return CHECKERS["metrics"]({}).check(record, Budget.start())


def loaded(leak: float = 0.0) -> list[tuple[float, float]]:
    """Half a minute of load at 100 operations a second, some pending, of which some leak."""
    rng = np.random.default_rng(7)
    kept = 0
    samples = [(0.5, 0.0)]
    for at in np.arange(1, 31, 0.5):
        kept += int(rng.binomial(50, leak))
        samples.append((float(at), kept + float(rng.poisson(3))))
    samples += [(float(at), float(kept)) for at in np.arange(32, 43.5, 0.5)]
    return samples


def test_what_comes_back_is_valid_and_a_leak_of_a_quarter_of_a_percent_is_not() -> None:
    assert judge(PENDING, series(loaded())).valid is True
    verdict = judge(PENDING, series(loaded(leak=0.0025)))
    assert verdict.valid is False
    (case,) = verdict.anomalies["gauge-not-returned"]
    assert case.message.startswith("pending of n1 did not come back. 11.0 s after the load")
    assert case.data["last"] > 0


def test_one_reading_that_is_not_back_changes_nothing_if_another_is() -> None:
    clean = loaded()
    assert judge(PENDING, series([*clean[:-1], (43.0, 4.0)])).valid is True
    raised = [(at, value + (at > 31)) for at, value in clean]
    assert judge(PENDING, series(raised)).valid is False
    assert judge({**PENDING, "slack": 1.0}, series(raised)).valid is True


def test_a_baseline_is_what_was_before_the_load() -> None:
    gauge = {**PENDING, "returns_to": "baseline"}
    lifted = [(at, value + 7) for at, value in loaded()]
    assert judge(gauge, series(lifted)).valid is True
    assert judge(gauge, series([(0.5, 5.0), *lifted[1:]])).valid is False
    verdict = judge(gauge, series(lifted[1:]))
    assert (verdict.valid, verdict.why) == (
        "unknown",
        "pending of n1 was not sampled before the load",
    )


def test_what_was_not_watched_for_long_enough_is_unknown() -> None:
    short = [each for each in loaded(0.01) if each[0] < 40]
    verdict = judge(PENDING, series(short))
    assert verdict.valid == "unknown"
    assert "of 10 s that it may take" in verdict.why
    assert judge(PENDING, series(loaded()), quiet=None).valid == "unknown"
    assert "2 times" in judge(PENDING, series(short[:2])).why
    assert judge(PENDING).valid == "unknown"
    silent = judge(PENDING, series(loaded()), series(loaded()[:40], node="n2"))
    assert silent.why == "pending of n2 was not told any more once the load was over"


def test_a_bound_holds_for_every_sample() -> None:
    gauge = {"name": "pending", "at_most": 9.0}
    assert judge(gauge, series([(1, 3), (2, 9), (3, 0)])).valid is True
    verdict = judge(gauge, series([(1, 3), (2, 9), (3, 9.5)]))
    (case,) = verdict.anomalies["gauge-over-bound"]
    assert "It was 9.5 at 3.000 s" in case.message


@pytest.mark.parametrize(
    ("restarts", "lives", "valid"),
    [(True, [0, 0, 1, 1], True), (False, [0, 0, 1, 1], False), (True, [0, 0, 0, 1], False)],
)
def test_what_never_falls_may_begin_anew_with_its_process(
    restarts: bool, lives: list[int], valid: bool
) -> None:
    gauge = {"name": "pending", "never_falls": True, "restarts": restarts}
    verdict = judge(gauge, series([(1, 3), (2, 4), (3, 2), (4, 5)], lives=lives))
    assert verdict.valid is valid
    assert list(verdict.anomalies) == ([] if valid else ["gauge-fell"])


def test_what_is_the_same_everywhere_is_so_in_the_end() -> None:
    gauge = {"name": "pending", "same_everywhere": True, "within_s": 5.0}
    one = series([(1, 3), (33, 4), (40, 8)])
    assert judge(gauge, one, series([(1, 2), (33, 3), (38, 8)], node="n2")).valid is True
    verdict = judge(gauge, one, series([(1, 2), (33, 8), (38, 9)], node="n2"))
    (case,) = verdict.anomalies["gauge-unequal"]
    assert case.data["values"] == {"n1": 8.0, "n2": 9.0}
    early = judge(gauge, one, series([(1, 2), (33, 8), (34, 9)], node="n2"))
    assert early.valid == "unknown"


def rising(after: float | None) -> Series:
    """Load that adds one a second; in the quiet it is ``after``, or still what it was."""
    load = [(float(at), float(at)) for at in np.arange(0.5, 31, 0.5)]
    return series([*load, (33.0, load[-1][1] if after is None else after)])


def test_a_rise_that_was_promised_nothing_is_a_warning_unless_it_comes_down() -> None:
    verdict = judge({"name": "pending"}, rising(None))
    assert verdict.valid is True
    (warning,) = verdict.warnings
    assert "rose through the whole of the load" in warning
    assert judge({"name": "pending"}, rising(5.0)).warnings == ()
    assert judge({"name": "pending", "grows": True}, rising(None)).warnings == ()
    assert judge({"name": "pending"}, rising(None), quiet=None).warnings == ()


def test_floors_are_told_for_comparing_runs() -> None:
    verdict = judge(PENDING, series(loaded()), series([(1, 3), (2, 3), (33, 5)], node="n2"))
    assert verdict.stats["floors"] == {"pending": 5.0}
