"""Pause: stop a node's processes where they stand (SIGSTOP), and let them go on (SIGCONT).

To the others a paused process looks dead, but it comes back with its memory, its connections
and its belief that it still leads. The kernel stops a thread when it next leaves the kernel, so
the proof of bite is the state of every thread of every process: of the daemon, of all that it
started in whatever session or group, and of what fell away from it, for any of them may answer
clients (PostgreSQL's backends do). One that waits in the kernel, state ``D``, is not proved to
stand, and is looked at again until the heal. A process
that ended meanwhile (a kill came on top) needs no healing, and its successor is another process,
never paused by this. One that several pauses hold goes on when the last of them is healed.
"""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from random import Random
from typing import Any

from harness.contract.fault import Effects, Proof, Stage
from harness.contract.node import Cluster, HasProcesses
from harness.contract.option import SystemOption
from harness.contract.roles import Role
from harness.contract.shot import Shot, shoot
from harness.contract.system import System
from harness.errors import NodeError
from harness.linux.identity import ProcessIdentity, state
from harness.wording import named
from nemeses.targets import (
    PRIMARIES,
    TARGETS,
    Aim,
    check_roles,
    choices,
    find_daemon,
    no_processes,
    not_signalled,
    plan_targets,
    prepare_signal,
    processes,
    resolve_targets,
)

_KEY = "pause_targets"
STOPPED = "T"
_ENDED = ("Z", "X")
_TRACED = "t"
"""A thread whose process the clock fault traces; stopped by SIGSTOP, it shows this."""
GONE = "gone"


class Pause:
    """SIGSTOP to all that is of each daemon of the targets; healed by SIGCONT."""

    name = "pause"
    needs_processes = True
    needs = (HasProcesses,)
    options = (
        SystemOption(
            name=_KEY,
            kind=str,
            default=",".join(TARGETS),
            words=TARGETS,
            help="whom to pause, with commas; or alpha:one for the role alpha alone",
        ),
    )

    def __init__(self, options: Mapping[str, Any]) -> None:
        self._words = choices(options, _KEY, TARGETS, "target", roles=True)
        self._lock = threading.Lock()
        self._holders: dict[ProcessIdentity, set[int]] = {}

    def aim(self, roles: Sequence[Role]) -> None:
        """Refuses roles that there are not."""
        check_roles(self._words, _KEY, roles)

    def refusal(self, cluster: Cluster, system: System) -> str | None:
        """Where the system says that it has no processes, or they are not ours to stop."""
        return no_processes(system) or not_signalled(cluster)

    def plan(self, nodes: Sequence[str], rng: Random) -> dict[str, Any]:
        """A target word and the order in which nodes are taken."""
        return plan_targets(self._words, nodes, rng)

    def resolves_late(self, plan: Mapping[str, Any]) -> bool:
        """Where the leaders are meant: who they are is known at the moment only."""
        return Aim.of(plan["target"]).word == PRIMARIES

    def resolve(self, plan: Mapping[str, Any], stage: Stage) -> tuple[list[str], dict[str, Any]]:
        """The targets that run now, and their processes."""
        return resolve_targets(plan, stage)

    def effects(self, stage: Stage, targets: Sequence[str], detail: Mapping[str, Any]) -> Effects:
        """Each named process stands still."""
        return Effects(stops=tuple(processes(detail)))

    def inject(self, stage: Stage, targets: Sequence[str], detail: Mapping[str, Any]) -> None:
        """Stop every named process and all that is of it."""
        shoot(self.prepare(stage, targets, detail))

    def prepare(self, stage: Stage, targets: Sequence[str], detail: Mapping[str, Any]) -> Shot:
        """Whom to stop, looked up."""
        return _Stop(self, stage, detail)

    def hold(self, detail: Mapping[str, Any]) -> None:
        """Note that this pause holds every process that it names."""
        with self._lock:
            for _, identity in processes(detail):
                self._holders.setdefault(identity, set()).add(_holder(detail))

    def bit(self, stage: Stage, targets: Sequence[str], detail: Mapping[str, Any]) -> Proof:
        """Whether every thread of every named process, and of all that is of it, is stopped."""
        states = _states(stage, processes(detail))
        every = [letters for of_node in states.values() for letters in of_node]
        stopped = every.count(STOPPED)
        return Proof(
            holds=bool(every) and stopped == len(every),
            what=f"{stopped} of {len(every)} processes on {' '.join(targets)} are stopped",
            figures={"states": states},
        )

    def heal(self, stage: Stage, targets: Sequence[str], detail: Mapping[str, Any]) -> None:
        """Let each named process go on that no other pause holds; one that ended needs nothing."""
        with self._lock:
            for _, identity in processes(detail):
                self._holders.get(identity, set()).discard(_holder(detail))
        shoot(_Signals(stage, self._free(detail), signal.SIGCONT))

    def healed(self, stage: Stage, targets: Sequence[str], detail: Mapping[str, Any]) -> Proof:
        """Whether no named process is stopped any more, but those that another pause holds."""
        states = _states(stage, self._free(detail))
        held = [node for node, of_node in states.items() if any(STOPPED in s for s in of_node)]
        what = f"still stopped: {' '.join(held)}" if held else "no process is stopped"
        return Proof(holds=not held, what=what, figures={"states": states})

    def _free(self, detail: Mapping[str, Any]) -> list[tuple[str, ProcessIdentity]]:
        """The named processes that no other pause holds, each with its node."""
        own = {_holder(detail)}
        with self._lock:
            held = {identity for identity, by in self._holders.items() if by - own}
        return [(node, each) for node, each in processes(detail) if each not in held]


