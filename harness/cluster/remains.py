"""Whether anything can be left of a run that no registration tells of, judged by its ledger.

The ledger of a run names processes by their full identity: number, start, boot and pid
namespace. If all of them are of another boot, nothing that the run made can be left on this
machine. If they are of this boot, the run is gone when neither one of them exists nor any
process in their pid namespaces: what a node runs, its first process included, is in that node's
namespace, while the numbers themselves may be those that were seen from inside the run.

Where the ledger names no process (cut links alone), nothing can be concluded.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

from harness.cluster import identity
from harness.cluster.node import ProcessIdentity
from harness.history.record import LedgerEntry

_PARTS = {field.name for field in fields(ProcessIdentity)}


class CannotTell(Exception):
    """Something is left, or may be; the message says what, and what the user can do."""


def proof_of_end(entries: Iterable[LedgerEntry]) -> str:
    """Why nothing of the run that wrote ``entries`` is left here; else :class:`CannotTell`."""
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
        pids = " ".join(map(str, left))
        raise CannotTell(f"may still be in force: processes of the run exist; try: kill -9 {pids}")
    return (
        f"none of the {len(of_this_boot)} processes that the ledger names exists on this machine,"
        " nor any other in their pid namespaces"
    )


def named_processes(detail: Any) -> Iterator[ProcessIdentity]:
    """Every process that a ledger detail names by its full identity, at any depth."""
    if isinstance(detail, dict):
        if detail.keys() == _PARTS:
            yield ProcessIdentity(**detail)
        for value in detail.values():
            yield from named_processes(value)
    elif isinstance(detail, list):
        for value in detail:
            yield from named_processes(value)


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
