"""Ends what a run left: the cluster that was kept on purpose, or what outlived its front.

Where namespaces hold a run almost nothing can be left: the reaper's end takes every process,
namespace, mount, link and firewall rule with it, and the reaper ends soon after its front. Every
other provider ends what is left itself (``Provider.clean_up``). What then remains is on disk:
node data, the registration ``cluster.json``, and a ledger in which faults stand that nobody could
note as healed. They are healed by the end of what they were in, and that is written down as the
proof.

A run whose front is alive is in progress and is left alone, and so is one of another machine.

**A folder in a store is data.** Anybody can write that a process is a run's, or a container, or a
host. So nothing is done by what a folder says unless the folder is the caller's own
(:mod:`harness.cluster.ownership`), the process carries the run's mark itself
(:mod:`harness.cluster.belonging`), and what the provider removes follows from where the run is
and from the caller's own settings (``Provider.believed``). What does not fit is told and not
touched; and whatever one run's folder holds, the others are healed.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from harness.cluster import belonging, folders, ownership, providers, remains
from harness.errors import HealError, HistoryError, PolygraphError, StoreError
from harness.history.faults import unhealed
from harness.history.ledger import HEAL, HEALED, Ledger, read_ledger
from harness.history.ledger import NAME as LEDGER
from harness.linux import identity
from harness.store import registration
from harness.store.registration import Registration
from harness.store.untrusted import Folder, parsed_json
from harness.wording import named

_END_TIMEOUT_S = 30.0
_LEVELS = 3
"""``system/workload/run``."""
_MOST_HEADER_BYTES = 1 << 20


def down(
    run_dir: Path, store: Path | None = None, options: Mapping[str, Any] | None = None
) -> None:
    """End the cluster of this run, kept running or not. Safe twice, and where there is none.

    ``options`` are what the user says in this call of how the provider finds it. ``HealError`` if
    it does not end (another user's, or stuck in the kernel), is on another machine, or is not
    proved to be this run's.
    """
    run_dir = run_dir.resolve()
    try:
        registered = registration.examine(run_dir)
    except registration.Odd as reason:
        raise _odd(run_dir, reason) from reason
    if registered is None:
        return
    if registered.host != socket.gethostname():
        raise HealError(
            f"the cluster of {run_dir} is on the machine {registered.host}, this is"
            f" {socket.gethostname()}",
            f"polygraph down {run_dir}, on {registered.host}",
        )
    try:
        registered = _proved(run_dir, registered, store, options or {})
    except PolygraphError as error:
        raise HealError(f"{run_dir}: {error.message}", error.hint) from error
    left = _end(run_dir, registered)
    if left:
        raise HealError(
            f"the cluster of {run_dir} is still running: {'; '.join(left)}",
            f"as the user that started it: kill -9 {registered.reaper.pid}",
        )
    untold = forget(run_dir, registered)
    if untold:
        raise HealError(
            f"the cluster is down, but that could not be noted: {'; '.join(untold)}",
            "polygraph heal, once it can be",
        )


def heal(store: Path, options: Mapping[str, Any] | None = None) -> list[str]:
    """Undo what dead runs in the store left; a sentence for each thing that is still there.

    Clusters left running on purpose stay, and are mentioned only if a fault is in force there.
    ``options`` are what the user says in this call of how providers find what was left.
    """
    left: list[str] = []
    for run_dir in _runs(store, left):
        left += _attempt(run_dir, partial(_heal_run, run_dir, store, options or {}))
    for provider in providers.every() if store.is_dir() else ():
        left += _attempt(store, partial(provider.strays, store))
    return left


def _attempt(where: Path, work: Callable[[], list[str]]) -> list[str]:
    """``work``, and one sentence if it failed: what is odd in one place keeps nobody else's."""
    try:
        return work()
    except PolygraphError as error:
        return [f"{where}: {_sentence(error)}"]
    except OSError as error:
        return [f"{where}: {error.strerror or error}: {error.filename or 'of what is there'}"]
    except Exception as error:
        return [f"{where}: nothing more was done, for what is there is odd: {named(error)}"]


def _runs(store: Path, left: list[str]) -> list[Path]:
    """The folders three levels down, no link followed; links out of the store are told."""
    top = store.resolve()
    found = [top]
    for level in range(_LEVELS):
        found = [inner for folder in found for inner in _folders(folder, level, top, left)]
    return sorted(found)


def _folders(folder: Path, level: int, top: Path, left: list[str]) -> Iterator[Path]:
    try:
        with os.scandir(folder) as entries:
            inside = sorted(entries, key=lambda entry: entry.name)
    except FileNotFoundError:
        return
    except OSError as error:
        left.append(f"{folder}: cannot be looked into: {error.strerror}")
        return
    for entry in inside:
        place = folder / entry.name
        if entry.is_dir(follow_symlinks=False):
            yield place
        elif entry.is_symlink() and not _leads_inside(place, top):
            left.append(
                f"{place}: is a link out of the store, which is not followed; try: polygraph heal"
                " --store DIR for the store that it leads to"
            )


def _leads_inside(link: Path, top: Path) -> bool:
    """Whether a link leads to what is looked at anyway (``latest``), or to no folder at all."""
    try:
        there = link.resolve(strict=True)
    except (OSError, RuntimeError):
        return True
    return there.is_relative_to(top) or not there.is_dir()


def _heal_run(run_dir: Path, store: Path, options: Mapping[str, Any]) -> list[str]:
    try:
        registered = registration.examine(run_dir)
    except registration.Odd as reason:
        return [_sentence(_odd(run_dir, reason))]
    if registered is not None and registered.host != socket.gethostname():
        return []
    if registered is None:
        return _heal_unregistered(run_dir, store)
    in_progress = _is_in_progress(registered)
    if in_progress and not registered.left_running:
        return []
    registered = _proved(run_dir, registered, store, options)
    provider = providers.of(registered.provider)
    if registered.left_running and provider.is_up(run_dir, registered):
        return _faults_in_force(run_dir)
    if in_progress:
        return []
    _wait_for_end(registered, provider.grace_s)
    left = _end(run_dir, registered)
    return [f"{run_dir}: {what}" for what in left] or forget(run_dir, registered)


def _proved(
    run_dir: Path, registered: Registration, store: Path | None, options: Mapping[str, Any]
) -> Registration:
    """What of a found registration may be acted on; ``HealError`` says what does not fit."""
    ownership.check(run_dir, store)
    if registered.run is not None and registered.run != str(run_dir):
        raise HealError(
            f"it is a copy, or was moved: the run was made in {registered.run}",
            "heal it there, or move it back; a copy holds nothing: remove its cluster.json",
        )
    reaper = registered.reaper
    provider = providers.of(registered.provider)
    if (
        identity.is_running(reaper)
        and not belonging.is_of(reaper, run_dir)
        and identity.is_running(reaper)  # else it ended while it was looked at
    ):
        raise HealError(
            f"the process {reaper.pid}, which it calls the run's first, does not prove to be: its"
            f" environment has no {belonging.RUN_VARIABLE} of this folder (runs of earlier versions"
            " have none)",
            f"ps -fp {reaper.pid}; if it is the run's, kill -9 {reaper.pid} and polygraph heal"
            " again; if not, remove cluster.json",
        )
    return replace(registered, facts=provider.believed(run_dir, registered, options))


def _odd(run_dir: Path, reason: registration.Odd) -> HealError:
    return HealError(
        f"{registration.path(run_dir)} {reason}; so nobody can tell what the run left",
        "end what may be left of it or restart this machine, then remove that file",
    )


def _sentence(error: PolygraphError) -> str:
    return error.message if error.hint is None else f"{error.message}; try: {error.hint}"


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


def _heal_unregistered(run_dir: Path, store: Path | None = None) -> list[str]:
    path = run_dir / LEDGER
    try:
        entries = read_ledger(path)
    except HistoryError as error:
        return [f"{run_dir}: {error.message}"]
    open_faults = unhealed(entries)
    if not open_faults:
        return []
    names = ", ".join(f"{fault.fault} on {' '.join(fault.targets)}" for fault in open_faults)
    try:
        ownership.check(run_dir, store)
        proof = remains.proof_of_end(run_dir, entries)
    except HealError as error:
        return [f"{run_dir}: {names} may still be in force: {_sentence(error)}"]
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
    if not belonging.end(registered.reaper, run_dir, _END_TIMEOUT_S):
        return [f"its first process {registered.reaper.pid} could not be ended"]
    return providers.of(registered.provider).clean_up(run_dir, registered)


def _faults_in_force(run_dir: Path) -> list[str]:
    return [
        f"{run_dir}: {fault.fault} on {', '.join(fault.targets)} in a cluster left running; "
        f"try: polygraph down {run_dir}"
        for fault in unhealed(read_ledger(run_dir / LEDGER))
    ]


def _note_healed(run_dir: Path, what: str) -> list[str]:
    """Write into the ledger of a run that is gone that its faults went with it."""
    path = run_dir / LEDGER
    try:
        open_faults = unhealed(read_ledger(path))
        if not open_faults:
            return []
        ledger = Ledger(path, _clock_of(run_dir))
        try:
            for fault in open_faults:
                ledger.record(fault.id, HEAL)
                ledger.record(fault.id, HEALED, {"holds": True, "what": what})
        finally:
            ledger.close()
    except (HistoryError, StoreError) as error:
        return [f"{run_dir}: {error.message}"]
    return []


def _clock_of(run_dir: Path) -> Callable[[], int]:
    """Nanoseconds since a dead run began: by the wall clock, never before its ledger's end."""
    entries = read_ledger(run_dir / LEDGER)
    least_ns = max((entry.time for entry in entries), default=0)
    start_wall_ns = _start_wall_ns(run_dir)

    def now_ns() -> int:
        return least_ns if start_wall_ns is None else max(least_ns, time.time_ns() - start_wall_ns)

    return now_ns


def _start_wall_ns(run_dir: Path) -> int | None:
    try:
        with Folder(run_dir).open("history.jsonl") as history:
            return int(parsed_json(history.readline(_MOST_HEADER_BYTES))["start_wall_ns"])
    except (OSError, ValueError, KeyError, TypeError, OverflowError):
        return None
