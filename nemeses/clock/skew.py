"""Clock: a node's processes read a wrong wall-clock time.

    bump     ahead or behind by 1.5^6 to 1.5^31 ms (11 ms to 288 s), at once
    strobe   ahead by 2^4 to 2^18 ms (16 ms to 262 s) and back, every 2^0 to 2^10 ms, but at most
             every half of what it is ahead by
    drift    fast or slow, the fastest possible clock 2.5 times as fast as the slowest

The shapes are Jepsen's (``jepsen.nemesis.time``, ``jepsen.faketime``), each node with a value of
its own. Smaller and slower strobes are not drawn: a report in whole seconds tells the two faces
apart once a second, for as long as the clock is ahead by, and must see both. How it is done is in
:mod:`harness.cluster.hands.vdso`: no machine's clock is set, unless ``--clock-method machine``
says that the machines are given up to the test.

Only what processes *read* changes. So a system must declare its clock path: one that *waits* for
wall-clock times is refused unless asked for, one that bypasses the usual way is refused. The
proof of bite is the time that the system itself reports (:mod:`nemeses.clock.reported_time`), and
that of healing the same, with every process's memory as the kernel made it. A system may well be
shifted and not mind: leases that count monotonic time do not feel it, and the proof says so.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from math import log2
from random import Random
from typing import Any, cast

from harness.contract.fault import Effects, Proof, Stage
from harness.contract.node import ClockMethod, Clocks, ClockSettable, Cluster, Node
from harness.contract.option import SystemOption
from harness.contract.roles import Role
from harness.contract.system import (
    BYPASSES,
    CLOCK_PATHS,
    WAITS_ON_TRUE_CLOCK,
    ClockPath,
    ReportsTime,
    System,
)
from harness.errors import NodeError, UsageError, unknown_name
from harness.wording import named
from nemeses.clock.reported_time import ClockOf, Faces, Flips, clock_of
from nemeses.targets import (
    PRIMARIES,
    TARGETS,
    Aim,
    check_roles,
    choices,
    live_daemons,
    plan_targets,
    resolve_targets,
)

_KEY = "clock_targets"
SHAPES = ("bump", "strobe", "drift")
METHODS = ("process", "machine")
DRIFT_FACTOR = 2.5
LEAST_DRIFT = 0.02
MOST_DOUBT_NS = 250_000_000
NOT_FELT = "wall clock only: what counts monotonic time, as many leases do, does not feel it"


class Clock:
    """The clock of each target's processes set by a bump, a strobe or a drift of its own."""

    name = "clock"
    needs = (Clocks, ClockSettable, ClockPath, ReportsTime)
    options = (
        SystemOption(
            name=_KEY,
            kind=str,
            default=",".join(TARGETS),
            words=TARGETS,
            help="whose clock is set, with commas; or alpha:one for nodes with the role alpha",
        ),
        SystemOption(
            name="clock_shapes",
            kind=str,
            default=",".join(SHAPES),
            words=SHAPES,
            help="how it is set, with commas",
        ),
        SystemOption(
            name="clock_method",
            kind=str,
            default=METHODS[0],
            choices=METHODS,
            help="process: what the node's processes read; machine: the real clock of machines "
            "that are given up to the test (ssh only)",
        ),
        SystemOption(
            name="clock_despite_waits",
            kind=bool,
            default=False,
            help="also for a system that waits for wall-clock times, which stay the true ones",
        ),
    )

    def __init__(self, options: Mapping[str, Any]) -> None:
        self._words = choices(options, _KEY, TARGETS, "target", roles=True)
        self._shapes = choices(options, "clock_shapes", SHAPES, "clock shape")
        self._method = _method(options.get("clock_method") or METHODS[0])
        self._despite_waits = bool(options.get("clock_despite_waits"))
        self._lock = threading.Lock()
        self._proved: dict[int, dict[str, dict[str, Any]]] = {}
        self._faces: dict[tuple[int, str], Faces] = {}
        self._holders: dict[str, int] = {}

    def aim(self, roles: Sequence[Role]) -> None:
        """Refuses roles that there are not."""
        check_roles(self._words, _KEY, roles)

    def refusal(self, cluster: Cluster, system: System) -> str | None:
        """Why not: no way to set clocks here, or a system whose time cannot be set or proved."""
        if not isinstance(cluster, Clocks):
            return f"provider {cluster.provider} cannot set the clocks of its nodes"
        return self._refusal_of(system) or cluster.clock_refusal(self._method)

    def plan(self, nodes: Sequence[str], rng: Random) -> dict[str, Any]:
        """A shape, a target word, the order of nodes, and a clock program for every node."""
        shape = rng.choice(self._shapes)
        programs = {node: draw(shape, rng) for node in nodes}
        return {"shape": shape, **plan_targets(self._words, nodes, rng), "programs": programs}

    def resolves_late(self, plan: Mapping[str, Any]) -> bool:
        """Where the leaders are meant: who they are is known at the moment only."""
        return Aim.of(plan["target"]).word == PRIMARIES

    def resolve(self, plan: Mapping[str, Any], stage: Stage) -> tuple[list[str], dict[str, Any]]:
        """The targets that run now, with their clock programs.

        A node has one clock: one whose clock is set by this fault already is passed over.
        """
        with self._lock:
            held = set(self._holders)
        free = {**plan, "order": [node for node in plan["order"] if node not in held]}
        targets, detail = resolve_targets(free, stage)
        targets = [node for node in targets if node not in held]
        if held:
            detail["clock_is_set"] = sorted(held)
        detail["shape"] = plan["shape"]
        detail["method"] = self._method
        detail["programs"] = {node: plan["programs"][node] for node in targets}
        if _path_of(stage.system) == WAITS_ON_TRUE_CLOCK:
            detail["clock_path"] = WAITS_ON_TRUE_CLOCK
        return targets, detail

    def effects(self, stage: Stage, targets: Sequence[str], detail: Mapping[str, Any]) -> Effects:
        """The targets read another time."""
        return Effects(shifts_clock=tuple(targets))

    def inject(self, stage: Stage, targets: Sequence[str], detail: Mapping[str, Any]) -> None:
        """Set the clock of each target."""

        def set_one(node: Node) -> None:
            self._take(node.name, detail)
            _settable(node).set_clock(detail["programs"][node.name], detail["method"])

        _raise_all(_on_each(stage, targets, set_one))

    def bit(self, stage: Stage, targets: Sequence[str], detail: Mapping[str, Any]) -> Proof:
        """Whether every target's system reports the time that was asked for.

        A target that has proved it once need not again: it may be killed or paused meanwhile.
        """
        occurrence = detail.get("occurrence", -1)
        with self._lock:
            proved = self._proved.setdefault(occurrence, {})
            faces = {node: self._faces.setdefault((occurrence, node), Faces()) for node in targets}
        system = cast(ReportsTime, stage.system)
        missing = [node for node in targets if node not in proved]

        def prove(node: Node) -> None:
            proved[node.name] = _prove(system, node, faces[node.name])

        trouble = _on_each(stage, missing, prove)
        holds = bool(targets) and all(node in proved for node in targets)
        figures = {"nodes": dict(proved), **({"not_yet": trouble} if trouble else {})}
        return Proof(holds=holds, what=_told(detail, targets, proved, trouble), figures=figures)

    def heal(self, stage: Stage, targets: Sequence[str], detail: Mapping[str, Any]) -> None:
        """Have every target's processes read the true time again."""

        def heal_one(node: Node) -> None:
            _settable(node).heal_clock()
            with self._lock:
                self._holders.pop(node.name, None)

        _raise_all(_on_each(stage, self._own(targets, detail), heal_one))

    def healed(self, stage: Stage, targets: Sequence[str], detail: Mapping[str, Any]) -> Proof:
        """Whether no process is changed any more, and every target's system reports the truth.

        A system that does not run, or stands still, reports nothing; its memory is the proof.
        """
        figures: dict[str, dict[str, Any]] = {}
        own = self._own(targets, detail)
        trouble = _on_each(stage, own, lambda node: _prove_true(stage, node, figures))
        what = "; ".join(trouble.values()) or "every process's clock is as the kernel made it"
        return Proof(holds=not trouble, what=what, figures={"nodes": figures})

    def _own(self, targets: Sequence[str], detail: Mapping[str, Any]) -> list[str]:
        """The targets whose clock is no other fault's, by which this one was refused it."""
        own = _holder(detail)
        with self._lock:
            return [node for node in targets if self._holders.get(node, own) == own]

    def _take(self, node: str, detail: Mapping[str, Any]) -> None:
        """``NodeError`` if the node's clock was set meanwhile by another fault of this kind."""
        with self._lock:
            if self._holders.setdefault(node, _holder(detail)) != _holder(detail):
                raise NodeError("its clock is set by another fault")

    def _refusal_of(self, system: System) -> str | None:
        path = _path_of(system)
        if path is None:
            return (
                f"{system.name} does not declare how it comes by the time (ClockPath); "
                f"try: polygraph doctor --clock {system.name}"
            )
        if not isinstance(system, ReportsTime):
            return f"{system.name} cannot report its time (ReportsTime), so nothing would be proved"
        if self._method == "machine":
            return None  # a real clock is the true one, also for waits
        if path == BYPASSES:
            return (
                f"{system.name} reads the time by a way that cannot be changed per process "
                "(raw system calls or the processor's counter)"
            )
        if path == WAITS_ON_TRUE_CLOCK and not self._despite_waits:
            return (
                f"{system.name} also waits for wall-clock times, which stay the true ones, so what "
                "it does is not what a wrong clock does; --clock-despite-waits runs it all the same"
            )
        return None


