"""In what runs that were made again differ from the one that was: said, never hidden.

A schedule made again is the same plan, not the same run: who leads, who runs and how fast a machine
is may be others by then.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from harness.explore.recorded import Recorded

NOTABLE_NS: Final = 100_000_000
"""An offset that is off by less is the same one."""


def differences(was: Recorded, again: Sequence[Recorded]) -> list[str]:
    """A sentence each; empty where nothing is known to differ."""
    if not again:
        return []
    found = [*_versions(was, again[0]), *_provider(was, again[0])]
    return found + [line for place in range(_count(was)) for line in _of_one(was, again, place)]


def _versions(was: Recorded, now: Recorded) -> Iterator[str]:
    """What took part in another version."""
    if not was.versions or not now.versions:
        return
    for name in sorted({*was.versions, *now.versions}):
        before, after = was.versions.get(name), now.versions.get(name)
        if before != after:
            yield f"{name}: {before or 'not there'} then, {after or 'not there'} now"


def _provider(was: Recorded, now: Recorded) -> Iterator[str]:
    before, after = was.facts.get("provider"), now.facts.get("provider")
    if before and after and before != after:
        yield f"provider: {before} then, {after} now"


def _of_one(was: Recorded, again: Sequence[Recorded], place: int) -> Iterator[str]:
    """How one occurrence went otherwise, and in how many of the runs."""
    planned = was.schedule.occurrences[place]
    before = _told(was, planned.name)
    after = [_told(each, planned.name) for each in again]
    of = f"in %d of {len(again)} runs"
    never = sum("began_s" not in told for told in after)
    if "began_s" in before and never:
        yield f"{planned.name} never began {of % never}"
    begun = [told for told in after if "began_s" in told]
    others = [told for told in begun if told.get("targets") != before.get("targets")]
    if "targets" in before and others:
        hit = sorted({" ".join(map(str, told.get("targets") or ())) or "nobody" for told in others})
        then = " ".join(map(str, before["targets"] or ())) or "nobody"
        yield f"{planned.name} hit {then} then, and {' or '.join(hit)} {of % len(others)}"
    if before.get("bit"):
        toothless = sum(told.get("bit") is False for told in begun)
        if toothless:
            yield f"{planned.name} did not bite {of % toothless}"
    yield from _moments(planned.name, before, begun)


def _moments(name: str, before: Mapping[str, Any], begun: Sequence[Mapping[str, Any]]) -> Any:
    if "began_s" not in before or not begun:
        return
    off_ns = max((round((told["began_s"] - before["began_s"]) * 1e9) for told in begun), key=abs)
    if abs(off_ns) > NOTABLE_NS:
        yield f"{name} began up to {abs(off_ns) / 1e9:.2f} s {'later' if off_ns > 0 else 'sooner'}"


def _told(run: Recorded, name: str) -> Mapping[str, Any]:
    """What happened to the occurrence of that name."""
    for place, each in enumerate(run.schedule.occurrences):
        if each.name == name and place < len(run.happened):
            return run.happened[place]
    return {}


def _count(run: Recorded) -> int:
    return len(run.schedule.occurrences)
