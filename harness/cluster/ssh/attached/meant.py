"""Which processes of the hosts are the database's, and who starts them again.

``--attach`` says how each host's is found: ``port:2379`` (who listens there), ``program:etcd``
(who executes a file of that name) or ``pidfile:/run/etcd.pid``; with several roles ``ROLE=`` before
each. Alone it means the port that the system declares for clients.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import Final

from harness.cluster.places import ports_of
from harness.contract.option import SystemOption
from harness.contract.roles import Role
from harness.contract.system import StartsAgain, System
from harness.errors import UsageError, unknown_name

ITSELF: Final = "itself"
"""As ``--start-command``: whoever runs it starts it again by itself."""
SYSTEM: Final = "system"
"""As ``--attach``: the system knows."""
HOWS: Final = ("port", "program", "pidfile")

_HINT: Final = "--attach port:2379, program:etcd or pidfile:/run/etcd.pid"

ATTACH: tuple[SystemOption, ...] = (
    SystemOption(
        name="attach",
        kind=str,
        default=None,
        bare=SYSTEM,
        help="test and break what runs already on the hosts: port:N, program:NAME or pidfile:PATH"
        " says which process (ROLE=... where there are roles); alone, who listens at the"
        " system's port for clients",
    ),
    SystemOption(
        name="start_command",
        kind=str,
        default=None,
        help="what starts it again on its host once it was ended, as 'systemctl start etcd'; or"
        " itself, where a supervisor does",
    ),
    SystemOption(
        name="server_logs",
        kind=str,
        default=None,
        help="where the logs of what runs already are, which are not read otherwise: file:PATH or"
        " journal:UNIT (ROLE=... where there are roles; {node} and {role} stand for their names)",
    ),
)
"""The options of what runs already on hosts."""

Wanted = Mapping[str, tuple[str, str]]
"""A role to how its process is found, and by which word."""


def wanted(text: str, roles: Sequence[Role], system: System) -> Wanted:
    """How each role's process is found; ``UsageError`` where nobody says it."""
    names = [role.name for role in roles]
    if text == SYSTEM:
        return {names[0]: _by_system(system, names)}
    found: dict[str, tuple[str, str]] = {}
    for word in (each.strip() for each in text.split(",") if each.strip()):
        before, between, after = word.partition("=")
        role, how = (before, after) if between and before in names else (names[0], word)
        if len(names) > 1 and how == word:
            raise UsageError(f"--attach {word}: it says no role, of {', '.join(names)}", _HINT)
        if role in found:
            raise UsageError(f"--attach says twice how {role} is found", _HINT)
        found[role] = _way(how)
    missing = [name for name in names if name not in found]
    if missing:
        raise UsageError(f"--attach does not say how {', '.join(missing)} is found", _HINT)
    return found


def start_command(given: str | None, system: System, node: str, role: str) -> list[str] | None:
    """The words that start ``role`` again; none where it comes by itself, ``None`` for nobody."""
    if given == ITSELF:
        return []
    if given:
        return [word.replace("{role}", role) for word in _split(given)]
    words = list(system.start_command(node, role)) if isinstance(system, StartsAgain) else []
    return words or None


def _split(command: str) -> list[str]:
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise UsageError(f"--start-command {command}: {error}") from error
    if not words:
        raise UsageError("--start-command is empty", "--start-command 'systemctl start etcd'")
    return words


def _way(text: str) -> tuple[str, str]:
    how, _, what = text.partition(":")
    if how not in HOWS or not what:
        raise UsageError(f"--attach {text}: {unknown_name('way to find it', how, HOWS)}", _HINT)
    if how == "port" and not (what.isdecimal() and 0 < int(what) < 1 << 16):
        raise UsageError(f"--attach {text}: {what} is no port", _HINT)
    if how == "pidfile" and not what.startswith("/"):
        raise UsageError(f"--attach {text}: a path that begins at / is needed", _HINT)
    return how, what


def _by_system(system: System, names: Sequence[str]) -> tuple[str, str]:
    ports = [port.number for port in ports_of(system) if port.clients]
    if not ports or len(names) > 1:
        raise UsageError(f"{system.name} does not say which of its processes is meant", _HINT)
    return "port", str(ports[0])
