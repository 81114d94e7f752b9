"""The pages of the served index. Every word of theirs that comes from a run is escaped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Any
from urllib.parse import urlencode

from harness.report.display import visible
from harness.serve.catalogue import State
from harness.serve.rows import Row, address

SIGNS = {"valid": "✓", "invalid": "✗", "unknown": "?", "none": "·", "unreadable": "!"}
WORDS = {
    "valid": "valid",
    "invalid": "invalid",
    "unknown": "unknown",
    "none": "no verdict",
    "unreadable": "unreadable",
}
MOST_ROWS = 500
"""Runs on one page."""
MOST_DAYS = 60


def index_page(state: State, wanted: Mapping[str, str], number: int) -> str:
    """The list of runs that fit ``wanted``, the newest first, with counts and a trend by day.

    ``number`` says which page of the list, from 1.
    """
    rows = state.rows(wanted)
    counts = {verdict: sum(row.verdict == verdict for row in rows) for verdict in SIGNS}
    pages = max(1, -(-len(rows) // MOST_ROWS))
    number = min(max(number, 1), pages)
    first = (number - 1) * MOST_ROWS
    return _render(
        "index.html.j2",
        rows=rows[first : first + MOST_ROWS],
        first=first,
        number=number,
        pages=pages,
        query=urlencode(wanted),
        total=len(rows),
        counts=counts,
        rate=rate(counts),
        choices=state.choices,
        wanted=wanted,
        soaks=state.soaks,
        days=trend(rows),
        troubles=state.troubles,
    )


def live_page(path: str) -> str:
    """The page that follows a run in progress."""
    return _render("live.html.j2", path=path)


def undrawn_page(name: str, why: str) -> str:
    """The page instead of one that cannot be drawn."""
    return _render("undrawn.html.j2", what=name, why=why)


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
        if not row.began:
            continue
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
    environment.filters.update(visible=visible, address=address)
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
