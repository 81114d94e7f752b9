"""The pages of the served index. Every word of theirs that comes from a run is escaped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Any

from harness.report.display import visible
from harness.serve.catalogue import Row

SIGNS = {"valid": "✓", "invalid": "✗", "unknown": "?", "none": "·"}
WORDS = {"valid": "valid", "invalid": "invalid", "unknown": "unknown", "none": "no verdict"}
MOST_ROWS = 500
MOST_DAYS = 60
POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self';"
    " form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)


def index_page(
    rows: Sequence[Row],
    choices: Mapping[str, Sequence[str]],
    wanted: Mapping[str, str],
    soaks: Sequence[Mapping[str, Any]],
) -> str:
    """The list of runs that fit ``wanted``, the newest first, with counts and a trend by day."""
    counts = {verdict: sum(row.verdict == verdict for row in rows) for verdict in SIGNS}
    return _render(
        "index.html.j2",
        rows=rows[:MOST_ROWS],
        left_out=max(0, len(rows) - MOST_ROWS),
        total=len(rows),
        counts=counts,
        rate=rate(counts),
        choices=choices,
        wanted=wanted,
        soaks=soaks,
        days=trend(rows),
    )


def live_page(path: str) -> str:
    """The page that follows a run in progress."""
    return _render("live.html.j2", path=path)


def rate(counts: Mapping[str, int]) -> str:
    """Violations among decided runs, with the exact interval; nothing where none was decided."""
    from harness.soak.statistics import estimate

    decided = counts["valid"] + counts["invalid"]
    if not decided:
        return ""
    found = estimate(decided, counts["invalid"], 0.95, "fixed-n")
    return (
        f"{counts['invalid']} of {decided} decided runs are invalid: between"
        f" {found.low * 100:.3g} % and {found.high * 100:.3g} % (95 %, Clopper and Pearson,"
        " were these runs of one kind and their number set beforehand)"
    )


def trend(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Counts by day and verdict, the oldest first, as heights of bars from 0 to 100."""
    days: dict[str, dict[str, int]] = {}
    for row in rows:
        counts = days.setdefault(row.began[:10], dict.fromkeys(SIGNS, 0))
        counts[row.verdict] += 1
    chosen = sorted(days.items())[-MOST_DAYS:]
    most = max((sum(counts.values()) for _, counts in chosen), default=1)
    return [
        {
            "day": day,
            "counts": counts,
            "heights": {verdict: 100 * n / most for verdict, n in counts.items()},
        }
        for day, counts in chosen
    ]


@cache
def _environment() -> Any:
    from jinja2 import Environment, FunctionLoader, StrictUndefined

    environment = Environment(
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        loader=FunctionLoader(asset),
    )
    environment.globals.update(signs=SIGNS, words=WORDS)
    environment.filters["visible"] = visible
    return environment


def asset(name: str) -> str:
    """The text of one of our own files."""
    return (files("harness.serve") / "assets" / name).read_text("utf-8")


def style() -> str:
    """The report's style and the index's own."""
    report = (files("harness.report") / "assets" / "report.css").read_text("utf-8")
    return report + asset("index.css")


def _render(name: str, **values: Any) -> str:
    text: str = _environment().get_template(name).render(**values)
    return text
