"""Whether systemd starts a process of a host again once a fault has ended it.

It does where the process is the main one of a service of the system whose ``Restart=`` covers how
it ends (systemd.service(5)): SIGKILL is an unclean signal, a polite end a clean one. Where a
service restricts that further (``RestartPreventExitStatus=``), or anything is unclear, nobody is
said to: then ``--start-command`` is asked for.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from harness.errors import NodeError

AFTER_A_KILL: Final = frozenset({"always", "on-failure", "on-abnormal", "on-abort"})
AFTER_A_POLITE_END: Final = frozenset({"always", "on-success"})
_PROPERTIES: Final = "MainPID,Restart,RestartPreventExitStatus"


def starts_again(run: Callable[[list[str]], str], pid: int, politely: bool) -> bool:
    """Whether it would; ``run`` gives what a command says on that host, or a ``NodeError``."""
    try:
        unit = unit_of(run(["cat", f"/proc/{pid}/cgroup"]))
        if unit is None:
            return False
        said = run(["systemctl", "show", f"--property={_PROPERTIES}", unit])
    except NodeError:
        return False
    known = dict(line.partition("=")[::2] for line in said.splitlines())
    covers = AFTER_A_POLITE_END if politely else AFTER_A_KILL
    return (
        known.get("MainPID") == str(pid)
        and known.get("Restart") in covers
        and not known.get("RestartPreventExitStatus", "").strip()
    )


def unit_of(cgroup: str) -> str | None:
    """The service of the system that a process is of, by its ``/proc/PID/cgroup``."""
    for line in cgroup.splitlines():
        controllers, path = line.split(":", 2)[1:]
        words = path.strip("/").split("/")
        is_own = controllers in ("", "name=systemd") and words[0] == "system.slice"
        if is_own and words[-1].endswith(".service"):
            return words[-1]
    return None
