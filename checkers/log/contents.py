"""Errors of the log itself: what stands where, what should not be there, what is missing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from checkers.log.evidence import FINAL_POLL, Evidence, Message, Shelf, call_number
from checkers.proof.findings import Findings
from harness.history.calls import Call

INCONSISTENT: Final = "inconsistent-offsets"
DUPLICATE: Final = "duplicate"
G1A: Final = "G1a"
UNEXPECTED: Final = "unexpected"
LOST: Final = "lost-write"
UNSEEN: Final = "unseen"
PRECOMMITTED: Final = "precommitted-read"
PROVED: Final = "a poll showed a message of the same transaction, so all of it was committed"


def find_contents(findings: Findings, evidence: Evidence) -> int:
    """Tell of every error of contents; how many acknowledged messages nobody has polled yet.

    Those may be lost or only not read yet: no poll went past them.
    """
    finals = _final_polls(evidence)
    committed = frozenset(call_number(work.call) for work in evidence.works if work.committed)
    not_yet = 0
    for shelf in evidence.shelves.values():
        _find_inconsistent(findings, shelf)
        _find_duplicates(findings, shelf)
        _find_never_sent(findings, shelf)
        not_yet += _find_missing(findings, shelf, finals.get(shelf.key, ()), committed)
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
    findings: Findings,
    shelf: Shelf,
    finals: Sequence[tuple[Call, set[object]]],
    committed: frozenset[int],
) -> int:
    """Tell of committed messages that polls went past, or that a final poll lacks."""
    polled = [m for messages in shelf.polls.values() for m in messages if m.offset is not None]
    furthest = max(polled, key=lambda message: message.offset or 0, default=None)
    not_yet = 0
    for sends in shelf.sends.values():
        for sent in sends:
            if call_number(sent.call) not in committed or _is_shown(shelf, sent):
                continue
            if _is_past(furthest, sent):
                assert furthest is not None
                known = "that was acknowledged" if sent.call.ok else PROVED
                reasons = [
                    f"T1 sent {sent}, and {known}.",
                    f"T2 polled {furthest}, which comes after it; yet no poll ever showed"
                    f" {sent.shown}: it was lost.",
                ]
                findings.add(LOST, [sent.call, furthest.call], reasons, key=shelf.key)
                break
        else:
            sure = [send for send in sends if call_number(send.call) in committed]
            not_yet += _find_unseen(findings, shelf, sure, finals)
    return not_yet


def _is_shown(shelf: Shelf, sent: Message) -> bool:
    """Whether some poll shows ``sent``: its value, and its offset where that was sent again."""
    if sent.value not in shelf.glimpsed:
        return False
    possible = [send for send in shelf.sends[sent.value] if not send.call.failed]
    where = shelf.glimpsed[sent.value]
    return len(possible) == 1 or sent.offset is None or bool({None, sent.offset} & where)


def _find_unseen(
    findings: Findings,
    shelf: Shelf,
    sends: Sequence[Message],
    finals: Sequence[tuple[Call, set[object]]],
) -> int:
    """Tell of a message of one value that a final poll lacks; 1 if nobody has polled it yet.

    Of a value that was sent more than once the one that some poll showed is enough, unless a final
    poll of the key was to show the others too.
    """
    for sent in sends:
        value = sent.value
        lacks = next((c for c, v in finals if value not in v and c.start > sent.call.end), None)
        if lacks is not None:
            reasons = [
                f"T1 sent {sent}, and that was acknowledged before T2 began.",
                f"T2 read all of key {shelf.key} to its end, and {sent.shown} is not there.",
            ]
            findings.add(UNSEEN, [sent.call, lacks], reasons, key=shelf.key)
            return 0
    left = [sent for sent in sends if not _is_shown(shelf, sent)]
    if len(left) == len(sends):
        return int(bool(left))
    return int(any(final.start > sent.call.end for sent in left for final, _ in finals))


def _is_past(furthest: Message | None, sent: Message) -> bool:
    """Whether a poll showed a message of the log after ``sent``."""
    if furthest is None or furthest.offset is None or sent.offset is None:
        return False
    return furthest.offset > sent.offset


def _find_precommitted(findings: Findings, evidence: Evidence) -> None:
    for work in evidence.works:
        for key, polled in work.polls.items():
            own = next((m for m in polled if evidence.sender(m) is work.call), None)
            if own is not None:
                reasons = [f"T1 polled {own}, which it sent itself and had not committed yet."]
                findings.add(PRECOMMITTED, [work.call], reasons, key=key)
