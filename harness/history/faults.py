"""What became of each fault, by the ledger: every reader of its lines folds them here.

A line is one step of one fault. A ledger may be cut off, be another tool's or anybody's, so steps
may be missing, doubled, out of order or unknown; then the answer that claims least is given. A
fault has *begun* with its intention (on disk before it is injected, so one whose injection never
returned has begun too) or its injection, whichever is told; it is *healed* only if that was proved
after all of its beginnings, in the order of the file. An unknown step begins and heals nothing.

One that was *armed* long before has begun when it was fired, and never where it was disarmed. One
of which neither is told may have been fired while the machine lost its power. An action is
momentary: over once it is told what became of it, and never open.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from harness.history.ledger import (
    ARMED,
    BIT,
    DISARMED,
    DONE,
    FAILED,
    FIRE,
    HEAL,
    HEALED,
    INJECTED,
    INTEND,
    MOMENTARY,
    REFUSED,
    LedgerEntry,
)

FOREVER_NS: Final = 2**63
"""Later than any time that a ledger can tell."""


@dataclass(frozen=True, kw_only=True)
class RecordedFault:
    """One fault from its intention to its healing; what is not told is ``None``.

    Times are the ledger's, nanoseconds since the start of the run: the first of each step, but the
    last ``healed_ns``. ``begun_ns`` is the earliest time at which some of it may have been in
    force, ``detail`` what was meant and done, ``failures`` what went wrong in words.
    """

    id: int
    fault: str
    targets: tuple[str, ...]
    detail: Mapping[str, Any]
    entries: tuple[LedgerEntry, ...]
    begun_ns: int | None
    intended_ns: int | None
    injected_ns: int | None
    bit_ns: int | None
    heal_ns: int | None
    healed_ns: int | None
    failures: tuple[str, ...] = ()
    fired_ns: int | None = None
    disarmed_ns: int | None = None
    done_ns: int | None = None
    refused_ns: int | None = None
    is_action: bool = False

    @property
    def is_open(self) -> bool:
        """Whether it has begun and was not proved healed: some of it may be in force still."""
        return self.begun_ns is not None and self.healed_ns is None and not self.is_action

    @property
    def has_fired(self) -> bool:
        """Whether its injection is under way or was, by a ledger that is complete up to now."""
        is_waiting = bool(self.detail.get(ARMED)) and self.fired_ns is None
        return self.begun_ns is not None and (not is_waiting or self.injected_ns is not None)

    @property
    def proved_span_ns(self) -> tuple[int, int] | None:
        """From its proved injection to its proved healing, if ever; ``None`` if it had none.

        What happened in it did meet the fault, where :meth:`may_be_in_force` is what may have.
        """
        if self.injected_ns is None:
            return None
        return self.injected_ns, FOREVER_NS if self.healed_ns is None else self.healed_ns

    def may_be_in_force(self, start_ns: int, end_ns: int) -> bool:
        """Whether some of it may have been in force at a time in ``[start_ns, end_ns]``."""
        if self.begun_ns is None or self.begun_ns > end_ns:
            return False
        return self.healed_ns is None or self.healed_ns >= start_ns

    def __str__(self) -> str:
        """``partition of n1 | n2 n3 (fault 3, from 6.0 s to 7.5 s)``.

        Of an action ``compact of n1 (action 4, done at 8.0 s)``.
        """
        if self.is_action:
            return f"{self.fault}{self._on()} (action {self.id}, {self._outcome()})"
        start = "" if self.begun_ns is None else f"from {self.begun_ns / 1e9:.1f} s "
        end = "never healed" if self.healed_ns is None else f"to {self.healed_ns / 1e9:.1f} s"
        return f"{self.fault}{self._on()} (fault {self.id}, {start}{end})"

    def _outcome(self) -> str:
        begun = "" if self.begun_ns is None else f" at {self.begun_ns / 1e9:.1f} s"
        if self.done_ns is not None:
            return f"done{begun}"
        return f"refused{begun}" if self.refused_ns is not None else f"begun{begun}"

    def _on(self) -> str:
        what = self.detail.get("what")
        text = what if isinstance(what, str) and what else " ".join(self.targets)
        return f" of {text}" if text else ""


def recorded_faults(entries: Iterable[LedgerEntry]) -> list[RecordedFault]:
    """Every fault that ``entries`` tell of, in the order in which they are first told of."""
    by_id: dict[int, list[LedgerEntry]] = {}
    for entry in entries:
        by_id.setdefault(entry.id, []).append(entry)
    return [_folded(steps) for steps in by_id.values()]


def unhealed(entries: Iterable[LedgerEntry]) -> list[RecordedFault]:
    """The faults that were begun and not proved healed, the last meant first.

    One that failed to be injected counts: a part of it may be in force. Healing in this order
    undoes faults that stand on each other from the top.
    """
    return [fault for fault in reversed(recorded_faults(entries)) if fault.is_open]


def _folded(steps: Sequence[LedgerEntry]) -> RecordedFault:
    times: dict[str, list[int]] = {}
    detail: dict[str, Any] = {}
    is_open = False
    for step in steps:
        times.setdefault(step.event, []).append(step.time)
        if step.event in (INTEND, INJECTED):
            is_open = True
            detail = {**step.detail, **detail}  # what was meant stands
        elif step.event == HEALED:
            is_open = False
    begun = [step for step in steps if step.event in (INTEND, INJECTED)]
    is_action = detail.get(MOMENTARY) is True
    over = [time for event in (DONE, REFUSED, FAILED) for time in times.get(event, ())]

    def first(event: str) -> int | None:
        return min(times.get(event, ()), default=None)

    healed_ns = None if is_open else max(times.get(HEALED, ()), default=None)
    return RecordedFault(
        id=steps[0].id,
        fault=(begun or steps)[0].fault,
        targets=tuple((begun or steps)[-1].targets),
        detail=detail,
        entries=tuple(steps),
        begun_ns=_begun_ns(begun, times, detail),
        intended_ns=first(INTEND),
        injected_ns=first(INJECTED),
        bit_ns=first(BIT),
        heal_ns=first(HEAL),
        healed_ns=max(over, default=None) if is_action else healed_ns,
        failures=tuple(str(step.detail.get("why") or "") for step in steps if step.event == FAILED),
        fired_ns=first(FIRE),
        disarmed_ns=first(DISARMED),
        done_ns=first(DONE),
        refused_ns=first(REFUSED),
        is_action=is_action,
    )


def _begun_ns(
    begun: Sequence[LedgerEntry], times: Mapping[str, Sequence[int]], detail: Mapping[str, Any]
) -> int | None:
    """The earliest time at which some of it may have been in force; ``None`` if it never was."""
    if detail.get(ARMED) is True:
        fired = [time for event in (FIRE, INJECTED) for time in times.get(event, ())]
        if fired:
            return min(fired)
        if DISARMED in times:
            return None
    return min((step.time for step in begun), default=None)
