"""The roles of a system: which daemons it has on which nodes, and in what order they start.

Most systems are alike on every node and need not know of roles: they have one, of their own name,
on all nodes. Others have several: Zero and Alpha, database and Sentinel, broker and controller. A
node may hold several roles; each has daemons of its own there, which are started, ended, paused
and started again apart from those of the others.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from harness.errors import UsageError, unknown_name
from harness.wording import shown

_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_.-]*")


@dataclass(frozen=True, kw_only=True)
class Role:
    """What some of the nodes are there for.

    ``name`` is what ``--kill-targets NAME:one`` calls it: small letters, digits, ``-``, ``_`` and
    ``.``. ``after`` names the roles that must have been started, on all of their nodes, before
    this one is started anywhere. ``serves_clients`` says whether the run's clients are opened on
    its nodes.
    """

    name: str
    nodes: Sequence[str]
    after: Sequence[str] = ()
    serves_clients: bool = True


Place = tuple[str, str]
"""A role on a node: (name of the node, name of the role)."""


def checked(system: str, roles: Sequence[Role], nodes: Sequence[str]) -> tuple[Role, ...]:
    """``roles`` as they are; ``UsageError`` where they cannot be started or nobody serves."""
    names = [role.name for role in roles]
    for role in roles:
        if not _NAME.fullmatch(role.name) or names.count(role.name) > 1:
            raise _odd(
                system, f"the role {shown(role.name)} is named twice or not in small letters"
            )
        for node in role.nodes:
            if node not in nodes or list(role.nodes).count(node) > 1:
                raise _odd(system, f"the role {role.name} is twice on {node}, or that is no node")
        for other in role.after:
            if other not in names:
                unknown = unknown_name("role", other, names)
                raise _odd(system, f"the role {role.name} is after {other}, and {unknown}")
    if not any(role.nodes for role in roles if role.serves_clients):
        raise _odd(system, "no node has a role that serves clients")
    waves(roles, system)
    return tuple(roles)


def waves(roles: Sequence[Role], system: str = "the system") -> list[list[Role]]:
    """The roles in order of start: each list's beside each other, once the lists before it run.

    ``UsageError`` if roles wait for each other in a circle.
    """
    waiting, found = list(roles), list[list[Role]]()
    while waiting:
        left = {role.name for role in waiting}
        wave = [role for role in waiting if not left & set(role.after)]
        if not wave:
            raise _odd(system, f"the roles {', '.join(sorted(left))} start after each other")
        found.append(wave)
        waiting = [role for role in waiting if role not in wave]
    return found


def in_waves(roles: Sequence[Role], places: Iterable[Place]) -> list[list[Place]]:
    """Some places in order of start, as :func:`waves`; a list may be empty."""
    asked = list(places)
    names = [{role.name for role in wave} for wave in waves(roles)]
    return [[place for place in asked if place[1] in wave] for wave in names]


def _odd(system: str, what: str) -> UsageError:
    return UsageError(f"{system}: {what}", f"mend roles() of the system {shown(system)}")
