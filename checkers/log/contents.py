"""Errors of the log itself: what stands where, what should not be there, what is missing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from checkers.calls import Call
from checkers.log.evidence import FINAL_POLL, Evidence, Message, Shelf
from checkers.telling import Findings

INCONSISTENT: Final = "inconsistent-offsets"
DUPLICATE: Final = "duplicate"
G1A: Final = "G1a"
UNEXPECTED: Final = "unexpected"
LOST: Final = "lost-write"
UNSEEN: Final = "unseen"
PRECOMMITTED: Final = "precommitted-read"


def find_contents(findings: Findings, evidence: Evidence) -> int:
    """Tell of every error of contents; how many acknowledged messages nobody has polled yet.

    Those may be lost or only not read yet: no poll went past them.
    """
    finals = _final_polls(evidence)
    not_yet = 0
    for shelf in evidence.shelves.values():
        _find_inconsistent(findings, shelf)
        _find_duplicates(findings, shelf)
        _find_never_sent(findings, shelf)
        not_yet += _find_missing(findings, shelf, finals.get(shelf.key, ()))
    _find_precommitted(findings, evidence)
    return not_yet


def _find_inconsistent(findings: Findings, shelf: Shelf) -> None:
    for offset in shelf.offsets:
        found = list(shelf.at[offset].values())
        if len(found) > 1:
            told = " and ".join(f"{message.shown} (T{n})" for n, message in enumerate(found[:4], 1))
            reasons = [f"Offset {offset} of key {shelf.key} holds {told}: one offset, one message."]
            involved = [message.call for message in found[:4]]
            findings.add(INCONSISTENT, involved, reasons, key=shelf.key, offset=offset)


def _find_duplicates(findings: Findings, shelf: Shelf) -> None:
    places: dict[object, list[Message]] = {}
    for offset in shelf.offsets:
        for value, message in shelf.at[offset].items():
            places.setdefault(value, []).append(message)
    for value, found in places.items():
        sends = [send for send in shelf.sends.get(value, ()) if not send.call.failed]
        if len(found) > max(1, len(sends)):
            told = ", ".join(str(message.offset) for message in found[:8])
            reasons = [
                f"{found[0].shown} stands at {len(found)} offsets of key {shelf.key} ({told});"
                f" the sends of it that may have happened are {len(sends)}."
            ]
            involved = [message.call for message in (*sends[:2], *found[:4])]
            findings.add(DUPLICATE, involved, reasons, key=shelf.key, value=found[0].shown)


def _find_never_sent(findings: Findings, shelf: Shelf) -> None:
    for value, polls in shelf.polls.items():
        sends = shelf.sends.get(value, [])
        first = min(polls, key=lambda message: message.call.end)
        if not sends:
            reasons = [f"T1 polled {first}, and nobody ever tried to send that."]
            findings.add(UNEXPECTED, [first.call], reasons, key=shelf.key)
        elif all(send.call.failed for send in sends):
            reasons = [f"T1 polled {first}, sent by T2, which failed: it never happened."]
            findings.add(G1A, [first.call, sends[0].call], reasons, key=shelf.key)
        elif all(send.call.start > first.call.end for send in sends):
            reasons = [f"T1 polled {first}, and T2, which sent it, began after T1 was over."]
            findings.add(UNEXPECTED, [first.call, sends[0].call], reasons, key=shelf.key)


def _final_polls(evidence: Evidence) -> dict[str, list[tuple[Call, set[object]]]]:
    """For each key: the final polls that read all of it, with the values that they found."""
    found: dict[str, list[tuple[Call, set[object]]]] = {}
    for work in evidence.works:
        if work.call.f == FINAL_POLL and work.call.ok:
            for key in work.polled_keys:
                values: set[object] = {message.value for message in work.polls.get(key, ())}
                found.setdefault(key, []).append((work.call, values))
    return found


def _find_missing(
    findings: Findings, shelf: Shelf, finals: Sequence[tuple[Call, set[object]]]
) -> int:
    """Tell of acknowledged messages that polls went past, or that a final poll lacks."""
    polled = [m for messages in shelf.polls.values() for m in messages if m.offset is not None]
    furthest = max(polled, key=lambda message: message.offset or 0, default=None)
    not_yet = 0
    for value, sends in shelf.sends.items():
        sent = next((send for send in sends if send.call.ok), None)
        if sent is None:
            continue
        lacks = next((c for c, v in finals if value not in v and c.start > sent.call.end), None)
        if value not in shelf.polls and _is_past(furthest, sent):
            assert furthest is not None
            reasons = [
                f"T1 sent {sent}, and that was acknowledged.",
                f"T2 polled {furthest}, which comes after it; yet no poll ever showed"
                f" {sent.shown}: it was lost.",
            ]
            findings.add(LOST, [sent.call, furthest.call], reasons, key=shelf.key)
        elif lacks is not None:
            reasons = [
                f"T1 sent {sent}, and that was acknowledged before T2 began.",
                f"T2 read all of key {shelf.key} to its end, and {sent.shown} is not there.",
            ]
            findings.add(UNSEEN, [sent.call, lacks], reasons, key=shelf.key)
        elif value not in shelf.polls:
            not_yet += 1
    return not_yet


def _is_past(furthest: Message | None, sent: Message) -> bool:
    """Whether a poll showed a message of the log after ``sent``."""
    if furthest is None or furthest.offset is None or sent.offset is None:
        return False
    return furthest.offset > sent.offset


def _find_precommitted(findings: Findings, evidence: Evidence) -> None:
    for work in evidence.works:
        for key, polled in work.polls.items():
            sent = {message.value for message in work.sends.get(key, ())}
            own = next((message for message in polled if message.value in sent), None)
            if own is not None:
                reasons = [f"T1 polled {own}, which it sent itself and had not committed yet."]
                findings.add(PRECOMMITTED, [work.call], reasons, key=key)
