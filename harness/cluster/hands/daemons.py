"""The daemons of one node by their identities: signalled with all that is of them, looked at.

Whoever starts a daemon, or learns that one was started, adds it here; from then on a request
names it by its whole identity, and one that does not match in full reaches nobody.
"""

from __future__ import annotations

import os

from . import family

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

GONE = "gone"
_STOPPED = {"T", "t"}
"""The second is how a stopped process looks while it is traced, for its clock."""


class Daemons:
    """Every daemon that was added, with its family."""

    def __init__(self) -> None:
        self.boot_id = family.read_file("/proc/sys/kernel/random/boot_id").decode().strip()
        self.namespace = os.stat("/proc/self/ns/pid").st_ino
        self._families: dict[tuple[int, int], family.Family] = {}

    def add(self, pid: int, ticks: int, whole: family.Family) -> None:
        """Know the daemon that began at ``ticks`` and all that is of it, also when it has ended."""
        self._families[pid, ticks] = whole

    def forget_ended(self, running: set[int]) -> None:
        """Forget those of which nothing is left, but none whose leader is one of ``running``."""
        for key, whole in list(self._families.items()):
            if key[0] not in running and not whole.members():
                del self._families[key]

    def identity(self, pid: int, ticks: int) -> dict[str, Any]:
        """How a process here is named for good, as requests name it."""
        return {
            "pid": pid,
            "start_ticks": ticks,
            "boot_id": self.boot_id,
            "pid_namespace": self.namespace,
        }

    def signal(self, identity: dict[str, Any], number: int) -> bool:
        """Signal a daemon with all that is of it, or, politely, its process group.

        Whether there was one to signal.
        """
        pid, ticks = identity["pid"], identity["start_ticks"]
        whole = self._families.get((pid, ticks))
        full = all(identity[key] == value for key, value in self.identity(pid, ticks).items())
        if not full or whole is None:
            return False
        if number in family.WHOLE:
            return whole.send(number) > 0
        return _signal_group(pid, ticks, number)

    def members(self, pid: int, ticks: int) -> dict[int, str]:
        """What runs of a daemon, to the letters of its threads' states."""
        whole = self._families.get((pid, ticks))
        return whole.members() if whole is not None else {}

    def state(self, pid: int, ticks: int) -> str:
        """The letter of the process; ``T`` only if every thread of all that is of it is stopped."""
        fields = family.stat_fields(f"/proc/{pid}/stat")
        if not fields or int(fields[19]) != ticks or fields[0] in "ZX":
            return GONE
        if fields[0] not in _STOPPED:
            return fields[0]
        letters = set("".join(self.members(pid, ticks).values()))
        return min(letters - _STOPPED, default="T")


def _signal_group(pid: int, ticks: int, number: int) -> bool:
    """Signal the group that exactly this process leads, or it alone where it leads none.

    Its parent or container keeps its number from becoming another's meanwhile: an unreaped one
    still has it, and its group too.
    """
    if family.start_ticks(pid) != ticks:
        return False
    return signal_group(pid, number)


def signal_group(pid: int, number: int) -> bool:
    """Signal the group that ``pid`` leads, or ``pid`` alone where it leads none."""
    for send in (os.killpg, os.kill):
        try:
            send(pid, number)
            return True
        except ProcessLookupError:
            continue
    return False
