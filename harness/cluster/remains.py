"""Whether anything can be left of a run that no registration tells of, judged by its ledger.

The ledger of a run names processes by their full identity: number, start, boot and pid
namespace. If all of them are of another boot, nothing that the run made can be left on this
machine. If they are of this boot, the run is gone when neither one of them exists nor any
process in their pid namespaces: what a node runs, its first process included, is in that node's
namespace, while the numbers themselves may be those that were seen from inside the run.

Where the ledger names no process (cut links alone), nothing can be concluded.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

from harness.cluster import belonging
from harness.history.ledger import LedgerEntry
from harness.linux import identity
from harness.linux.identity import ProcessIdentity
from harness.store.registration import understood_process

_PARTS = {field.name for field in fields(ProcessIdentity)}


class CannotTell(Exception):
    """Something is left, or may be; the message says what, and what the user can do."""


def proof_of_end(run_dir: Path, entries: Iterable[LedgerEntry]) -> str:
    """Why nothing of the run that wrote ``entries`` is left here; else :class:`CannotTell`.

    To end a process is advised only where it carries the run's own mark: a ledger may be anybody's.
    """
    named = {process for entry in entries for process in named_processes(entry.detail)}
    if not named:
        raise CannotTell(
            "may still be in force: the run left no registration and its ledger names no process;"
            " try: end what may be left of it or restart this machine, then move the run's folder"
            " out of the store"
        )
    here = identity.boot_id()
    of_this_boot = {process for process in named if process.boot_id == here}
    if not of_this_boot:
        boots = ", ".join(sorted({process.boot_id for process in named}))
        return f"all processes that the ledger names are of another boot ({boots}, not {here})"
    left = sorted(_left_of(of_this_boot))
    if left:
        raise CannotTell(f"may still be in force: {_told(run_dir, left)}")
    return (
        f"none of the {len(of_this_boot)} processes that the ledger names exists on this machine,"
        " nor any other in their pid namespaces"
    )


def named_processes(detail: Any) -> Iterator[ProcessIdentity]:
    """Every process that a ledger detail names by its full identity, at any depth."""
    waiting = [detail]
    while waiting:
        each = waiting.pop()
        if isinstance(each, dict):
            if each.keys() == _PARTS:
                with contextlib.suppress(ValueError):  # a number that cannot be a process's
                    yield understood_process(each)
            waiting += each.values()
        elif isinstance(each, list):
            waiting += each


def _told(run_dir: Path, left: list[int]) -> str:
    """What there is of processes, and what the user can do."""
    ours = {who.pid for who in belonging.processes_of(run_dir)}
    if all(pid in ours for pid in left):
        return f"processes of the run exist; try: kill -9 {' '.join(map(str, left))}"
    return (
        "processes that its ledger names, or others in their pid namespaces, exist and do not"
        f" prove to be this run's; try: ps -fp {','.join(map(str, left))}, and end what is"
    )


def _left_of(named: set[ProcessIdentity]) -> set[int]:
    """Numbers, as seen from here, of the processes that exist, in their namespaces or by name."""
    own = os.stat("/proc/self/ns/pid").st_ino
    namespaces = {process.pid_namespace for process in named} - {own}
    found = {process.pid for process in named if identity.is_running(process)}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            if (entry / "ns" / "pid").stat().st_ino in namespaces:
                found.add(int(entry.name))
        except OSError:  # ended meanwhile; or another user's, who alone can have made it
            continue
    return found
