"""The checker ``metrics``: what the system's own figures must not do.

A leak shows in no answer: replicas agree, reads are right, and a count of what is pending creeps
up by a quarter of a percent a day until the memory is full. So a system says of its gauges what
they promise (:class:`harness.contract.metrics.Gauge`), and each promise is held against the samples
of every node: to come back to a floor when the load is over and all is healed, to stay under a
bound, never to fall, to be the same on all nodes in the end. A gauge that was promised nothing and
rises without end (:mod:`checkers.run.trend`), and does not come down when the load is over, is a
warning and breaks nothing.

Sound: a promise is broken only by samples that were had. Where these are too few, or too early, the
answer is ``unknown``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from harness.verdict.record import Record
from harness.verdict.verdict import UNKNOWN, Anomaly, Budget, Checker, Verdict

if TYPE_CHECKING:
    from harness.verdict.metrics import Series

NOT_RETURNED: Final = "gauge-not-returned"
OVER_BOUND: Final = "gauge-over-bound"
FELL: Final = "gauge-fell"
UNEQUAL: Final = "gauge-unequal"
BASELINE: Final = "baseline"
FEWEST: Final = 3
"""Samples of a gauge that promises something, below which nothing is known of it."""
SETTLE: Final = (
    "a longer --time-limit, so that it is sampled more often; the nodes' logs say whether they"
    " could tell it"
)
LOOK: Final = (
    "; look at its plot in the report, and run for longer: a leak goes on, what fills does not"
)


@dataclass
class _Found:
    """What a look at the gauges gave."""

    anomalies: dict[str, list[Anomaly]] = field(default_factory=dict)
    doubts: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def accuse(self, kind: str, message: str, **data: Any) -> None:
        self.anomalies.setdefault(kind, []).append(Anomaly(message=message, data=data))


@dataclass(frozen=True)
class _Run:
    """When the load was, and from when on it was over and all healed (ns; ``None``: never)."""

    load: tuple[int, int] | None
    quiet: int | None


class Metrics:
    """No options: what is promised stands in the run's facts."""

    name = "metrics"
    reads = frozenset({"run"})

    def __init__(self, options: Mapping[str, Any]) -> None:
        del options

    def check(self, record: Record, budget: Budget) -> Verdict:
        """Invalid if a promise is broken; ``unknown`` if one could not be looked at."""
        facts = record.run or {}
        phases = facts.get("phases") or {}
        run = _Run(tuple(phases["run"]) if "run" in phases else None, _begin(phases.get("quiet")))
        sampled = () if record.metrics is None else record.metrics.series
        found, floors = _Found(), {}
        for gauge in facts.get("gauges") or ():
            budget.spend_check("looking at the gauges")
            series = [each for each in sampled if each.name == gauge["name"]]
            _judge(gauge, series, run, found)
            floor = _floor(series, run)
            if floor is not None and not (gauge.get("grows") or gauge.get("never_falls")):
                floors[gauge["name"]] = floor
        stats = {
            "series": len(sampled),
            "samples": sum(map(len, sampled)),
            "floors": floors,
        }
        return _verdict(found, stats)


def _verdict(found: _Found, stats: dict[str, Any]) -> Verdict:
    warnings = tuple(found.warnings)
    if found.anomalies:
        first = next(iter(found.anomalies.values()))[0]
        return Verdict(
            valid=False,
            why=first.message.partition(". ")[0].rstrip("."),
            anomalies=found.anomalies,
            stats=stats,
            warnings=warnings,
        )
    if found.doubts:
        why = "; ".join(dict.fromkeys(found.doubts))
        return Verdict(valid=UNKNOWN, why=why, settle=SETTLE, stats=stats, warnings=warnings)
    return Verdict(valid=True, stats=stats, warnings=warnings)


def _begin(span: Sequence[int] | None) -> int | None:
    return None if span is None else span[0]


