"""The effects of a fault: what it does to processes, links and clocks, whatever it is called.

A process that ended is excused if, and only if, a fault in force ended *it*, and ended it so. A
line of a log is expected after what was done to the node, not after a word on a command line. So
a fault declares its effects before it is injected, the ledger keeps them with the intention, and
everybody who must excuse something asks for them. ``effects`` in a ledger's detail is::

    {"ends": [{"node": "n1", "process": {"pid": 7, ...}, "statuses": [-9]}],
     "stops": [{"node": "n1", "process": {...}}],
     "cuts": {"n1": ["n2", "n3"]},           links, by who does not hear whom
     "shifts-clock": ["n1"],
     "slows": {"n1": ["n2"]},                links that are slow or lossy, as those that are cut
     "fails-disk": ["n1"]}                   nodes whose disks fail calls

A ``process`` of ``null`` is any that runs on the node while the fault is in force: of a fault that
ends what it has started itself, whose numbers nobody knows beforehand.

``null`` instead of all stands for a fault that declares none, which may have done anything to its
targets; a ledger of an earlier version has no such key. What cannot be read excuses nothing.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Final

from harness.linux.identity import ProcessIdentity

KEY: Final = "effects"

ENDS: Final = "ends"
STOPS: Final = "stops"
CUTS: Final = "cuts"
SHIFTS_CLOCK: Final = "shifts-clock"
SLOWS: Final = "slows"
FAILS_DISK: Final = "fails-disk"
WORDS: Final = (ENDS, STOPS, CUTS, SHIFTS_CLOCK, SLOWS, FAILS_DISK)
"""What systems name when they say which lines of their logs are expected after what."""

_SLIPS: Final = frozenset({-signal.SIGSEGV, -signal.SIGILL, -signal.SIGFPE, -signal.SIGKILL})
"""Ends that no failing disk explains; SIGBUS is what reading a mapped page then gives."""

_PARTS: Final = {part.name: part.type for part in fields(ProcessIdentity)}


@dataclass(frozen=True)
class Ended:
    """A process that the fault ends. ``statuses``: how, an exit status or minus a signal.

    ``None``: any on the node, while the fault is in force.
    """

    node: str
    process: ProcessIdentity | None
    statuses: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class Effects:
    """What a fault does while it is in force. ``stops`` are processes that stand still."""

    ends: tuple[Ended, ...] = ()
    stops: tuple[tuple[str, ProcessIdentity], ...] = ()
    cuts: Mapping[str, Sequence[str]] = field(default_factory=dict)
    shifts_clock: tuple[str, ...] = ()
    slows: Mapping[str, Sequence[str]] = field(default_factory=dict)
    fails_disk: tuple[str, ...] = ()

    @property
    def words(self) -> frozenset[str]:
        """Which kinds of effect there are, of :data:`WORDS`."""
        has = (
            self.ends,
            self.stops,
            any(self.cuts.values()),
            self.shifts_clock,
            any(self.slows.values()),
            self.fails_disk,
        )
        return frozenset(word for word, some in zip(WORDS, has, strict=True) if some)

    def explains_end(
        self, node: str, process: ProcessIdentity, status: int | None, *, is_in_force: bool = False
    ) -> bool:
        """Whether exactly this process was to end exactly so, the fault being in force or not.

        One whose disk fails may end itself, but not by a slip of memory: that is a bug of its own.
        """
        if node in self.fails_disk and status is not None and status not in _SLIPS:
            return True
        return any(
            end.node == node
            and (is_in_force if end.process is None else end.process == process)
            and status in end.statuses
            for end in self.ends
        )

    def as_json(self) -> dict[str, Any]:
        """As the ledger keeps it; :func:`effects_of` reads it again."""
        return {
            ENDS: [
                {
                    "node": e.node,
                    "process": None if e.process is None else asdict(e.process),
                    "statuses": list(e.statuses),
                }
                for e in self.ends
            ],
            STOPS: [{"node": node, "process": asdict(process)} for node, process in self.stops],
            CUTS: {node: list(sources) for node, sources in self.cuts.items()},
            SHIFTS_CLOCK: list(self.shifts_clock),
            SLOWS: {node: list(sources) for node, sources in self.slows.items()},
            FAILS_DISK: list(self.fails_disk),
        }


def effects_of(detail: Mapping[str, Any]) -> Effects | None:
    """The effects in a ledger's detail; ``None`` where none were declared.

    The detail may be anybody's: what is not written as above is left out.
    """
    told = detail.get(KEY)
    if not isinstance(told, Mapping):
        return None
    return Effects(
        ends=tuple(_ended(told.get(ENDS))),
        stops=tuple(_stopped(told.get(STOPS))),
        cuts=_links(told.get(CUTS)),
        shifts_clock=_names(told.get(SHIFTS_CLOCK)),
        slows=_links(told.get(SLOWS)),
        fails_disk=_names(told.get(FAILS_DISK)),
    )


def is_undeclared(detail: Mapping[str, Any]) -> bool:
    """Whether the fault says of itself that it declares none: it may have done anything."""
    return KEY in detail and detail[KEY] is None


def _links(told: Any) -> dict[str, Sequence[str]]:
    links = told.items() if isinstance(told, Mapping) else ()
    return {str(node): _names(sources) for node, sources in links}


def _ended(told: Any) -> Iterator[Ended]:
    for each in _mappings(told):
        process, statuses = _process(each.get("process")), each.get("statuses")
        is_any = "process" in each and each["process"] is None
        if (process is not None or is_any) and isinstance(statuses, list):
            known = tuple(status for status in statuses if type(status) is int)
            yield Ended(str(each.get("node")), process, known)


def _stopped(told: Any) -> Iterator[tuple[str, ProcessIdentity]]:
    for each in _mappings(told):
        process = _process(each.get("process"))
        if process is not None:
            yield str(each.get("node")), process


def _process(told: Any) -> ProcessIdentity | None:
    if not isinstance(told, Mapping) or set(told) != set(_PARTS):
        return None
    if not all(type(told[name]).__name__ == kind for name, kind in _PARTS.items()):
        return None
    return ProcessIdentity(**told)


def _mappings(told: Any) -> Iterator[Mapping[str, Any]]:
    if isinstance(told, list):
        yield from (each for each in told if isinstance(each, Mapping))


def _names(told: Any) -> tuple[str, ...]:
    return tuple(each for each in told if isinstance(each, str)) if isinstance(told, list) else ()
