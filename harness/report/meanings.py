"""What an anomaly means, in the words of ``polygraph explain``, for the page that tells of one.

Explanations come by the plug-in table (:mod:`harness.verdict.explanation`): what is built in and
what is installed, never what a run's folder names. A type that nobody explains has no meaning
here, and whatever is wrong with a plug-in spoils no page.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from harness.errors import PolygraphError
from harness.plugins import Registry
from harness.report.display import visible
from harness.verdict.explanation import Explanation


@dataclass(frozen=True, kw_only=True)
class Meaning:
    """One entry of the catalogue: plain words, and the smallest example with how to read it."""

    name: str
    text: str
    rules_out: tuple[str, ...]
    sources: tuple[str, ...]
    drawing: str
    legend: str


def meanings(kinds: Iterable[str]) -> dict[str, Meaning]:
    """The meaning of each type of anomaly that is explained somewhere."""
    wanted = dict.fromkeys(kinds)
    if not wanted:
        return {}
    try:
        registry = Registry(tolerant=True)
        known = set(registry.names("explanations"))
        found = {kind: registry.get("explanations", kind)() for kind in wanted if kind in known}
    except PolygraphError:
        return {}
    return {kind: _meaning(entry) for kind, entry in found.items()}


def _meaning(entry: Explanation) -> Meaning:
    example = entry.examples[0] if entry.examples else None
    return Meaning(
        name=entry.name,
        text=visible(entry.text, 4000),
        rules_out=entry.rules_out,
        sources=tuple(map(str, entry.sources)),
        drawing=visible(example.drawing.strip("\n"), 4000) if example else "",
        legend=visible(example.legend, 2000) if example else "",
    )
