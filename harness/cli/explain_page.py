"""The catalogue of anomalies and models as one Markdown page: docs/anomalies.md."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from harness.cli.explain_text import sections, verdict_of

if TYPE_CHECKING:
    from harness.verdict.explanation import Explanation

INTRODUCTION = """# Anomalies and consistency models

Every anomaly that the checkers name and every model that a verdict can be against. This page is
printed by `polygraph explain --markdown`; `polygraph explain NAME` shows one entry, and a test
feeds each example to its checker and compares the verdict with what stands here.
"""
HEADINGS = {"anomaly": "Anomalies", "model": "Consistency models"}


def page(entries: Sequence[Explanation]) -> str:
    """The whole page; each way to draw a history is explained once, at the top."""
    legends = dict.fromkeys(
        example.legend.split(" Header:")[0]
        for entry in entries
        for example in entry.examples
        if example.legend
    )
    parts = [INTRODUCTION, "## How to read the examples\n"]
    parts += [f"* {legend}" for legend in legends]
    for kind, heading in HEADINGS.items():
        parts.append(f"\n## {heading}\n")
        for entry in (each for each in entries if each.kind == kind):
            parts += _entry(entry)
    return "\n".join(parts).rstrip("\n") + "\n"


def _entry(entry: Explanation) -> Iterator[str]:
    yield f"### {entry.name}\n"
    if entry.names[1:]:
        yield f"Also called {', '.join(entry.names[1:])}.\n"
    yield f"{entry.text}\n"
    for example in entry.examples:
        header = example.legend.partition(" Header: ")[2]
        told = f" The header says {header}" if header else ""
        yield f"```\n{example.drawing.strip(chr(10))}\n```\n"
        verdict = verdict_of(example)
        yield f"{verdict[:1].upper()}{verdict[1:]}.{told}\n"
    for heading, words in sections(entry):
        yield f"* {heading}: {words}"
    yield ""