def _judge(gauge: Mapping[str, Any], series: Sequence[Series], run: _Run, found: _Found) -> None:
    promised = [rule for asked, rule in RULES if asked(gauge)]
    if not promised:
        for each in series if not gauge.get("grows") else ():
            _warn_of_trend(each, run, found)
        return
    if max(map(len, series), default=0) < FEWEST:
        had = sum(map(len, series))
        found.doubts.append(f"{gauge['name']} was sampled {had} times, which tells nothing of it")
        return
    for rule in promised:
        rule(gauge, series, run, found)


def _floor(series: Sequence[Series], run: _Run) -> float | None:
    """The lowest that the gauge came to in the quiet, on the node where that was most."""
    if run.quiet is None:
        return None
    lowest = [float(quiet.value.min()) for each in series if len(quiet := each.since(run.quiet))]
    return max(lowest, default=None)


# -- promises -------------------------------------------------------------------------------------


def _returns(gauge: Mapping[str, Any], series: Sequence[Series], run: _Run, found: _Found) -> None:
    """Once the load is over and all is healed, each series comes to its floor in its time."""
    if run.quiet is None:
        found.doubts.append(
            f"whether {gauge['name']} comes back is not known, for the run ended before the quiet"
        )
        return
    for each in series:
        before = each.before(run.load[0]) if run.load is not None else each.before(0)
        is_baseline = gauge["returns_to"] == BASELINE
        if is_baseline and not len(before):
            found.doubts.append(f"{each.title} was not sampled before the load")
            continue
        floor = float(before.value.max()) if is_baseline else float(gauge["returns_to"])
        quiet, limit = each.since(run.quiet), floor + float(gauge.get("slack", 0.0))
        if not len(quiet):
            found.doubts.append(f"{each.title} was not told any more once the load was over")
            continue
        if float(quiet.value.min()) <= limit:
            continue
        within_s = float(gauge.get("within_s", 10.0))
        watched_s = (int(quiet.time[-1]) - run.quiet) / 1e9
        if watched_s < within_s:
            found.doubts.append(
                f"{each.title} was {quiet.value[-1]:g} after {watched_s:.1f} s, of {within_s:g} s"
                " that it may take to come back"
            )
            continue
        was = "what it was before the load" if is_baseline else "its floor"
        found.accuse(
            NOT_RETURNED,
            f"{each.title} did not come back. {watched_s:.1f} s after the load was over and every"
            f" fault healed it was {quiet.value[-1]:g}, and never below {quiet.value.min():g} in"
            f" that time; promised is {limit:g} ({was}{_slack(gauge)}) within {within_s:g} s."
            f" Under load it was {each.value.max():g} at most.",
            node=each.node,
            gauge=each.name,
            floor=floor,
            last=float(quiet.value[-1]),
        )


def _slack(gauge: Mapping[str, Any]) -> str:
    return f" and {gauge['slack']:g}" if gauge.get("slack") else ""


def _bounded(gauge: Mapping[str, Any], series: Sequence[Series], run: _Run, found: _Found) -> None:
    bound = float(gauge["at_most"])
    for each in series:
        over = each.value > bound
        if over.any():
            first = int(over.argmax())
            found.accuse(
                OVER_BOUND,
                f"{each.title} was over its bound. It was {each.value[first]:g} at"
                f" {each.time[first] / 1e9:.3f} s, and {each.value.max():g} at most; promised is"
                f" {bound:g} ({int(over.sum())} of {len(each)} samples are higher).",
                node=each.node,
                gauge=each.name,
                most=float(each.value.max()),
            )


def _never_falls(
    gauge: Mapping[str, Any], series: Sequence[Series], run: _Run, found: _Found
) -> None:
    for each in series:
        falls = each.value[1:] < each.value[:-1]
        if gauge.get("restarts", True):
            falls &= each.life[1:] == each.life[:-1]
        if falls.any():
            at = int(falls.argmax())
            found.accuse(
                FELL,
                f"{each.title} fell. It was {each.value[at]:.17g} at {each.time[at] / 1e9:.3f} s,"
                f" and {each.value[at + 1]:.17g} at {each.time[at + 1] / 1e9:.3f} s; it is promised"
                " never to fall"
                + (" while its process lives." if gauge.get("restarts", True) else "."),
                node=each.node,
                gauge=each.name,
                falls=int(falls.sum()),
            )


