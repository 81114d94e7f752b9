"""Which processes are a run's: those that carry its folder in their environment.

Whoever starts a run puts it there, and everything that is started in turn inherits it. What a
registration or a ledger in a folder says of a process is a claim that anybody can write; what the
process itself carries is the proof. Without it nothing is signalled.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from harness.linux import identity
from harness.linux.identity import ProcessIdentity

RUN_VARIABLE = "POLYGRAPH_RUN_FOLDER"


def environment(env: Mapping[str, str] | None, run_dir: Path) -> dict[str, str]:
    """``env`` (of ``None``: this process's) with the mark of the run in ``run_dir``."""
    return {**(os.environ if env is None else env), RUN_VARIABLE: str(run_dir.resolve())}


def is_of(who: ProcessIdentity, run_dir: Path) -> bool:
    """Whether exactly this process lives and carries the mark of the run in ``run_dir``."""
    return (
        identity.identify(who.pid) == who
        and _carries(who.pid, run_dir)
        and identity.identify(who.pid) == who  # so that it was this one that was looked at
    )


def processes_of(run_dir: Path) -> list[ProcessIdentity]:
    """Every process that carries the mark of this run, but the caller."""
    found = []
    for name in os.listdir("/proc"):
        if not name.isdigit() or int(name) == os.getpid():
            continue
        who = identity.identify(int(name))
        if who is not None and _carries(who.pid, run_dir):
            found.append(who)
    return found


def end(who: ProcessIdentity, run_dir: Path, timeout_s: float) -> bool:
    """Kill exactly this process if it is this run's, and wait; whether it is gone."""
    return identity.kill_and_wait(who, timeout_s, lambda: _carries(who.pid, run_dir))


def _carries(pid: int, run_dir: Path) -> bool:
    mark = os.fsencode(f"{RUN_VARIABLE}={run_dir.resolve()}")
    try:
        return mark in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:  # ended meanwhile, or not ours to look at
        return False