def _holder(detail: Mapping[str, Any]) -> int:
    return int(detail.get("occurrence", -1))


Named = Iterable[tuple[str, ProcessIdentity]]
"""Processes, each with its node."""


class _Stop:
    """SIGSTOP to every process that the ledger names, made ready."""

    def __init__(self, pause: Pause, stage: Stage, detail: Mapping[str, Any]) -> None:
        self._pause, self._detail = pause, detail
        self._signals = _Signals(stage, processes(detail), signal.SIGSTOP)

    def fire(self) -> None:
        """Send every node its signals."""
        self._pause.hold(self._detail)
        self._signals.fire()

    def settle(self) -> None:
        """Wait until each is told."""
        self._signals.settle()


class _Signals:
    """One signal to several daemons, made ready."""

    def __init__(self, stage: Stage, named: Named, number: int) -> None:
        found = [(node, find_daemon(stage, node, identity)) for node, identity in named]
        self._ready = [(node, prepare_signal(d, number)) for node, d in found if d is not None]
        self._sent: list[tuple[str, Callable[[], bool]]] = []
        self._trouble: list[str] = []

    def fire(self) -> None:
        """Send it to all."""
        for node, send in self._ready:
            with self._noting(node):
                self._sent.append((node, send()))

    def settle(self) -> None:
        """Wait for every node; ``NodeError`` tells all that went wrong."""
        for node, answer in self._sent:
            with self._noting(node):
                answer()
        if self._trouble:
            raise NodeError("; ".join(self._trouble))

    @contextlib.contextmanager
    def _noting(self, node: str) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            self._trouble.append(f"{node}: {str(error) or named(error)}")


def _states(stage: Stage, named: Named) -> dict[str, list[str]]:
    """Per node and process ``T`` (all of it stopped), another letter, a mix (``ST``), ``gone``.

    Of every process of each named daemon; ``gone`` where none is left.
    """
    states: dict[str, list[str]] = {}
    for node, identity in named:
        daemon = find_daemon(stage, node, identity)
        if isinstance(daemon, HasProcesses):
            found = [_told(letters) for letters in daemon.processes().values()]
            states.setdefault(node, []).extend(found or [GONE])
            continue
        whole = GONE if daemon is None or not daemon.alive() else daemon.state()
        letters = {whole} if whole == GONE else {whole, *_thread_letters(identity)}
        states.setdefault(node, []).append(GONE if GONE in letters else _told(letters))
    return states


def _told(letters: Iterable[str]) -> str:
    return "".join(sorted({STOPPED if letter == _TRACED else letter for letter in letters}))


def _thread_letters(identity: ProcessIdentity) -> set[str]:
    """State letters of all threads of its process group, if this machine runs this process.

    On a provider whose processes are elsewhere the daemon's own ``state`` is all there is.
    """
    letters: set[str] = set()
    if state(identity) == GONE:
        return letters
    for process in _group(identity.pid):
        with contextlib.suppress(OSError):  # one that ended while it was read is not running
            for task in (process / "task").iterdir():
                letters.add(_stat_fields(task)[0])
    # What has ended runs no more, and its stopped parent cannot take note of its end.
    return letters - set(_ENDED)


def _group(leader: int) -> list[Path]:
    """``/proc`` folders of the process group that ``leader`` leads, itself at least."""
    members = [Path(f"/proc/{leader}")]
    for process in Path("/proc").iterdir():
        if process.name.isdigit() and process != members[0]:
            with contextlib.suppress(OSError):
                if _stat_fields(process)[2] == str(leader):
                    members.append(process)
    return members


def _stat_fields(process: Path) -> list[str]:
    """Fields of ``stat`` from the third (state) on; the name before may hold spaces."""
    return (process / "stat").read_text().rpartition(")")[2].split()


NEMESES = {"pause": Pause}
