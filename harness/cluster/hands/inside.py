"""What the hands of one node work with, and the table of them.

Whoever sits inside a node (a namespace's agent, a side-car, the keeper of an ssh host) takes
requests off its channel, each a JSON object with ``op``, and has :func:`obey` carry out those that
:data:`HANDS` names. So a new hand is one function in one file and one line of the table, and
every provider carries it. What a hand keeps from one request to the next is a *part*
(:meth:`Inside.part`), made when it is first needed and ended with the node.
"""

from __future__ import annotations

import sys

from .refused import Refused

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any, Protocol, TypeVar

    from .daemons import Daemons

    class Clock(Protocol):
        """The clock of the node's processes: a ``NodeClock``, here or in a process beside."""

        def set(self, program: Mapping[str, Any]) -> dict[str, Any]: ...

        def heal(self) -> dict[str, Any]: ...

        def state(self) -> dict[str, Any]: ...

        def rehearse(self) -> dict[str, Any]: ...

    P = TypeVar("P", bound="Part")
    Hand = Callable[["Inside", dict[str, Any]], dict[str, Any]]

HANDS: Mapping[str, str] = {
    "signal": "signals.signal",
    "look": "signals.look",
    "family": "signals.family",
    "usage": "usage.usage",
    "find": "attached.find",
    "adopt": "attached.adopt",
    "may-signal": "attached.rehearse",
    "undo": "attached.undo",
    "clock": "clocks.clock",
    "syscalls": "clocks.syscalls",
    "rehearse": "cuts.rehearse",
    "cut": "cuts.cut",
    "dropped": "cuts.dropped",
    "listen": "probes.listen",
    "probe": "probes.probe",
    "heard": "probes.heard",
    "dial": "dialling.dial",
    "dialled": "dialling.dialled",
    "shape": "links.shape",
    "shaped": "links.shaped",
    "meter": "meter.meter",
    "disk": "disk.disk",
    "rehearse-disk": "disk.rehearse",
}
"""``op`` of a request to the function here, ``file.name``, that carries it out.

Each takes what it works with and the request, and returns its answer. Imported when first asked
for: a host need not have what a hand stands on that nobody uses.
"""


class Part:
    """What a hand keeps for its node. ``folder`` is the node's, empty where it has none."""

    def __init__(self, folder: str) -> None:
        self.folder = folder

    def end(self) -> None:
        """Undo what was done, the node being about to end. :class:`Refused` names what is left."""


class Inside:
    """One node. ``clock()`` gives its clock, ``watch()`` the watch over its system calls.

    ``own`` are processes that hands started for themselves: none of the node's.
    """

    def __init__(
        self,
        daemons: Daemons,
        *,
        clock: Callable[[], Clock],
        watch: Callable[[], Any],
        folder: str = "",
    ) -> None:
        self.daemons = daemons
        self.clock = clock
        self.watch = watch
        self.folder = folder
        self.own: set[int] = set()
        self._parts: dict[type[Part], Part] = {}

    def part(self, kind: type[P]) -> P:
        """The node's one part of that kind."""
        if kind not in self._parts:
            self._parts[kind] = kind(self.folder)
        part = self._parts[kind]
        assert isinstance(part, kind)
        return part

    def end_parts(self) -> list[str]:
        """Have every part undo what it did; what is left."""
        left = []
        for part in self._parts.values():
            try:
                part.end()
            except Refused as refusal:
                left.append(str(refusal))
        return left


def obey(inside: Inside, request: dict[str, Any]) -> dict[str, Any]:
    """Carry out a request of :data:`HANDS`; its answer, or ``refused`` with why."""
    return answered(lambda: _hand(request["op"])(inside, request), request["op"])


def answered(work: Callable[[], dict[str, Any]], op: str) -> dict[str, Any]:
    """The answer that ``work`` gives, or ``refused`` with why not."""
    try:
        return work()
    except Refused as refusal:
        return {"refused": str(refusal)}
    except OSError as error:
        why = error.strerror or str(error)
        return {"refused": f"{why}: {error.filename}" if error.filename else why}
    except Exception as error:  # a defect of ours must not take the daemons' parent
        return {"refused": f"a defect inside the node ({op}): {type(error).__name__}: {error}"}


def _hand(op: str) -> Hand:
    file, _, name = HANDS[op].partition(".")
    module = f"{__package__}.{file}"
    __import__(module)  # not importlib, for which bare interpreters would take longer to start
    hand: Hand = getattr(sys.modules[module], name)
    return hand