def draw(shape: str, rng: Random) -> dict[str, Any]:
    """The clock program of one node."""
    if shape == "bump":
        return {"shift_ns": rng.choice([-1, 1]) * round(1.5 ** rng.randint(6, 31) * 1e6)}
    if shape == "strobe":
        delta_ms = 2 ** rng.uniform(4, 18)
        period_ms = 2 ** rng.uniform(0, min(10, log2(delta_ms / 2)))
        return {"delta_ns": round(delta_ms * 1e6), "period_ns": round(period_ms * 1e6)}
    fastest = 2 / (1 + 1 / DRIFT_FACTOR)
    while True:
        rate = rng.uniform(fastest / DRIFT_FACTOR, fastest) - 1
        if abs(rate) >= LEAST_DRIFT:
            return {"rate": round(rate, 6)}


def describe(program: Mapping[str, Any]) -> str:
    """A clock program in words."""
    if program.get("period_ns"):
        delta_s, period_ms = program["delta_ns"] / 1e9, program["period_ns"] / 1e6
        return f"{delta_s:+.3f} s every other {period_ms:.1f} ms"
    if program.get("rate"):
        return f"at {1 + program['rate']:.3f} of true speed"
    return f"{program.get('shift_ns', 0) / 1e9:+.3f} s"


