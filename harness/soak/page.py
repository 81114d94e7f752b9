"""The page of a soak: one file that works from a disk with the network off, like a run's report."""

from __future__ import annotations

import json
import os
from base64 import b64encode
from collections.abc import Mapping
from hashlib import sha256
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.parse import quote

from harness.report.display import visible
from harness.report.templates import environment
from harness.soak.summary import never_reached
from harness.store.runs import write_text

SIGNS = (("passed", "✓"), ("violation", "✗"), ("unknown", "?"), ("infrastructure", "!"))
_LATER: dict[str, Any] = {
    "cells": [],
    "worst_case": "",
    "by_exposure": [],
    "milestones": [],
    "slowest": [],
    "oddest": [],
    "creeping": [],
}
"""What older summaries do not have."""
WORDS = {
    "passed": "passed",
    "violation": "violation",
    "unknown": "unknown",
    "infrastructure": "infrastructure",
}


def write_page(folder: Path, summary: Mapping[str, Any]) -> Path:
    """Write ``index.html`` into the soak's ``folder``; returns its path."""
    path = folder / "index.html"
    write_text(path, page(folder, summary, reports_from(folder, summary)))
    return path


def reports_from(folder: Path, summary: Mapping[str, Any]) -> dict[int, str]:
    """The way from ``folder`` to the report of each run that has one, as a relative address."""
    found = {}
    for run in summary["results"]:
        report = Path(run["run_dir"] or folder / "none") / "report.html"
        if report.is_file():
            found[run["number"]] = quote(os.path.relpath(report, folder))
    return found


def page(folder: Path, summary: Mapping[str, Any], reports: Mapping[int, str]) -> str:
    """The page's HTML; ``reports`` are links by number of run.

    Foreign text is made visible first and escaped by the template.
    """
    template = environment("harness.soak", __file__, _asset).get_template("soak.html.j2")
    shown, script = {**_LATER, **_visible(summary)}, _asset("soak.js")
    shown["results"] = [{"cell": "", **run} for run in shown["results"]]
    asked = shown["scenario"].items()
    scenario = "\n".join(f"{key} = {json.dumps(value, default=str)}" for key, value in asked)
    text: str = template.render(
        title=_title(shown["scenario"]),
        headline=headline(summary),
        worst=worst(summary),
        summary=shown,
        scenario=scenario,
        folder=visible(str(folder)),
        needed=needed(summary),
        never=[visible(line) for line in never_reached(summary)],
        signs=SIGNS,
        sign_of=dict(SIGNS),
        words=WORDS,
        links={run["number"]: reports.get(run["number"], "") for run in summary["results"]},
        script=_own(script),
        script_hash=f"sha256-{b64encode(sha256(script.encode()).digest()).decode()}",
        base_style=_own((files("harness.report") / "assets" / "report.css").read_text("utf-8")),
        own_style=_own(_asset("soak.css")),
    )
    return text


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
    confidence = f"{_confidence(summary) * 100:.4g} %"
    if summary.get("known") == "above":
        return f"That the failure rate is above {rate} is shown, with {confidence} confidence."
    if more is None:
        return ""
    if more == 0:
        return f"That the failure rate is at most {rate} is shown, with {confidence} confidence."
    return f"{more} further runs must pass to show, with {confidence}, that it is at most {rate}."


def _confidence(summary: Mapping[str, Any]) -> float:
    """That of the intervals; older summaries say it with their one estimate."""
    return float(summary.get("confidence") or summary["estimate"]["confidence"])


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


def _own(text: str) -> Any:
    """Our own style or script: not to be escaped, and without what could end it."""
    from markupsafe import Markup

    assert "</" not in text
    return Markup(text)
