"""What Dgraph can be asked for while it serves: moves of tablets, and Alphas that gave up waiting.

* ``move-tablet``: a tablet that another group serves moves to the group of the drawn node's Alpha,
  by ``/moveTablet`` of the Zero that leads. Zero refuses often, and rightly so: another move is
  under way, a group has no leader it knows of. Under load one takes longer than is waited for.
* ``fix-alpha``: an Alpha that has ended by itself, because no Zero answered it, is started again.
"""

from __future__ import annotations

from collections.abc import Mapping
from random import Random
from typing import Any, Final

from harness.contract.action import Outcome
from harness.contract.node import Node, split_address
from harness.contract.system import Stage
from systems.dgraph.members import NotAnswered, any_state, ask, groups, nodes_of, tablets
from systems.dgraph.places import ALPHA, ALPHA_PEER, ZERO, ZERO_HTTP, ZERO_PEER
from systems.dgraph.records import Layout

MOVE_TABLET: Final = "move-tablet"
FIX_ALPHA: Final = "fix-alpha"
ACTIONS: Final = (MOVE_TABLET, FIX_ALPHA)
_STATE_S: Final = 2.0


def move_tablet(
    stage: Stage, node: Node, layout: Layout, chance: Random, timeout_s: float
) -> Outcome:
    """Move one to the group of ``node``; ``chance`` says which."""
    try:
        state = any_state(stage, min(_STATE_S, timeout_s))
    except NotAnswered as error:
        return Outcome(is_done=False, what=f"no Zero answers: {error}")
    group = group_of(stage, node, state)
    if group is None:
        return Outcome(is_done=False, what=f"{node.name} is in no group")
    elsewhere = sorted(name for name, at in tablets(state, layout.tablets()).items() if at != group)
    if not elsewhere:
        return Outcome(is_done=False, what=f"all tablets are in group {group} already")
    return moved(stage, state, chance.choice(elsewhere), group, timeout_s)


def moved(
    stage: Stage, state: Mapping[str, Any], tablet: str, group: str, timeout_s: float
) -> Outcome:
    """Ask the Zero that leads for one move. A refusal is an answer, and so is none in time."""
    leader = _leading_zero(stage, state)
    if leader is None:
        return Outcome(is_done=False, what="no Zero leads")
    figures = {"tablet": tablet, "to": group}
    path = f"/moveTablet?tablet={tablet}&group={group}"
    try:
        status, text = ask(leader, ZERO_HTTP, path, timeout_s)
    except NotAnswered as error:
        what = f"{tablet} to group {group}: no answer within {timeout_s:g} s ({error})"
        return Outcome(is_done=False, what=what, figures=figures)
    is_done = status == 200 and "errors" not in text
    what = f"{tablet} moved to group {group}" if is_done else f"{status} {text.strip()[:200]}"
    return Outcome(is_done=is_done, what=what, figures=figures)


def fix_alpha(stage: Stage, node: Node) -> Outcome:
    """Start the Alpha of ``node`` again, if it has ended and no fault is at it."""
    if ALPHA not in stage.roles_on(node.name):
        return Outcome(is_done=False, what=f"{node.name} has no Alpha")
    daemons = stage.daemons_of(node.name, ALPHA)
    if not daemons or any(daemon.alive() for daemon in daemons):
        return Outcome(is_done=False, what=f"the Alpha of {node.name} runs")
    if any(stage.is_ending(daemon.identity) for daemon in daemons):
        return Outcome(is_done=False, what=f"the Alpha of {node.name} was killed, and comes back")
    status = daemons[0].exit_status()
    stage.start(node.name, ALPHA)
    what = f"the Alpha of {node.name}, which had ended with {status}, was started again"
    return Outcome(is_done=True, what=what)


def group_of(stage: Stage, node: Node, state: Mapping[str, Any]) -> str | None:
    """The group of the Alpha on ``node``."""
    host = split_address(node.reach(ALPHA_PEER, "peer"))[0]
    for number, members in groups(state).items():
        if any(str(member["addr"]).rpartition(":")[0] == host for member in members):
            return number
    return None


def _leading_zero(stage: Stage, state: Mapping[str, Any]) -> Node | None:
    leading = [zero for zero in (state.get("zeros") or {}).values() if zero.get("leader")]
    for node in nodes_of(stage, ZERO):
        host = split_address(node.reach(ZERO_PEER, "peer"))[0]
        if leading and str(leading[0]["addr"]).rpartition(":")[0] == host:
            return node
    return None