def _method(word: str) -> ClockMethod:
    if word not in METHODS:
        raise UsageError(f"--clock-method: {unknown_name('clock method', word, METHODS)}")
    return cast(ClockMethod, word)


def _path_of(system: System) -> str | None:
    if not isinstance(system, ClockPath):
        return None
    path = system.clock_path()
    if path not in CLOCK_PATHS:
        raise UsageError(
            f"{system.name} declares a {unknown_name('clock path', path, CLOCK_PATHS)}"
        )
    return path


def _prove(system: ReportsTime, node: Node, faces: Faces) -> dict[str, Any]:
    """Measure one node; the figures if it is as asked, else raises why not."""
    state = _settable(node).read_clock()
    program = state["program"]
    if program is None:
        raise NodeError("its clock is not set")
    cost = {key: state[key] for key in ("processes", "threads", "stop_ms")}
    clock = clock_of(system, node, program)
    if program.get("period_ns"):
        return {**_prove_faces(clock, program["delta_ns"], faces), **cost}
    beside, expected_ns = clock.beside_expectation()
    ahead = beside.shifted(expected_ns)
    if not beside.hold(0) or ahead.hold(0):
        raise NodeError(f"reports a time ahead by {ahead.in_ms()} ms, asked {expected_ns / 1e6:g}")
    return {"ahead_ms": ahead.in_ms(), "asked_ms": round(expected_ns / 1e6, 3), **cost}


