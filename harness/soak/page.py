"""The page of a soak: one file that works from a disk with the network off, like a run's report."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

from harness.report.display import visible
from harness.run.store import write_text

SIGNS = (("passed", "✓"), ("violation", "✗"), ("unknown", "?"), ("infrastructure", "!"))
WORDS = {
    "passed": "passed",
    "violation": "violation",
    "unknown": "unknown",
    "infrastructure": "infrastructure",
}


def write_page(folder: Path, summary: Mapping[str, Any]) -> Path:
    """Write ``index.html`` into the soak's ``folder``; returns its path."""
    path = folder / "index.html"
    write_text(path, page(folder, summary))
    return path


def page(folder: Path, summary: Mapping[str, Any]) -> str:
    """The page's HTML. Foreign text is made visible first and escaped by the template."""
    from jinja2 import Environment, StrictUndefined

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    template = environment.from_string(_asset("soak.html.j2"))
    shown = _visible(summary)
    scenario = "\n".join(f"{key} = {value!r}" for key, value in shown["scenario"].items())
    return template.render(
        title=_title(shown["scenario"]),
        headline=headline(summary),
        worst=worst(summary),
        summary=shown,
        scenario=scenario,
        folder=visible(str(folder)),
        needed=needed(summary),
        signs=SIGNS,
        sign_of=dict(SIGNS),
        words=WORDS,
        base_style=_style((files("harness.report") / "assets" / "report.css").read_text("utf-8")),
        own_style=_style(_asset("soak.css")),
    )


def headline(summary: Mapping[str, Any]) -> str:
    """The counts in words, what was found first."""
    counts, runs = summary["counts"], summary["runs"]
    parts = [f"{counts['violation']} of {runs} runs broke the claim" if counts["violation"] else ""]
    parts.append(f"{counts['passed']} of {runs} runs passed")
    for outcome in ("unknown", "infrastructure"):
        parts.append(f"{counts[outcome]} {outcome}" if counts[outcome] else "")
    return ", ".join(part for part in parts if part)


def worst(summary: Mapping[str, Any]) -> str:
    """The gravest outcome that occurred."""
    order = ("violation", "infrastructure", "unknown", "passed")
    return next((outcome for outcome in order if summary["counts"][outcome]), "unknown")


def needed(summary: Mapping[str, Any]) -> str:
    """What is still missing to show the rate that was asked for."""
    more, rate = summary["runs_still_needed"], f"{summary['at_most'] * 100:.3g} %"
    confidence = f"{summary['estimate']['confidence'] * 100:.4g} %"
    if more is None:
        return ""
    if more == 0:
        return f"That the failure rate is at most {rate} is shown, with {confidence} confidence."
    return f"{more} further runs must pass to show, with {confidence}, that it is at most {rate}."


def _title(scenario: Mapping[str, Any]) -> str:
    nemesis = scenario.get("nemesis") or "no faults"
    return f"{scenario.get('system')} · {scenario.get('workload', 'register')} · {nemesis}"


def _visible(value: Any) -> Any:
    """``value`` with the text in it made safe to look at."""
    if isinstance(value, str):
        return visible(value)
    if isinstance(value, Mapping):
        return {_visible(key): _visible(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_visible(each) for each in value]
    return value


def _asset(name: str) -> str:
    return (files("harness.soak") / "assets" / name).read_text("utf-8")


def _style(text: str) -> Any:
    """Our own style sheet: not to be escaped, and without the one thing that could end it."""
    from markupsafe import Markup

    assert "</" not in text
    return Markup(text)
