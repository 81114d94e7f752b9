"""What is said when a run or a check is over: the verdict, why, the proof, and what to do next."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from typing import Any

import click

from harness.cli.progress import colours
from harness.cli.speech import say
from harness.judge.claims import DOCUMENTED, NO_MODEL
from harness.verdict.verdict_file import told_counts

WORDS = {True: ("VALID", "green"), False: ("INVALID", "red"), "unknown": ("UNKNOWN", "yellow")}


def say_verdict(verdict: Mapping[str, Any]) -> None:
    """Say the verdict to people, what was done and what was injected."""
    word, colour = WORDS[verdict["valid"]]
    first, *lines = verdict_lines(verdict)
    shown = click.style(word, fg=colour, bold=True) if colours(sys.stdout) else word
    say(first.removeprefix(word), head=shown)
    for line in (*lines, *tally_lines(verdict)):
        say(line)


def verdict_lines(verdict: Mapping[str, Any]) -> Iterator[str]:
    """The verdict and why, what would settle it, and the first case of each anomaly."""
    word, _ = WORDS[verdict["valid"]]
    yield f"{word}  {verdict['why']}" if verdict.get("why") else word
    yield from claim_lines(verdict)
    yield from settle_lines(verdict)
    yield from anomaly_lines(verdict)


def claim_lines(verdict: Mapping[str, Any]) -> Iterator[str]:
    """What is claimed besides the claim that was judged, where that is another one."""
    if other := verdict.get("other_claim"):
        yield f"  {in_words(other)}"


def in_words(claim: Mapping[str, Any]) -> str:
    """A claim that was not judged: by whom it is made, what it promises, where it stands."""
    whose = "documented" if claim["by"] == DOCUMENTED else "taken for granted"
    said = ", ".join(claim["claims"]) or NO_MODEL
    lost = f"; acknowledged writes may be lost: {claim['not_durable']}"
    source = f" ({claim['source']})" if claim["source"] else ""
    how = f"; --claims {claim['by']} judges that"
    return f"{whose}: {said}{lost if claim['not_durable'] else ''}{source}{how}"


def settle_lines(verdict: Mapping[str, Any]) -> Iterator[str]:
    """What would settle each reason of a verdict that is unknown."""
    for step in verdict.get("settle") or ():
        yield f"  {step['about']}"
        yield f"    to settle it: {step['do']}"


def anomaly_lines(verdict: Mapping[str, Any]) -> Iterator[str]:
    """The first case of each type of anomaly, with the number of cases, and what explains them."""
    kinds: dict[str, None] = {}
    for name, part in verdict.get("checkers", {}).items():
        for kind, cases in part.get("anomalies", {}).items():
            yield f"  {name}: {kind}{_count(part, kind, len(cases))}"
            yield from (f"    {line}" for line in str(cases[0]["message"]).splitlines())
            kinds[kind] = None
    for kind in kinds:
        yield f"  what it means: polygraph explain {kind}"


def _count(part: Mapping[str, Any], kind: str, cases: int) -> str:
    """How many cases there are, and how many of them no fault can have caused."""
    calm, placed = (part.get("no_fault") or {}).get(kind) or (0, 0)
    words = [f"1 of {cases}"] if cases > 1 else []
    words += [f"{calm} with no fault in force"] if placed else []
    return f" ({', '.join(words)})" if words else ""


def tally_lines(verdict: Mapping[str, Any]) -> Iterator[str]:
    """Operations by f, faults as injected, bitten and healed, actions as done and refused."""
    for f, counts in verdict.get("operations", {}).items():
        yield f"  {f}: " + ", ".join(f"{n} {type_}" for type_, n in counts.items())
    for fault, counts in verdict.get("faults", {}).items():
        yield f"  {fault}: " + ", ".join(f"{n} {event}" for event, n in told_counts(counts).items())
    if milestones := verdict.get("milestones"):
        yield "  milestones: " + ", ".join(f"{name} {n}" for name, n in milestones.items())