def _holder(detail: Mapping[str, Any]) -> int:
    return int(detail.get("occurrence", -1))


def _prove_faces(clock: ClockOf, delta_ns: int, faces: Faces) -> dict[str, Any]:
    """Look for both faces of a strobe, those seen by earlier looks included."""
    flips = Flips(clock, delta_ns, faces)
    first = clock.sample()
    flips.look(*flips.window(first.came_ns, first.reading.latest_ns - first.reading.earliest_ns))
    if faces.stray is not None:
        raise NodeError(f"reports a time ahead by {faces.stray.in_ms()} ms, neither face")
    if not faces.ahead or not faces.true:
        raise NodeError(f"seen ahead {faces.ahead} times and true {faces.true} times")
    return {"seen_ahead": faces.ahead, "seen_true": faces.true}


def _prove_true(stage: Stage, node: Node, figures: dict[str, dict[str, Any]]) -> None:
    """Raise unless the node's processes are pristine and its system reports the truth."""
    state = _settable(node).read_clock()
    found = {key: state[key] for key in ("processes", "changed", "pristine")}
    figures[node.name] = found
    if state["program"] is not None or state["processes"] != state["pristine"]:
        raise NodeError(f"{found['processes'] - found['pristine']} processes are not as they were")
    daemons = live_daemons(stage, node.name)
    if not daemons or all(daemon.state() in ("T", "t") for daemon in daemons):
        found["reported"] = "does not run" if not daemons else "stands still"
        return
    beside, _ = clock_of(cast(ReportsTime, stage.system), node, {}).beside_expectation()
    found["ahead_ms"] = beside.in_ms()
    if beside.high_ns - beside.low_ns > MOST_DOUBT_NS:
        raise NodeError(f"could not be asked in time: its clock is ahead by {beside.in_ms()} ms")
    if not beside.hold(0):
        raise NodeError(f"still reports a time ahead by {beside.in_ms()} ms")


def _told(
    detail: Mapping[str, Any],
    targets: Sequence[str],
    proved: Mapping[str, Mapping[str, Any]],
    trouble: Mapping[str, str],
) -> str:
    if trouble or not targets:
        return "; ".join(trouble.values()) or "no target runs"
    each = ", ".join(f"{node} {describe(detail['programs'][node])}" for node in targets)
    waits = "; its waits for wall-clock times stay true" if "clock_path" in detail else ""
    return f"the system's own time is shifted as asked ({each}){waits}; {NOT_FELT}"


def _settable(node: Node) -> ClockSettable:
    if not isinstance(node, ClockSettable):
        raise NodeError(f"{node.name}: its provider cannot set its clock")
    return node


def _on_each(stage: Stage, names: Sequence[str], step: Callable[[Node], None]) -> dict[str, str]:
    """Do ``step`` on all nodes at once; what went wrong, by node."""

    def attempt(name: str) -> str:
        try:
            step(stage.cluster.node(name))
        except Exception as error:
            said = str(error) or named(error)
            return said if said.startswith(f"{name}:") else f"{name}: {said}"
        return ""

    if not names:
        return {}
    with ThreadPoolExecutor(max_workers=len(names), thread_name_prefix="clock") as pool:
        said = dict(zip(names, pool.map(attempt, names), strict=True))
    return {name: why for name, why in said.items() if why}


def _raise_all(trouble: Mapping[str, str]) -> None:
    if trouble:
        raise NodeError("; ".join(trouble.values()))


NEMESES = {"clock": Clock}
