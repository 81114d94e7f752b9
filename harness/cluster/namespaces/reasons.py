"""Why namespaces are refused on this machine, and what would change that.

Several locks can be on the same door: distributions switch unprivileged user namespaces off by
their own sysctl (Debian's patch), by a count of zero, or by AppArmor (Ubuntu from 23.10, which
allows ``unshare`` but withholds every capability); containers add a seccomp filter and mask parts
of ``/proc``, which makes a new mount of it fail.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

_LOCKS = (
    ("kernel/unprivileged_userns_clone", "0", "sysctl -w kernel.unprivileged_userns_clone=1"),
    ("user/max_user_namespaces", "0", "sysctl -w user.max_user_namespaces=15000"),
    (
        "kernel/apparmor_restrict_unprivileged_userns",
        "1",
        "sysctl -w kernel.apparmor_restrict_unprivileged_userns=0",
    ),
)

PYROUTE2_HINT = 'pip install "polygraph-db[local]"'


def has_pyroute2() -> bool:
    """Whether the netlink library is installed (not imported: that costs 0.1 s)."""
    return importlib.util.find_spec("pyroute2") is not None


def closed_locks(proc_sys: Path = Path("/proc/sys")) -> list[tuple[str, str]]:
    """(setting as it is, command that would open it) for each lock that is closed here."""
    closed = []
    for name, value, command in _LOCKS:
        try:
            found = (proc_sys / name).read_text(encoding="ascii").strip()
        except OSError:
            continue
        if found == value:
            closed.append((f"{name.replace('/', '.', 1)} = {value}", command))
    return closed


def seccomp_filtered(status: Path = Path("/proc/self/status")) -> bool:
    """Whether a seccomp filter stands over this process, as in a container by default."""
    lines = status.read_text(encoding="ascii", errors="replace").splitlines()
    return any(line.split() == ["Seccomp:", "2"] for line in lines)


def hint_for(mode: str, refusal: str) -> str:
    """What would make ``mode`` work, given the refusal of its rehearsal."""
    if mode == "root":
        return _hint_for_root(refusal)
    commands = [command for _, command in closed_locks()]
    if commands:
        return f"as root: {'; '.join(commands)}"
    if seccomp_filtered():
        return (
            "start this container with --security-opt seccomp=unconfined "
            "--security-opt systempaths=unconfined --security-opt apparmor=unconfined"
        )
    return f"have user namespaces with network and mount rights allowed here ({refusal})"


def _hint_for_root(refusal: str) -> str:
    if refusal == "not run as root":
        return "run it as root"
    return "as root with CAP_SYS_ADMIN and CAP_NET_ADMIN (in a container: docker run --privileged)"
