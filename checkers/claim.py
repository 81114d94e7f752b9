"""From anomalies to a verdict against the claim, for the checkers that look for one thing.

An anomaly has a *meaning*: the anomalies of Elle's catalogue that it is, or the models that it
contradicts. Together with the lattice of :mod:`checkers.elle.models` that says which models are
ruled out. As Elle does, an anomaly that no claimed model forbids leaves the answer valid (write
skew is what snapshot isolation allows); it is then counted under ``permitted``. Where nothing is
claimed, every anomaly makes the answer invalid.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from checkers.elle.models import canonical, friendly, impossible, stronger_models, weakest
from checkers.proof import SHOWN_CASES
from harness.history.record import Record
from harness.history.verdict import UNKNOWN, Anomaly, Verdict


@dataclass(frozen=True, kw_only=True)
class Meaning:
    """What an anomaly is, in Elle's names, and models that it contradicts by itself."""

    anomalies: tuple[str, ...] = ()
    models: tuple[str, ...] = ()


@dataclass
class Cases:
    """Anomalies found, by type; all are counted, the first few are kept with their proof."""

    counts: dict[str, int] = field(default_factory=dict)
    shown: dict[str, list[Anomaly]] = field(default_factory=dict)

    def wants(self, kind: str) -> bool:
        """Count one case of ``kind``; whether its proof should be given to :meth:`keep`."""
        self.counts[kind] = self.counts.get(kind, 0) + 1
        return self.counts[kind] <= SHOWN_CASES

    def keep(self, kind: str, case: Anomaly) -> None:
        """Keep the proof of a case that was wanted."""
        self.shown.setdefault(kind, []).append(case)


def claims(record: Record, options: Mapping[str, Any]) -> tuple[str, ...]:
    """The models to judge against: by option, else by the history's header."""
    for found in (options.get("consistency_models"), options.get("claims"), record.header.claims):
        if found:
            names = found.split(",") if isinstance(found, str) else found
            return tuple(name.strip() for name in names if name.strip())
    return ()


def judged(
    record: Record,
    options: Mapping[str, Any],
    cases: Cases,
    meanings: Mapping[str, Meaning],
    *,
    stats: Mapping[str, Any],
    unknown: str = "",
) -> Verdict:
    """The verdict on ``cases``. ``unknown`` says why their absence would prove nothing."""
    meant = [meanings[kind] for kind in cases.counts]
    out = impossible([name for meaning in meant for name in meaning.anomalies])
    out |= stronger_models([model for meaning in meant for model in meaning.models])
    claimed = claims(record, options)
    broken = [model for model in claimed if canonical(model) in out]
    counted = ", ".join(f"{count} {kind}" for kind, count in sorted(cases.counts.items()))
    facts = dict(stats)
    if cases.counts and (broken or not claimed):
        least = weakest(out)
        return Verdict(
            valid=False,
            why=f"found {counted}",
            anomalies=cases.shown,
            not_=tuple(sorted(friendly(model) for model in least)),
            also_not=tuple(sorted(friendly(model) for model in out - least)),
            stats=facts,
        )
    if cases.counts:
        facts["permitted"] = dict(cases.counts)
    if unknown:
        return Verdict(valid=UNKNOWN, why=unknown, stats=facts)
    return Verdict(valid=True, stats=facts)


def listed(items: Sequence[Any], most: int = 8) -> str:
    """``a, b and 3 more``."""
    shown = ", ".join(str(item) for item in items[:most])
    return shown if len(items) <= most else f"{shown} and {len(items) - most} more"
