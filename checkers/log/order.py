"""Errors of order: what one operation, or one process, polled and sent, by rank in the log.

Within an operation the ranks of the messages that it polled of one key must rise by one
(``int-poll-skip`` over known messages, ``int-nonmonotonic-poll``), and so must the first of an
operation follow the last of the process's operation before (``poll-skip``,
``nonmonotonic-poll``), until it is assigned other keys. Sends must rise (``nonmonotonic-send``).
A real-time lag is how long a message had been known when a poll began that did not reach it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

from checkers.log.evidence import (
    ASSIGNS,
    FINAL_POLL,
    Evidence,
    Message,
    Shelf,
    Work,
    call_number,
    key_name,
)
from checkers.proof.findings import Findings
from harness.history.calls import Call, is_measured

POLL_SKIP: Final = "poll-skip"
POLL_BACK: Final = "nonmonotonic-poll"
SEND_BACK: Final = "nonmonotonic-send"
INTERNAL: Final = "int-"


@dataclass(frozen=True)
class Lag:
    """The worst lag: ``poll`` of ``key`` missed a message known for ``seconds``."""

    seconds: float
    key: str
    process: Any
    poll: int

    def as_json(self) -> dict[str, Any]:
        """For ``stats``."""
        return {
            "seconds": round(self.seconds, 6),
            "key": self.key,
            "process": self.process,
            "poll": self.poll,
        }


def find_order(findings: Findings, evidence: Evidence) -> int:
    """Tell of every error of order; how often others' messages lie between two of one operation."""
    skips = 0
    for work in evidence.works:
        for key, messages in work.polls.items():
            _find_within(findings, evidence.shelf(key), messages)
        for key, messages in work.sends.items():
            skips += _find_sends_within(findings, evidence.shelf(key), messages)
    by_process: dict[Any, list[Call]] = {}
    works = {call_number(work.call): work for work in evidence.works}
    for call in evidence.calls:
        by_process.setdefault(call.process, []).append(call)
    for done in by_process.values():
        _follow(findings, evidence, done, works)
    return skips


def _find_within(findings: Findings, shelf: Shelf, messages: Sequence[Message]) -> None:
    known = [message for message in messages if message.offset is not None]
    for before, after in pairwise(known):
        _compare_polls(findings, shelf, before, after, INTERNAL)


def _compare_polls(
    findings: Findings, shelf: Shelf, before: Message, after: Message, prefix: str
) -> None:
    assert before.offset is not None
    assert after.offset is not None
    step = shelf.rank[after.offset] - shelf.rank[before.offset]
    first, second = ("T1", "T1") if before.call is after.call else ("T1", "T2")
    involved = [before.call] if before.call is after.call else [before.call, after.call]
    reads = f"{first} polled {before}, and next {second} polled {after}"
    if step > 1:
        skipped = shelf.between(before.offset, after.offset)
        told = ", ".join(f"{message.shown} at {message.offset}" for message in skipped[:6])
        witness = [message.call for message in skipped[:2]]
        reasons = [f"{reads}.", f"Between them stand {len(skipped)} messages: {told}."]
        findings.add(prefix + POLL_SKIP, [*involved, *witness], reasons, key=shelf.key)
    elif step < 1:
        reasons = [f"{reads}: that is no step forward."]
        findings.add(prefix + POLL_BACK, involved, reasons, key=shelf.key)


def _find_sends_within(findings: Findings, shelf: Shelf, messages: Sequence[Message]) -> int:
    skips = 0
    known = [message for message in messages if message.offset is not None]
    for before, after in pairwise(known):
        step = shelf.rank[after.offset or 0] - shelf.rank[before.offset or 0]
        if step < 1:
            reasons = [f"T1 sent {before}, and next {after}, which stands no later."]
            findings.add(INTERNAL + SEND_BACK, [before.call], reasons, key=shelf.key)
        skips += step > 1
    return skips


def _follow(
    findings: Findings, evidence: Evidence, done: Sequence[Call], works: dict[int, Work]
) -> None:
    """Compare each operation of one process with what it polled and sent before."""
    polled: dict[str, Message] = {}
    sent: dict[str, Message] = {}
    for call in done:
        if call.f in ASSIGNS:
            polled = _after_assignment(call, polled)
            continue
        work = works.get(call_number(call))
        if work is None or not call.ok or call.f == FINAL_POLL:
            continue
        for key, messages in work.polls.items():
            known = [message for message in messages if message.offset is not None]
            if known and key in polled:
                _compare_polls(findings, evidence.shelf(key), polled[key], known[0], "")
            polled.update({key: known[-1]} if known else {})
        _follow_sends(findings, work, sent)


def _follow_sends(findings: Findings, work: Work, sent: dict[str, Message]) -> None:
    for key, messages in work.sends.items():
        known = [message for message in messages if message.offset is not None]
        if not known:
            continue
        before = sent.get(key)
        if before is not None and (known[0].offset or 0) <= (before.offset or 0):
            reasons = [
                f"T1 sent {before}; T2, by the same process, then sent {known[0]}: no later."
            ]
            findings.add(SEND_BACK, [before.call, work.call], reasons, key=key)
        sent[key] = known[-1]


def _after_assignment(call: Call, polled: dict[str, Message]) -> dict[str, Message]:
    """The positions that a process keeps after it was given other keys."""
    extra = {**(call.invocation.extra or {}), **(call.last.extra or {})}
    if extra.get("seek-to-beginning?") or not isinstance(call.value, list):
        return {}
    kept = {key_name(key) for key in call.value}
    return {key: message for key, message in polled.items() if key in kept}


def worst_lag(evidence: Evidence) -> Lag | None:
    """The longest time that a message had been known when a poll began that fell short of it."""
    known = {key: _known_since(shelf, evidence) for key, shelf in evidence.shelves.items()}
    worst: Lag | None = None
    for work in evidence.works:
        for key, messages in work.polls.items():
            offsets = [message.offset for message in messages if message.offset is not None]
            if not offsets:
                continue
            rank = evidence.shelf(key).rank[max(offsets)] + 1
            since = known[key][rank] if rank < len(known[key]) else None
            begun = work.call.invocation
            if since is None or not is_measured(begun.time, begun.index):
                continue
            late_ns = begun.time - since
            if late_ns > 0 and (worst is None or late_ns > worst.seconds * 1e9):
                poll = work.call.last.index
                worst = Lag(late_ns / 1e9, key, work.call.process, poll)
    return worst


def _known_since(shelf: Shelf, evidence: Evidence) -> list[int]:
    """For each rank, when an operation was first answered that shows it or a later one."""
    times = [1 << 62] * len(shelf.offsets)
    for messages in [*shelf.sends.values(), *shelf.polls.values()]:
        for message in messages:
            if message.call.ok and message.offset is not None:
                rank = shelf.rank[message.offset]
                times[rank] = min(times[rank], message.call.last.time)
    for rank in range(len(times) - 2, -1, -1):
        times[rank] = min(times[rank], times[rank + 1])
    return times
