"""Flapping: links that are cut and let go again and again, faster than the system settles.

What is cut is drawn as for :mod:`nemeses.network.partition`; it is held for ``--flapping-cut-s``,
let go for ``--flapping-open-s``, and so on until the heal. A leader that is elected in one cut is
deposed in the next; connections stand, and stall. It bit when, over two cuts at least, packets of
the database ran into it, and the matrix of links was once seen exactly as it is to be while they
were cut, and once while they were let go: the fault that sticks in either state is none. Those two
measurements, and only they, lengthen a state by what a probe of all links takes (about 0.3 s).
"""

from __future__ import annotations

import math
import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from random import Random
from typing import Any

from harness import wording
from harness.contract.fault import Proof, Stage
from harness.contract.node import Partitionable
from harness.contract.option import SystemOption
from harness.contract.shot import Shot
from harness.errors import UsageError
from nemeses.network import shapes
from nemeses.network.cuts import cuts_of
from nemeses.network.holding import occurrence_of
from nemeses.network.partition import KNOWN, Partition
from nemeses.network.proofs import cuttable, measured, named, ran_into

_KEY, _CUT, _OPEN = "flapping_targets", "flapping_cut_s", "flapping_open_s"
_END_S = 10.0
"""So long a heal waits for what is under way; a probe of all links takes a tenth of it."""


class Flapping(Partition):
    """A cut that comes and goes."""

    name = "flapping"
    key = _KEY
    needs = (Partitionable,)
    options = (
        SystemOption(
            name=_KEY,
            kind=str,
            default=",".join(KNOWN),
            words=KNOWN,
            help="shapes of the cut that comes and goes, with commas, as for partition",
        ),
        SystemOption(name=_CUT, kind=float, default=0.4, help="how long it is cut each time"),
        SystemOption(name=_OPEN, kind=float, default=0.4, help="how long it is let go each time"),
    )

    def __init__(self, options: Mapping[str, Any]) -> None:
        super().__init__({_KEY: options.get(_KEY)})
        self._cut_s, self._open_s = (_seconds(options, key) for key in (_CUT, _OPEN))
        self._flaps: dict[int, _Flaps] = {}

    def plan(self, nodes: Sequence[str], rng: Random) -> dict[str, Any]:
        """As of a partition, and how long each state lasts."""
        return {**super().plan(nodes, rng), "cut_s": self._cut_s, "open_s": self._open_s}

    def resolve(self, plan: Mapping[str, Any], stage: Stage) -> tuple[list[str], dict[str, Any]]:
        """As of a partition, and how long each state lasts."""
        targets, detail = super().resolve(plan, stage)
        states = {key: float(plan.get(key, 0.4)) for key in ("cut_s", "open_s")}
        return targets, {**detail, **states, "what": f"{detail['what']}, cut again and again"}

    def inject(self, stage: Stage, targets: Sequence[str], detail: Mapping[str, Any]) -> None:
        """Cut, and begin to come and go."""
        flaps = self._flaps[occurrence_of(detail)] = _Flaps(self, stage, detail)
        flaps.start()

    def prepare(self, stage: Stage, targets: Sequence[str], detail: Mapping[str, Any]) -> Shot:
        """The first cut made ready."""
        flaps = self._flaps[occurrence_of(detail)] = _Flaps(self, stage, detail)
        return _Begin(flaps, super().prepare(stage, targets, detail))

    def bit(self, stage: Stage, targets: Sequence[str], detail: Mapping[str, Any]) -> Proof:
        """What was seen by now of both states."""
        flaps = self._flaps.get(occurrence_of(detail))
        return Proof(holds=False, what="it has not begun") if flaps is None else flaps.proof()

    def heal(self, stage: Stage, targets: Sequence[str], detail: Mapping[str, Any]) -> None:
        """Stop, and let every link go that no other cut holds."""
        flaps = self._flaps.get(occurrence_of(detail))
        if flaps is not None:
            flaps.stop()
        super().heal(stage, targets, detail)


class _Flaps:
    """One occurrence that comes and goes, in a thread of its own, and what was seen of it."""

    def __init__(self, fault: Flapping, stage: Stage, detail: Mapping[str, Any]) -> None:
        self._stage = stage
        self._grudge = shapes.from_json(detail["grudge"])
        self._lasts_s = {True: detail["cut_s"], False: detail["open_s"]}
        self._holder = fault.holder(detail)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="flapping", daemon=True)
        self._lock = threading.Lock()
        self._dropped: Counter[str] = Counter()
        self._cuts = 0
        self._seen: dict[bool, str] = {}
        self._figures: dict[str, Any] = {}
        self._trouble = ""

    def start(self) -> None:
        """Begin with a cut."""
        self._thread.start()

    def stop(self) -> None:
        """Return once nothing is cut or let go any more. Safe twice."""
        self._over.set()
        if self._thread.ident is not None:
            self._thread.join(_END_S)

    def proof(self) -> Proof:
        """Whether both states were seen, and packets ran into at least two cuts."""
        with self._lock:
            figures = {**self._figures, "dropped": dict(self._dropped), "cuts": self._cuts}
            seen = " and ".join(self._seen[state] for state in sorted(self._seen)) or "neither"
            packets = sum(self._dropped.values())
            holds = self._cuts > 1 and len(self._seen) == 2 and packets > 0
            what = (
                f"{self._cuts} cuts, {packets} packets of the database ran into them; seen {seen}"
            )
            return Proof(holds=holds, what=f"{what}{self._trouble}", figures=figures)

    def _run(self) -> None:
        is_cut = True
        try:
            while not self._over.is_set():
                self._change(is_cut)
                self._over.wait(self._lasts_s[is_cut])
                self._look(is_cut)
                is_cut = not is_cut
        except Exception as error:  # a provider's own; the proof then says so and cannot hold
            with self._lock:
                self._trouble = f"; then {str(error) or wording.named(error)}"
                self._seen.clear()

    def _change(self, is_cut: bool) -> None:
        cuts = cuts_of(cuttable(self._stage))
        if is_cut:
            cuts.hold(self._holder, self._grudge)
        else:
            cuts.let_go(self._holder)

    def _look(self, is_cut: bool) -> None:
        """Count what ran into it before it is let go, and measure each state until it was seen."""
        figures: dict[str, Any] = {}
        dropped = ran_into(self._stage, self._grudge, figures) if is_cut else {}
        with self._lock:
            self._cuts += is_cut
            self._dropped.update({named(link): count for link, count in dropped.items()})
        if is_cut in self._seen or self._over.is_set():
            return
        what, is_exact = measured(self._stage, figures)
        if is_exact:
            with self._lock:
                state = "cut" if is_cut else "open"
                self._seen[is_cut] = f"{state}: {what}"
                self._figures[f"reachable while {state}"] = figures["reachable"]


class _Begin:
    """The first cut made ready, after which it comes and goes."""

    def __init__(self, flaps: _Flaps, first: Shot) -> None:
        self._flaps, self._first = flaps, first

    def fire(self) -> None:
        """Cut at once."""
        self._first.fire()

    def settle(self) -> None:
        """Wait for the cut, then go on."""
        self._first.settle()
        self._flaps.start()


def _seconds(options: Mapping[str, Any], key: str) -> float:
    given = options.get(key)
    value = 0.4 if given is None else float(given)
    if not (math.isfinite(value) and 0.02 <= value <= 3600):
        flag = "--" + key.replace("_", "-")
        raise UsageError(f"{flag} {given}: must be seconds, from 0.02 to 3600", f"{flag} 0.4")
    return value


NEMESES = {"flapping": Flapping}
