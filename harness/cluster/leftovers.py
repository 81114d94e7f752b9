"""Ends what a run left: the cluster that was kept on purpose, or what outlived its front.

Where namespaces hold a run almost nothing can be left: the reaper's end takes every process,
namespace, mount, link and firewall rule with it, and the reaper ends soon after its front. Every
other provider ends what is left itself (``Provider.clean_up``). What then remains is on disk:
node data, the registration ``cluster.json``, and a ledger in which faults stand that nobody could
note as healed. They are healed by the end of what they were in, and that is written down as the
proof.

A run whose front is alive is in progress and is left alone, and so is one of another machine.
"""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Callable
from pathlib import Path

from harness.cluster import folders, identity, providers, registration, remains
from harness.cluster.registration import Registration
from harness.errors import HealError, HistoryError, PolygraphError, StoreError
from harness.run.ledger import HEAL, HEALED, Ledger, read_ledger, unhealed

_END_TIMEOUT_S = 30.0
_RUNS = "*/*/*"


def down(run_dir: Path) -> None:
    """End the cluster of this run, kept running or not. Safe twice, and where there is none.

    ``HealError`` if it does not end (another user's, or stuck in the kernel) or is on another
    machine.
    """
    registered = registration.read(run_dir)
    if registered is None:
        return
    if registered.host != socket.gethostname():
        raise HealError(
            f"the cluster of {run_dir} is on the machine {registered.host}, this is"
            f" {socket.gethostname()}",
            f"polygraph down {run_dir}, on {registered.host}",
        )
    left = _end(run_dir, registered)
    if left:
        raise HealError(
            f"the cluster of {run_dir} is still running: {'; '.join(left)}",
            f"as the user that started it: kill -9 {registered.reaper.pid}",
        )
    forget(run_dir, registered)


def heal(store: Path) -> list[str]:
    """Undo what dead runs in the store left; a sentence for each thing that is still there.

    Clusters left running on purpose stay, and are mentioned only if a fault is in force there.
    """
    left: list[str] = []
    for run_dir in sorted({folder.resolve() for folder in store.glob(_RUNS) if folder.is_dir()}):
        left += _heal_run(run_dir)
    for provider in providers.every() if store.is_dir() else ():
        left += provider.strays(store)
    return left


def _heal_run(run_dir: Path) -> list[str]:
    registered = registration.read(run_dir)
    if registered is not None and registered.host != socket.gethostname():
        return []
    if registered is None:
        return _heal_unregistered(run_dir)
    try:
        provider = providers.of(registered.provider)
        if registered.left_running and provider.is_up(run_dir, registered):
            return _faults_in_force(run_dir)
        if _is_in_progress(registered):
            return []
        _wait_for_end(registered, provider.grace_s)
        left = _end(run_dir, registered)
    except PolygraphError as error:
        left = [str(error)]
    return [f"{run_dir}: {what}" for what in left] or forget(run_dir, registered)


def forget(run_dir: Path, registered: Registration | None = None) -> list[str]:
    """The run's cluster is gone: remove data and registration, note its faults as healed.

    ``registered`` is what it was registered as, where ending it has removed that already. Gives
    a sentence for each thing that could not be done.
    """
    registered = registered or registration.read(run_dir)
    folders.remove_data(run_dir)
    if registered is None:
        return _heal_unregistered(run_dir)
    left = _note_healed(run_dir, providers.of(registered.provider).proof_of_end)
    if not left:  # while a ledger could not be written, the registration is its proof
        registration.remove(run_dir)
    return left


def _heal_unregistered(run_dir: Path) -> list[str]:
    path = run_dir / "faults.jsonl"
    try:
        entries = read_ledger(path)
    except HistoryError as error:
        return [f"{run_dir}: {error.message}"]
    open_faults = unhealed(entries)
    if not open_faults:
        return []
    names = ", ".join(f"{entry.fault} on {' '.join(entry.targets)}" for entry in open_faults)
    owner = path.stat().st_uid
    if os.geteuid() not in (0, owner):
        return [f"{run_dir}: {names}: of another user; try: polygraph heal as user {owner}"]
    try:
        proof = remains.proof_of_end(entries)
    except remains.CannotTell as reason:
        return [f"{run_dir}: {names} {reason}"]
    return _note_healed(run_dir, proof)


def _is_in_progress(registered: Registration) -> bool:
    fronted = registered.front is not None and identity.is_running(registered.front)
    return fronted and identity.is_running(registered.reaper)


def _wait_for_end(registered: Registration, grace_s: float) -> None:
    """Let a run whose front just died have its grace: the run process may be sealing."""
    try:
        pidfd = os.pidfd_open(registered.reaper.pid)
    except ProcessLookupError:
        return
    try:
        if identity.identify(registered.reaper.pid) == registered.reaper:
            identity.wait_for_end(pidfd, grace_s)
    finally:
        os.close(pidfd)


def _end(run_dir: Path, registered: Registration) -> list[str]:
    """End what there is of the run; a sentence for what does not end."""
    if not identity.kill_and_wait(registered.reaper, _END_TIMEOUT_S):
        return [f"its first process {registered.reaper.pid} could not be ended"]
    return providers.of(registered.provider).clean_up(run_dir, registered)


def _faults_in_force(run_dir: Path) -> list[str]:
    entries = unhealed(read_ledger(run_dir / "faults.jsonl"))
    return [
        f"{run_dir}: {entry.fault} on {', '.join(entry.targets)} in a cluster left running; "
        f"try: polygraph down {run_dir}"
        for entry in entries
    ]


def _note_healed(run_dir: Path, what: str) -> list[str]:
    """Write into the ledger of a run that is gone that its faults went with it."""
    path = run_dir / "faults.jsonl"
    try:
        open_faults = unhealed(read_ledger(path))
        if not open_faults:
            return []
        ledger = Ledger(path, _clock_of(run_dir))
        try:
            for entry in open_faults:
                ledger.record(entry.id, HEAL)
                ledger.record(entry.id, HEALED, {"holds": True, "what": what})
        finally:
            ledger.close()
    except (HistoryError, StoreError) as error:
        return [f"{run_dir}: {error.message}"]
    return []


def _clock_of(run_dir: Path) -> Callable[[], int]:
    """Nanoseconds since a dead run began: by the wall clock, never before its ledger's end."""
    entries = read_ledger(run_dir / "faults.jsonl")
    least_ns = max((entry.time for entry in entries), default=0)
    start_wall_ns = _start_wall_ns(run_dir)

    def now_ns() -> int:
        return least_ns if start_wall_ns is None else max(least_ns, time.time_ns() - start_wall_ns)

    return now_ns


def _start_wall_ns(run_dir: Path) -> int | None:
    try:
        with (run_dir / "history.jsonl").open(encoding="utf-8") as history:
            return int(json.loads(history.readline())["start_wall_ns"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
