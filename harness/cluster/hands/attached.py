"""Hands for processes that somebody else started here: found, taken note of, left as they were.

Nothing is their parent that is ours. So they are known by number and start alone, how they end
nobody here learns, and a process that stands still when we go would stand for ever: what is stopped
is written down before the signal is sent, and whoever sits in the node when it ends, be it after
a crash of who sent it, has it go on. Their clock is set by seizing them as they run, and set right
by seizing them again.
"""

from __future__ import annotations

import json
import os
import signal
import time

from . import family, found
from .inside import Part
from .refused import Refused

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .inside import Inside

_STOPPED = "Tt"
_GO_ON_S = 5.0
_POLL_S = 0.01


class Attached(Part):
    """The processes of others that were taken note of, and which of them we have stopped.

    What an earlier one of this node wrote into its folder is known from the beginning.
    """

    def __init__(self, folder: str) -> None:
        super().__init__(folder)
        self._families: dict[tuple[int, int], family.Family] = {}
        self._stopped: set[tuple[int, int]] = set()
        self._inside: Inside | None = None
        for pid, ticks, is_stopped in self._read():
            self._take(pid, ticks)
            if is_stopped:
                self._stopped.add((pid, ticks))

    def adopt(self, inside: Inside, pid: int, ticks: int) -> dict[str, Any]:
        """Know a process and all that it started from now on; its identity."""
        if family.start_ticks(pid) != ticks:
            raise Refused(f"the process {pid} ended while it was looked at")
        self._take(pid, ticks)
        self.use(inside)
        self._write()
        return inside.daemons.identity(pid, ticks)

    def use(self, inside: Inside) -> None:
        """Have the node's other hands reach what is known here."""
        self._inside = inside
        for (pid, ticks), whole in self._families.items():
            inside.daemons.add(pid, ticks, whole)

    def note(self, identity: dict[str, Any], number: int) -> None:
        """``number`` is about to be sent to that process: written down if it stops it."""
        key = identity["pid"], identity["start_ticks"]
        if key not in self._families or number not in (signal.SIGSTOP, signal.SIGCONT):
            return
        if number == signal.SIGSTOP:
            self._stopped.add(key)
        else:
            self._stopped.discard(key)
        self._write()

    def members(self) -> list[int]:
        """Every process of theirs that runs."""
        return sorted({pid for whole in self._families.values() for pid in whole.members()})

    def leaders(self) -> list[tuple[int, int]]:
        """(number, start) of each that was taken note of."""
        return list(self._families)

    def end(self) -> None:
        """Have what we stopped go on. :class:`Refused` names what still stands."""
        for key in sorted(self._stopped):
            self._families[key].send(signal.SIGCONT)
        deadline = time.monotonic() + _GO_ON_S
        left = self._standing()
        while left:
            if time.monotonic() > deadline:
                raise Refused(f"the processes {' '.join(left)} are still stopped")
            time.sleep(_POLL_S)
            left = self._standing()
        self._stopped.clear()
        self._write()

    def _standing(self) -> list[str]:
        """What we stopped and stands still."""
        return [
            str(pid)
            for key in sorted(self._stopped)
            for pid, letters in self._families[key].members().items()
            if _stands(letters)
        ]

    def _take(self, pid: int, ticks: int) -> None:
        self._families.setdefault((pid, ticks), family.Family(pid, ticks))

    def _read(self) -> list[tuple[int, int, bool]]:
        if not self.folder:
            return []
        try:
            told = json.loads(family.read_file(self._note_path()) or b"{}")
        except ValueError:
            return []
        return [tuple(each) for each in told.get(_boot_id(), [])]

    def _write(self) -> None:
        if not self.folder:
            return
        rows = [[*key, key in self._stopped] for key in self._families]
        with open(self._note_path() + ".new", "w", encoding="ascii") as file:
            json.dump({_boot_id(): rows}, file)
        os.replace(self._note_path() + ".new", self._note_path())

    def _note_path(self) -> str:
        return os.path.join(self.folder, "attached.json")


def find(inside: Inside, request: dict[str, Any]) -> dict[str, Any]:
    """The hand: the process that ``how`` (port, program, pidfile) and ``what`` mean here.

    :class:`Refused` where there is none, or more than one, or one that already stands still.
    """
    pid = found.leader(request["how"], request["what"])
    return {"found": found.described(pid)}


def adopt(inside: Inside, request: dict[str, Any]) -> dict[str, Any]:
    """The hand: take note of the process ``pid`` (of ``ticks``, if given); its identity."""
    pid = request["pid"]
    ticks = request.get("ticks") or family.start_ticks(pid)
    if not ticks:
        raise Refused(f"there is no process {pid}")
    part = inside.part(Attached)
    identity = part.adopt(inside, pid, ticks)
    standing = [p for p, letters in inside.daemons.members(pid, ticks).items() if _stands(letters)]
    if standing and not request.get("may_stand"):
        numbers = " ".join(map(str, sorted(standing, key=lambda one: (one != pid, one))))
        raise Refused(f"{numbers} is stopped already, by somebody else: kill -CONT {numbers}")
    return {**identity, **found.described(pid)}


def rehearse(inside: Inside, request: dict[str, Any]) -> dict[str, Any]:
    """The hand: ``why`` what was taken note of cannot be signalled; empty if it can be."""
    for pid in inside.part(Attached).members():
        try:
            os.kill(pid, 0)
        except PermissionError:
            return {"why": f"this login may not signal the process {pid}"}
        except ProcessLookupError:
            continue
    return {"why": ""}


def undo(inside: Inside, request: dict[str, Any]) -> dict[str, Any]:
    """The hand: undo all that was done to them and to the network here; what is ``left``.

    Also what somebody before us did, who was killed: the folder and the processes tell it.
    """
    from . import cuts

    inside.part(Attached).use(inside)
    inside.part(cuts.Cutter)
    left = []
    try:  # before they go on: one that is traced would wait for its tracer to hear of that
        if inside.part(Attached).members():
            inside.clock().heal()
    except Refused as refusal:
        left.append(f"its clock is not right: {refusal}")
    return {"left": [*left, *inside.end_parts()]}


def _stands(letters: str) -> bool:
    return bool(letters) and set(letters) <= set(_STOPPED)


def _boot_id() -> str:
    return family.read_file("/proc/sys/kernel/random/boot_id").decode().strip()
