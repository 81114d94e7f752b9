"""The pages of the served index. Every word of theirs that comes from a run is escaped."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Any
from urllib.parse import urlencode

from harness.report.display import visible
from harness.report.templates import environment
from harness.serve.catalogue import State
from harness.serve.rows import Row, address

SIGNS = {
    "running": "▸",
    "valid": "✓",
    "invalid": "✗",
    "unknown": "?",
    "none": "·",
    "unreadable": "!",
}
WORDS = {
    "running": "running",
    "valid": "valid",
    "invalid": "invalid",
    "unknown": "unknown",
    "none": "ended, no verdict",
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
    found = Counter(row.status for row in rows)
    counts = {status: found[status] for status in SIGNS}
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
        rate=rate(rows),
        alike=Counter(row.kind for row in state.all_rows),
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


def rate(rows: Sequence[Row]) -> str:
    """Violations among decided runs; with the exact interval where all are of one kind.

    Nothing where none was decided. Runs of several kinds are no trials of one thing, of which a
    rate could be estimated.
    """
    from harness.soak.statistics import estimate

    decided = [row for row in rows if row.verdict in ("valid", "invalid")]
    if not decided:
        return ""
    bad = sum(row.verdict == "invalid" for row in decided)
    told = f"{bad:,} of {len(decided):,} decided runs {'is' if bad == 1 else 'are'} invalid"
    kinds = {row.kind for row in decided}
    if len(kinds) > 1 or "" in kinds:
        return f"{told}, of {len(kinds)} kinds." if len(kinds) > 1 else f"{told}."
    found = estimate(len(decided), bad, 0.95, "fixed-n")
    return (
        f"{told}, all of one kind: between {found.low * 100:.3g} % and {found.high * 100:.3g} %"
        " (95 %, Clopper and Pearson, if their number was set beforehand)."
    )


def trend(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Counts by day and status, the oldest first, as heights of bars from 0 to 100."""
    days: dict[str, dict[str, int]] = {}
    for row in rows:
        if not row.began:
            continue
        counts = days.setdefault(row.began[:10], dict.fromkeys(SIGNS, 0))
        counts[row.status] += 1
    if len(days) < 2:
        return []
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
    made = environment("harness.serve", __file__, asset, lstrip_blocks=True)
    made.globals.update(signs=SIGNS, words=WORDS)
    made.filters.update(visible=visible, address=address)
    return made


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