def _same(gauge: Mapping[str, Any], series: Sequence[Series], run: _Run, found: _Found) -> None:
    """In the end all nodes tell the same, for each set of labels."""
    if run.quiet is None:
        found.doubts.append(
            f"whether {gauge['name']} is the same on all nodes is not known, for the run ended"
            " before the quiet"
        )
        return
    by_labels: dict[tuple[tuple[str, str], ...], list[Series]] = {}
    for each in series:
        by_labels.setdefault(tuple(sorted(each.labels.items())), []).append(each)
    for group in by_labels.values():
        quiet = [each.since(run.quiet) for each in group]
        silent = [each.title for each in quiet if not len(each)]
        if silent:
            found.doubts.append(f"{silent[0]} was not told any more once the load was over")
            continue
        if _were_ever_equal(quiet):
            continue
        last = {each.node: float(each.value[-1]) for each in quiet}
        within_s = float(gauge.get("within_s", 10.0))
        watched_s = (min(int(each.time[-1]) for each in quiet) - run.quiet) / 1e9
        told = ", ".join(f"{node}: {value:.17g}" for node, value in last.items())
        if watched_s < within_s:
            found.doubts.append(
                f"{gauge['name']} was not the same on all nodes yet ({told}) after"
                f" {watched_s:.1f} s of the {within_s:g} s that it may take"
            )
            continue
        found.accuse(
            UNEQUAL,
            f"{gauge['name']} is not the same on all nodes. {watched_s:.1f} s after the load was"
            f" over and every fault healed it was {told}; promised is the same everywhere within"
            f" {within_s:g} s.",
            gauge=gauge["name"],
            values=last,
        )


def _were_ever_equal(quiet: Sequence[Series]) -> bool:
    """Whether at some time all had last told the same: they are asked one after the other."""
    samples = sorted(
        (int(time), at, float(value))
        for at, each in enumerate(quiet)
        for time, value in zip(each.time, each.value, strict=True)
    )
    told: dict[int, float] = {}
    for _, at, value in samples:
        told[at] = value
        if len(told) == len(quiet) and len(set(told.values())) == 1:
            return True
    return False


Rule = Callable[[Mapping[str, Any], "Sequence[Series]", _Run, _Found], None]
RULES: Final[Sequence[tuple[Callable[[Mapping[str, Any]], bool], Rule]]] = (
    (lambda gauge: gauge.get("returns_to") is not None, _returns),
    (lambda gauge: gauge.get("at_most") is not None, _bounded),
    (lambda gauge: bool(gauge.get("never_falls")), _never_falls),
    (lambda gauge: bool(gauge.get("same_everywhere")), _same),
)
"""Whether something is promised, and what looks at it."""


# -- what was promised nothing -------------------------------------------------------------------


def _warn_of_trend(series: Series, run: _Run, found: _Found) -> None:
    found.warnings += list(_rises(series, run))


def _rises(series: Series, run: _Run) -> Iterator[str]:
    """That it rose through the load and did not come down after it, within one life."""
    if run.load is None or run.quiet is None:
        return
    last = series.since(run.quiet)
    if not len(last) or series.life[0] != series.life[-1]:
        return
    loaded = series.since(run.load[0]).before(run.load[1])
    if len(loaded) < FEWEST or loaded.value.max() <= loaded.value.min():
        return
    from checkers.run.trend import CONFIDENCE, trend_of

    trend = trend_of(loaded.time / 1e9, loaded.value)
    if trend is None or float(last.value.min()) < trend.begin_value + trend.rise / 2:
        return
    yield (
        f"{series.title} rose through the whole of the load and did not come down after it: from"
        f" {trend.begin_value:.4g} at {trend.begin_s:.0f} s to {trend.end_value:.4g} at"
        f" {trend.end_s:.0f} s, by {trend.slope:.3g} a second ({trend.low:.3g} to"
        f" {trend.high:.3g} with {CONFIDENCE:.1%} confidence), and {last.value[-1]:g} in the end"
        f"{LOOK}"
    )


CHECKERS: Final[Mapping[str, Callable[[Mapping[str, Any]], Checker]]] = {Metrics.name: Metrics}
