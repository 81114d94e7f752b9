"""Follows a run from outside: reads what its journal has grown by, and what its events say.

The loop that serves the clients does nothing else, so whatever is shown of a run under way is
found out here, in the front: rate and latencies (:mod:`harness.run.pace`), the faults as they come
and go, and the first anomaly that a checker can tell of at once (:mod:`harness.verdict.lookout`).
The journal reaches its file within 20 ms; it is read at each progress event, a bounded piece at a
time, so a run that records more than the front can take in is shown late and not slowed down.

Nothing depends on it: what goes wrong here ends the view, and neither the run nor its verdict.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from harness.history.follower import Follower
from harness.history.ledger import BIT, DONE, HEALED, INJECTED
from harness.history.operation import Header, Operation
from harness.plugins import Registry
from harness.run.pace import Pace
from harness.verdict.lookout import KeepsLookout, Lookout, Sighting
from harness.wording import named

MOST_BANDS: Final = 200
"""Faults that are remembered, the latest of them."""


@dataclass
class Band:
    """One fault from its injection on; ``end_ns`` is ``None`` while it is in force."""

    fault: str
    targets: tuple[str, ...]
    start_ns: int
    end_ns: int | None = None
    bit: bool = False

    def as_json(self) -> dict[str, Any]:
        """As it stands in ``evidence/progress.json``."""
        return {
            "fault": self.fault,
            "targets": list(self.targets),
            "start_s": self.start_ns / 1e9,
            "end_s": None if self.end_ns is None else self.end_ns / 1e9,
            "bit": self.bit,
        }


class Onlooker:
    """Looks on at the run in ``run_dir``, whose history ``checkers`` will judge."""

    def __init__(self, run_dir: Path, checkers: Iterable[tuple[str, object]]) -> None:
        self._journal = Follower(run_dir / "history.jsonl")
        self._is_blind = self._knows_header = False
        self._checkers = [(name, it) for name, it in checkers if isinstance(it, KeepsLookout)]
        self._lookouts: list[tuple[str, Lookout]] = []
        self._bands: dict[Any, Band] = {}
        self.pace = Pace()
        self.first: Sighting | None = None
        self.seen_by: str | None = None
        self.trouble = ""

    def hear(self, event: Mapping[str, Any]) -> Mapping[str, Any]:
        """Take in an event of the run; the event, with what was seen beside its progress."""
        if event.get("event") == "fault":
            self._hear_fault(event)
        if event.get("event") not in ("progress", "phase"):
            return event
        try:
            self._look()
        except Exception as error:  # only what is shown suffers
            self.trouble = f"the run is not followed any more: {named(error)}"
            self.close()
        if event.get("event") == "phase":
            return event
        self.pace.pass_time(int(event.get("time_ns", 0)))
        return {**event, **self.told()}

    def told(self) -> dict[str, Any]:
        """What was seen so far, as JSON has it."""
        first = self.first
        return {
            "pace": self.pace.told(),
            "bands": [band.as_json() for band in self._bands.values()],
            "watched": [name for name, _ in self._lookouts],
            "anomaly": None
            if first is None
            else {
                "checker": self.seen_by,
                "kind": first.kind,
                "time_s": first.time_ns / 1e9,
                "index": first.index,
                "message": first.message,
            },
        }

    def close(self) -> None:
        """Look no more. Safe twice."""
        self._journal.close()
        self._is_blind = True

    def _hear_fault(self, event: Mapping[str, Any]) -> None:
        what, number = event.get("what"), event.get("id")
        time_ns = int(event.get("time_ns", 0))
        if what in (INJECTED, DONE):
            targets = tuple(map(str, event.get("targets") or ()))
            end_ns = time_ns if what == DONE else None
            self._bands[number] = Band(str(event.get("fault")), targets, time_ns, end_ns)
            if len(self._bands) > MOST_BANDS:
                del self._bands[next(iter(self._bands))]
        elif number in self._bands and what == BIT:
            self._bands[number].bit = True
        elif number in self._bands and what == HEALED:
            self._bands[number].end_ns = time_ns

    # -- the journal -----------------------------------------------------------------------------

    def _look(self) -> None:
        if self._is_blind:
            return
        operations = self._journal.read()
        if not self._knows_header and self._journal.header is not None:
            self._knows_header = True
            self._look_out(self._journal.header)
        for operation in operations:
            self.pace.see(operation)
            if self.first is None:
                self._show(operation)

    def _look_out(self, header: Header) -> None:
        for name, checker in self._checkers:
            lookout = checker.lookout(header)
            if lookout is not None:
                self._lookouts.append((name, lookout))

    def _show(self, operation: Operation) -> None:
        for name, lookout in self._lookouts:
            found = lookout.see(operation)
            if found is not None:
                self.first, self.seen_by = found, name
                return


def checkers_of(
    names: Sequence[str], options: Mapping[str, Any], registry: Registry
) -> list[tuple[str, object]]:
    """The checkers of these names; what is wrong with one is said when it judges, not here."""
    found: list[tuple[str, object]] = []
    for name in names:
        with contextlib.suppress(Exception):
            found.append((name, registry.get("checkers", name)(options)))
    return found
