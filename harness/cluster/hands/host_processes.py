"""The processes of a node that is a host of its own: known also when its keeper has died.

Daemons of a keeper that died are known by a file; they can be looked at and signalled by their
identity, but how they end nobody learns. Whatever is started carries ``POLYGRAPH_NODE``, the
node's folder, in its environment, and the keeper adopts orphans where it can; by both,
:meth:`HostProcesses.end` finds also what daemonized.
"""

from __future__ import annotations

import itertools
import json
import os
import signal
import time

from . import family
from .daemons import signal_group
from .processes import Processes, Started

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from typing import Any

    from .tracing import Tracing
    from .users import Way

MARK = "POLYGRAPH_NODE"
_POLL_S = 0.01
_PR_SET_CHILD_SUBREAPER = 36


class HostProcesses(Processes):
    """Of one node, whose folder is ``root``."""

    def __init__(self, root: str) -> None:
        super().__init__()
        self._root = root
        self.others: Callable[[], Iterable[int]] = tuple
        """Processes of somebody else whose clock is set with that of ours; never ended by us."""
        self.spared: set[int] = set()
        """Children that are not the node's: the hands' own."""
        self._known = os.path.join(root, "daemons.json")
        self._kept = _read_known(self._known).get(self.daemons.boot_id, [])
        for pid, ticks, mark in self._kept:
            self.daemons.add(pid, ticks, self.family_of(pid, ticks, mark, takes_strays=True))
        _adopt_orphans()

    def tracing(self) -> Tracing:
        """Who traces them for their clock; it is made only here, and then reaps too."""
        if self._tracing is None:
            from .tracing import Tracing

            self._tracing = Tracing(lambda: itertools.chain(self.running(), self.others()))
        return self._tracing

    def has_tracing(self) -> bool:
        """Whether a clock was ever asked for here."""
        return self._tracing is not None

    def start(
        self,
        argv: Sequence[str],
        *,
        env: Mapping[str, str],
        cwd: str,
        outputs: tuple[int, int],
        in_child: Callable[[], None] = lambda: None,
        way: Way | None = None,
    ) -> Started:
        """Execute ``argv``, marked as this node's. ``OSError`` if it cannot be."""
        marked = {**os.environ, **env, MARK: self._root}
        return super().start(argv, env=marked, cwd=cwd, outputs=outputs, in_child=in_child, way=way)

    def keep(self, started: Started) -> None:
        """Remember a daemon, and write it down, so that it is found when the keeper is gone."""
        self.remember(started, takes_strays=True)
        self._kept.append([started.pid, started.ticks, started.mark])
        with open(self._known + ".new", "w", encoding="ascii") as file:
            json.dump({self.daemons.boot_id: self._kept}, file)
        os.replace(self._known + ".new", self._known)

    def end(self, timeout_s: float) -> list[int]:
        """Kill everything that was started here; the pids that are still there at the time-out."""
        deadline = time.monotonic() + timeout_s
        while True:
            for pid in self.running():
                signal_group(pid, signal.SIGKILL)
            list(self.reap())
            left = list(self.running())
            if not left or time.monotonic() > deadline:
                list(self.reap())
                return left
            time.sleep(_POLL_S)

    def running(self) -> Iterator[int]:
        """What runs of ours: children, known daemons, and whatever carries our mark."""
        mark = f"{MARK}={self._root}".encode()
        known = {pid for pid, ticks, _ in self._kept if family.start_ticks(pid) == ticks}
        for pid in _pids():
            if pid == os.getpid() or pid in self.spared:
                continue
            fields = family.stat_fields(f"/proc/{pid}/stat")
            if not fields or fields[0] in "ZX":
                continue
            marked = mark in family.read_file(f"/proc/{pid}/environ").split(b"\0")
            if marked or pid in known or int(fields[1]) == os.getpid():
                yield pid


def _pids() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def _read_known(path: str) -> dict[str, list[list[Any]]]:
    """Boot to the daemons started in it: after a reboot the same numbers are others'."""
    try:
        known: dict[str, list[list[Any]]] = json.loads(family.read_file(path) or b"{}")
    except ValueError:
        return {}
    return known


def _adopt_orphans() -> None:
    try:
        import ctypes

        prctl: Callable[..., int] = ctypes.CDLL(None).prctl
    except (ImportError, OSError, AttributeError):
        return  # a python without ctypes: the mark in the environment has to do
    prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
