"""Words that every form of an entry of the catalogue shares."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from harness.verdict.verdict import UNKNOWN

if TYPE_CHECKING:
    from harness.verdict.explanation import Example, Explanation


def verdict_of(example: Example) -> str:
    """What the checker says of an example, in a line."""
    claims = example.options.get("claims")
    against = f", against {', '.join(claims)}" if claims else ""
    word = "unknown" if example.valid == UNKNOWN else "valid" if example.valid else "invalid"
    found = f": {', '.join(example.expects)}" if example.expects else ""
    return f"{word} by the checker {example.checker}{against}{found}"


def sections(entry: Explanation) -> Iterator[tuple[str, str]]:
    """What stands below the example, as heading and words."""
    if entry.rules_out:
        yield "Rules out", ", ".join(entry.rules_out)
    if entry.also_rules_out:
        yield "And with these", ", ".join(entry.also_rules_out)
    for heading, names in entry.facts.items():
        if names:
            yield heading[:1].upper() + heading[1:], ", ".join(names)
    if entry.sources:
        yield "From", "; ".join(map(str, entry.sources))
