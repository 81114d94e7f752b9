"""The checker ``insert-order``: who sees a later insert of a client sees its earlier ones.

From the sequential test of CockroachDB (elle-cli's model ``sequential``). ``write k`` inserts
the parts of ``k`` one after the other, each in a transaction of its own; ``read k`` looks for
them one by one **in the reverse order** and answers what it found, ``nil`` for a part that was
not there: ``[k, [part_n, …, part_1]]``, or the list alone.

A ``nil`` after something that is not (``trailing-nil``): the reader saw a later insert, and
after that did not see an earlier one. Both are in the order of one client, so in no order that
keeps to the order of each client can that be. Nothing is ever deleted.

A part that was found although every ``write`` of its key began only after the read was over is
``unexpected``. Parts of a key of which the history has no write (though it has others), or only
failed ones (which may have inserted some parts before they failed), are told in ``stats``, and the
answer is then unknown: nobody knows in what order they came. A read that is no list of parts, or
of another key than was asked, is named, and the answer is unknown. Nothing is tested unless a read
looked for two parts, nor against a model without the order of a client. No initial state is known
to this checker.

Cost: one pass.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from checkers.proof.claim import claims
from checkers.proof.findings import LISTED, Findings
from checkers.proof.models import canonical, friendly, stronger_models
from harness.history.calls import Call, calls, name, of, short
from harness.verdict.record import Record
from harness.verdict.steps import MEND_ANSWERS
from harness.verdict.verdict import UNKNOWN, Budget, Verdict

TRAILING: Final = "trailing-nil"
UNEXPECTED: Final = "unexpected"
BROKEN: Final = ("sequential", "strong-session-serializable")
"""What a part missing after a later one contradicts, with everything stronger."""
EMPTY: Final = "a history of keys without parts at first"


class InsertOrder:
    """Judges reads of parts, the last inserted first."""

    name = "insert-order"
    reads = frozenset({"history"})
    operations = frozenset({"write", "read"})

    def __init__(self, options: Mapping[str, Any]) -> None:
        self.options = options

    def check(self, record: Record, budget: Budget) -> Verdict:
        """The verdict on all answered reads."""
        if record.header.initial not in (None, {}):
            return Verdict(
                valid=UNKNOWN, why="insert-order knows no parts there at first", settle=EMPTY
            )
        found = calls(record.history)
        reads = [call for call in of(("read",), found) if call.ok and call.answer is not None]
        odd = next((call for call in reads if _parts(call) is None), None)
        if odd is not None:
            why = f"{odd} answered {short(odd.answer)}, no parts of it"
            return Verdict(valid=UNKNOWN, why=why, settle=MEND_ANSWERS)
        findings = Findings(record)
        counts = {"all-count": 0, "some-count": 0, "none-count": 0, "bad-count": 0}
        bad = []
        for call in reads:
            parts = _parts(call) or []
            counts[_fullness(parts)] += 1
            first = next((n for n, part in enumerate(parts) if part is not None), len(parts))
            late = next((n for n in range(first, len(parts)) if parts[n] is None), None)
            if late is not None:
                counts["bad-count"] += 1
                bad.append(call.answer)
                _report(findings, call, parts, first, late)
        unwritten = _look_for_unexpected(findings, of(("write",), found), reads)
        only_order = set(findings.counts) <= {TRAILING}
        stronger = stronger_models(BROKEN) - set(BROKEN)
        return findings.verdict(
            stats={
                "read-count": len(reads),
                **counts,
                "bad": bad[:LISTED],
                "unwritten": unwritten[:LISTED],
            },
            unknown=f"parts of keys that no write surely wrote: {short(unwritten[:8])}"
            if unwritten
            else "",
            mend="a history with the writes of all keys that are read",
            empty=_untested(claims(record, self.options), reads),
            not_=BROKEN if only_order else (),
            also_not=tuple(sorted(map(friendly, stronger))) if only_order else (),
        )


def _untested(claimed: tuple[str, ...], reads: Sequence[Call]) -> str:
    """Why no answer could have been wrong; empty if one could."""
    if not any(len(_parts(call) or ()) > 1 for call in reads):
        return "no read that looked for two parts was answered"
    if claimed and not stronger_models(BROKEN) & set(map(canonical, claimed)):
        return f"{' nor '.join(claimed)} does not forbid it"
    return ""


def _asked(call: Call) -> Any:
    """What was asked, if the invocation is recorded."""
    return None if call.invocation is call.completion else call.asked


def _key(call: Call) -> Any:
    """The key that a read looked for."""
    answer = call.answer
    if _asked(call) is not None or not isinstance(answer, list | tuple):
        return _asked(call)
    return answer[0] if len(answer) == 2 and isinstance(answer[1], list | tuple) else None


def _look_for_unexpected(
    findings: Findings, writes: Sequence[Call], reads: Sequence[Call]
) -> list[Any]:
    """Tell of parts found before their key was written; the keys that no write surely wrote."""
    begun: dict[Any, Call] = {}
    may_have: set[Any] = set()
    for write in writes:
        key = name(write.value)
        if key not in begun or write.start < begun[key].start:
            begun[key] = write
        if not write.failed:
            may_have.add(key)
    unwritten: dict[Any, Any] = {}
    for call in reads:
        parts, key = _parts(call) or [], _key(call)
        if key is None or not writes or all(part is None for part in parts):
            continue
        if name(key) not in may_have:
            unwritten.setdefault(name(key), key)
        elif begun[name(key)].start > call.end:
            reasons = [
                f"T1 found parts of {short(key)}: {short(list(parts))}.",
                "T2, the first write of that key, began only after T1 was over: a contradiction.",
            ]
            findings.add(UNEXPECTED, [call, begun[name(key)]], reasons, found=list(parts))
    return list(unwritten.values())


def _parts(call: Call) -> Sequence[Any] | None:
    """What ``call`` found, the part inserted last first; ``None`` if it does not say."""
    answer = call.answer
    if not isinstance(answer, list | tuple):
        return None
    if len(answer) == 2 and isinstance(answer[1], list | tuple):
        is_of_it = _asked(call) is None or name(_asked(call)) == name(answer[0])
        return list(answer[1]) if is_of_it else None
    return list(answer)


def _fullness(parts: Sequence[Any]) -> str:
    found = sum(part is not None for part in parts)
    if found == len(parts) and parts:
        return "all-count"
    return "some-count" if found else "none-count"


def _report(findings: Findings, call: Call, parts: Sequence[Any], first: int, late: int) -> None:
    count = len(parts)
    reasons = [
        f"T1 looked for {count} parts, the one inserted last first: {short(list(parts))}.",
        f"It found part {count - first} ({short(parts[first])}), inserted after part"
        f" {count - late}, and then looked for part {count - late} and found nothing.",
        "One client inserted the parts in order and nothing is deleted, so whoever has seen the"
        " later one must see the earlier one: a contradiction.",
    ]
    findings.add(TRAILING, [call], reasons, found=list(parts))


CHECKERS = {"insert-order": InsertOrder}
