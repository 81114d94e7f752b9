"""Slow start: nodes die at once and come back at once, but for one that takes its time.

All of the targets are killed; all but the first of the order drawn are started again straight away,
and that one only at the heal. So a cluster forms anew without it, perhaps without the one that led
and has the newest data; what it acknowledged must be there all the same, and when the late one
comes it must follow and not lead on. It bit when every process ended by SIGKILL, the others run
whole again, and the late one does not run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from harness.contract.fault import Proof, Shot, Stage
from harness.contract.option import SystemOption
from harness.errors import NodeError
from nemeses.process.kill import Kill
from nemeses.process.starting import runs_again, start_again
from nemeses.targets import TARGETS, choices, live_daemons

_KEY = "slow_start_targets"
KNOWN = ("minority", "majority", "all")


class SlowStart(Kill):
    """SIGKILL to the targets, a start of all but one at once, and of that one by the heal."""

    name = "slow-start"
    key = _KEY
    options = (
        SystemOption(
            name=_KEY,
            kind=str,
            default=",".join(KNOWN),
            words=KNOWN,
            help="whom to kill and start again, one of them late, with commas; or alpha:all for "
            "the role alpha alone",
        ),
    )

    def __init__(self, options: Mapping[str, Any]) -> None:
        super().__init__({_KEY: options.get(_KEY) or KNOWN})
        self._words = choices(
            {_KEY: options.get(_KEY) or KNOWN}, _KEY, TARGETS, "target", roles=True
        )

    def resolve(self, plan: Mapping[str, Any], stage: Stage) -> tuple[list[str], dict[str, Any]]:
        """The targets that run now, their processes, and which of the nodes is late."""
        targets, detail = super().resolve(plan, stage)
        late = next((node for node in plan["order"] if node in targets), None)
        told = detail.get("what", " ".join(targets))
        return targets, {**detail, "late": late, "what": f"{told}, {late} late"}

    def prepare(self, stage: Stage, targets: Sequence[str], detail: Mapping[str, Any]) -> Shot:
        """Whom to kill, looked up."""
        return _Staggered(super().prepare(stage, targets, detail), stage, _without_late(detail))

    def bit(self, stage: Stage, targets: Sequence[str], detail: Mapping[str, Any]) -> Proof:
        """Whether all were killed, and all but the late one run again."""
        killed = super().bit(stage, targets, detail)
        others = _without_late(detail)
        again = runs_again(stage, list(others["processes"]), others)
        is_late = not live_daemons(stage, detail["late"]) if detail["late"] else False
        late = f"{detail['late']} {'does not run' if is_late else 'runs, too'}"
        return Proof(
            holds=killed.holds and again.holds and is_late,
            what=f"{killed.what}; but for the late one {again.what}; {late}",
            figures={**killed.figures, **again.figures},
        )


class _Staggered:
    """The kill made ready, and then the start of all but one."""

    def __init__(self, kill: Shot, stage: Stage, others: Mapping[str, Any]) -> None:
        self._kill, self._stage, self._others = kill, stage, others

    def fire(self) -> None:
        """Kill them all."""
        self._kill.fire()

    def settle(self) -> None:
        """See them end, and start all but the late one, whatever the kill came to."""
        trouble = ""
        try:
            self._kill.settle()
        except NodeError as error:
            trouble = error.message
        start_again(self._stage, self._others)
        if trouble:
            raise NodeError(trouble)


def _without_late(detail: Mapping[str, Any]) -> dict[str, Any]:
    """The same detail without the node that is late."""
    parts = {key: detail[key] for key in ("processes", "roles") if key in detail}
    return {
        key: {node: of for node, of in part.items() if node != detail["late"]}
        for key, part in parts.items()
    }


NEMESES = {"slow-start": SlowStart}
