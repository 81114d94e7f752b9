"""Crash loop: processes that are started again and killed again, until the heal.

A supervisor starts what has died, and it dies again before it is of use: elections begin and are
never won, recovery from disk is cut short again and again (which a single kill hardly ever hits),
and clients meet a node that listens and is gone. Each time it may run for ``--crash-loop-up-s``
after its start. It bit when every role that it aims at was ended by SIGKILL twice at least, each
time another process; the processes' numbers and ends stand in the proof. That such an end is no
crash is declared for any process on these nodes while the fault is in force, since nobody knows
them before they are started.
"""

from __future__ import annotations

import math
import signal
import threading
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from harness.contract.fault import Effects, Ended, Proof, Stage
from harness.contract.option import SystemOption
from harness.contract.roles import Place
from harness.errors import UsageError
from harness.wording import named
from nemeses.process.ending import EndsProcesses
from nemeses.process.starting import attempt_all, raise_all, start_again, wait_for_end
from nemeses.targets import TARGETS, places, signal_if_alive

_UP = "crash_loop_up_s"
UP_S = 0.5
_STOP_S = 50.0


class CrashLoop(EndsProcesses):
    """SIGKILL to each daemon of the targets, a start, SIGKILL, and so on; healed by a start."""

    name = "crash-loop"
    key = "crash_loop_targets"
    how = "ended by SIGKILL, again and again"
    options = (
        SystemOption(
            name=key,
            kind=str,
            default=",".join(TARGETS),
            words=TARGETS,
            help="whom to kill again and again, with commas; or alpha:one for the role alpha alone",
        ),
        SystemOption(name=_UP, kind=float, default=UP_S, help="how long each may run in between"),
    )

    def __init__(self, options: Mapping[str, Any]) -> None:
        super().__init__(options)
        given = options.get(_UP)
        self._up_s = UP_S if given is None else float(given)
        if not (math.isfinite(self._up_s) and 0 <= self._up_s <= 3600):
            raise UsageError(f"--crash-loop-up-s {given}: must be seconds, from 0 to 3600")
        self._loops: dict[int, _Loop] = {}

    def statuses(self, stage: Stage, role: str) -> Sequence[int]:
        """By SIGKILL, and nothing else."""
        return (-signal.SIGKILL,)

    def effects(self, stage: Stage, targets: Sequence[str], detail: Mapping[str, Any]) -> Effects:
        """Whatever runs on these nodes while it is in force may end so."""
        nodes = dict.fromkeys(node for node, _ in places(detail, stage))
        return Effects(ends=tuple(Ended(node, None, (-signal.SIGKILL,)) for node in nodes))

    def inject(self, stage: Stage, targets: Sequence[str], detail: Mapping[str, Any]) -> None:
        """Kill them once, and begin the loop."""
        self.begin(stage, detail)
        loop = self._loops[_occurrence(detail)] = _Loop(stage, detail, self._up_s)
        loop.kill()
        loop.start()

    def bit(self, stage: Stage, targets: Sequence[str], detail: Mapping[str, Any]) -> Proof:
        """Whether every role that is meant has ended by SIGKILL twice, as another process."""
        loop = self._loops.get(_occurrence(detail))
        ends = {} if loop is None else loop.ends()
        meant = list(places(detail, stage))
        counts = [
            len({pid for pid, status in ends.get(place, ()) if _killed(status)}) for place in meant
        ]
        told: dict[str, list[list[int | None]]] = {}
        for (node, _), of_place in ends.items():
            told.setdefault(node, []).extend([pid, status] for pid, status in of_place)
        trouble = "" if loop is None or not loop.trouble else f"; then {loop.trouble}"
        what = f"{min(counts, default=0)} ends by SIGKILL at least of each of {len(meant)}{trouble}"
        holds = bool(meant) and min(counts, default=0) > 1
        return Proof(holds=holds, what=what, figures={"ended": told})

    def heal(self, stage: Stage, targets: Sequence[str], detail: Mapping[str, Any]) -> None:
        """End the loop, and start what does not run."""
        loop = self._loops.get(_occurrence(detail))
        if loop is not None:
            loop.stop()
        super().heal(stage, targets, detail)


class _Loop:
    """One occurrence's kills and starts, in a thread of their own."""

    def __init__(self, stage: Stage, detail: Mapping[str, Any], up_s: float) -> None:
        self._stage, self._detail, self._up_s = stage, detail, up_s
        self._places = list(places(detail, stage))
        self._lock = threading.Lock()
        self._ends: dict[Place, list[tuple[int, int | None]]] = {}
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="crash-loop", daemon=True)
        self.trouble = ""

    def start(self) -> None:
        """Begin with a start of what was killed."""
        self._thread.start()

    def stop(self) -> None:
        """Return once it kills and starts nothing any more. Safe twice."""
        self._over.set()
        if self._thread.ident is not None:
            self._thread.join(_STOP_S)

    def ends(self) -> dict[Place, list[tuple[int, int | None]]]:
        """Each end that it brought about by now: process and exit status, where that is known."""
        with self._lock:
            return {place: list(ends) for place, ends in self._ends.items()}

    def kill(self) -> None:
        """End everything of each role that is meant, and see it end."""
        raise_all(attempt_all({place: partial(self._kill, place) for place in self._places}))

    def _kill(self, place: Place) -> None:
        for daemon in self._stage.daemons_of(*place):
            if daemon.alive():
                signal_if_alive(daemon, signal.SIGKILL)
                wait_for_end(daemon)
                with self._lock:
                    ended = (daemon.identity.pid, daemon.exit_status())
                    self._ends.setdefault(place, []).append(ended)

    def _run(self) -> None:
        try:
            while not self._over.is_set():
                start_again(self._stage, self._detail)
                if self._over.wait(self._up_s):
                    return
                self.kill()
        except Exception as error:  # a node's trouble; the proof tells it, the heal starts again
            self.trouble = str(error) or named(error)


def _killed(status: int | None) -> bool:
    """By SIGKILL, or, where nobody could learn it, gone after it."""
    return status is None or status == -signal.SIGKILL


def _occurrence(detail: Mapping[str, Any]) -> int:
    return int(detail.get("occurrence", -1))


NEMESES = {"crash-loop": CrashLoop}
