"""Rolling restart: one node after another is stopped politely, started, and ready before the next.

So operators change settings and versions, and a cluster is to serve all the while: no more than one
node is down at a time, and each hands over what it leads. Nodes are taken in the order drawn, until
all are through; what is not through when the heal comes is, before the heal returns. It bit when
two nodes (of one target, that one) ended as the system says that they end, run again as other
processes, and the system was ready after each. Where a node does not come back ready in time the
roll stops there, as an operator's would, and the heal starts what does not run.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any

from harness.contract.fault import Proof, Stage
from harness.contract.node import HasProcesses
from harness.contract.option import SystemOption
from harness.contract.roles import in_waves
from harness.contract.system import Stops
from harness.wording import named
from nemeses.process.restart import Restart
from nemeses.process.starting import raise_all, start_again
from nemeses.targets import TARGETS, places

_KEY = "rolling_restart_targets"
READY_S = 30.0
_HEAL_S = 45.0


class RollingRestart(Restart):
    """A polite stop and a start of one node after another."""

    name = "rolling-restart"
    key = _KEY
    how = "ended politely, one node after another"
    needs: Sequence[type] = (HasProcesses, Stops)
    options = (
        SystemOption(
            name=_KEY,
            kind=str,
            default="all",
            words=TARGETS,
            help="which nodes to restart one after another, with commas; or alpha:all for a role's",
        ),
    )

    def __init__(self, options: Mapping[str, Any]) -> None:
        super().__init__({self.key: options.get(self.key) or "all"})
        self._rolls: dict[int, Roll] = {}

    def resolve(self, plan: Mapping[str, Any], stage: Stage) -> tuple[list[str], dict[str, Any]]:
        """The targets that run now, their processes, and the order in which they are taken."""
        targets, detail = super().resolve(plan, stage)
        in_turn = [node for node in plan["order"] if node in targets]
        return targets, {**detail, "in_turn": in_turn, "what": f"{' then '.join(in_turn)}"}

    def inject(self, stage: Stage, targets: Sequence[str], detail: Mapping[str, Any]) -> None:
        """Begin with the first node."""
        self.begin(stage, detail)
        roll = self._rolls[_occurrence(detail)] = Roll(self, stage, detail)
        roll.start()

    def between(self, stage: Stage, node: str, detail: Mapping[str, Any]) -> None:
        """What is done to a node while it is stopped: here nothing."""

    def stop_node(self, stage: Stage, node: str, detail: Mapping[str, Any]) -> None:
        """Stop every role of the node that is meant, the last started first."""
        here = [place for place in places(detail, stage) if place[0] == node]
        for wave in reversed(in_waves(stage.roles, here)):
            for place in wave:
                self._stop(stage, place, detail)

    def bit(self, stage: Stage, targets: Sequence[str], detail: Mapping[str, Any]) -> Proof:
        """Whether the first two (or all, if they are fewer) are through, as they were to be.

        Waits for that: a heal that comes too early has the roll go on.
        """
        roll = self._rolls.get(_occurrence(detail))
        wanted = min(2, len(targets))
        through = [] if roll is None else roll.wait_for(wanted)
        ended = {
            node: [
                self._end(stage, place, identity)
                for place, named in places(detail, stage).items()
                if place[0] == node
                for identity in named
            ]
            for node in through
        }
        good = [node for node, ends in ended.items() if ends and all(e.as_meant for e in ends)]
        figures: dict[str, Any] = {
            "through": good,
            "statuses": {node: [end.status for end in ends] for node, ends in ended.items()},
            "took_s": {} if roll is None else roll.took_s,
        }
        trouble = "" if roll is None or not roll.trouble else f"; it stopped: {roll.trouble}"
        what = f"{len(good)} of {len(targets)} nodes {self.how}, and ready again{trouble}"
        return Proof(holds=0 < wanted <= len(good), what=what, figures=figures)

    def heal(self, stage: Stage, targets: Sequence[str], detail: Mapping[str, Any]) -> None:
        """Have the roll come to its end, and start what does not run."""
        roll = self._rolls.get(_occurrence(detail))
        if roll is not None:
            roll.finish()
        super().heal(stage, targets, detail)


class Roll:
    """One occurrence, node after node, in a thread of its own."""

    def __init__(self, fault: RollingRestart, stage: Stage, detail: Mapping[str, Any]) -> None:
        self._fault, self._stage, self._detail = fault, stage, detail
        self._news = threading.Condition()
        self._through: list[str] = []
        self._is_over = False
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="rolling", daemon=True)
        self.took_s: dict[str, float] = {}
        self.trouble = ""

    def start(self) -> None:
        """Begin with the first node."""
        self._thread.start()

    def wait_for(self, count: int) -> list[str]:
        """The nodes that are ready again, in order, once they are so many or no more will come."""
        with self._news:
            self._news.wait_for(lambda: len(self._through) >= count or self._is_over, READY_S)
            return list(self._through)

    def finish(self) -> None:
        """Return once it is over; where that takes too long it goes on with no other node."""
        if self._thread.ident is not None:
            self._thread.join(_HEAL_S)
        self._over.set()

    def _run(self) -> None:
        try:
            for node in self._detail["in_turn"]:
                if self._over.is_set():
                    return
                begun = time.monotonic()
                self._restart(node)
                with self._news:
                    self._through.append(node)
                    self._news.notify_all()
                    self.took_s[node] = round(time.monotonic() - begun, 2)
        except Exception as error:  # a node's trouble, or the system's: no other node is stopped
            self.trouble = str(error) or named(error)
        finally:
            with self._news:
                self._is_over = True
                self._news.notify_all()

    def _restart(self, node: str) -> None:
        stage, detail = self._stage, self._detail
        trouble: list[str] = []
        try:
            self._fault.stop_node(stage, node, detail)
        except Exception as error:
            trouble.append(str(error) or named(error))
        if not trouble:
            self._fault.between(stage, node, detail)
        start_again(stage, only(detail, node))
        raise_all(trouble)
        stage.system.ready(stage, READY_S)


def only(detail: Mapping[str, Any], node: str) -> dict[str, Any]:
    """The same detail with one node's processes alone."""
    parts = {key: detail[key] for key in ("processes", "roles") if key in detail}
    return {key: {node: part[node]} for key, part in parts.items() if node in part}


def _occurrence(detail: Mapping[str, Any]) -> int:
    return int(detail.get("occurrence", -1))


NEMESES = {"rolling-restart": RollingRestart}
