"""``cluster.json`` in a run's folder: which reaper keeps that run's cluster alive.

Written by the front before the run process exists and removed once all is gone, so that whatever
happens between can be found and ended by ``polygraph down`` and ``polygraph heal``. The reaper is
named by its full identity: a stranger with the same process number is never signalled.

Whoever finds a folder finds it as data that anybody may have written: what does not look as we
write it is :class:`Odd`, and what is well written is still no proof. Who may be obeyed, and in
what, is in :mod:`harness.cluster.ownership` and each provider's ``believed``.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from harness.errors import StoreError
from harness.linux.identity import ProcessIdentity, identify, is_running
from harness.store.untrusted import Folder, parsed_json

NAME: Final = "cluster.json"
MODE: Final = 0o644
"""Nobody else may write it, whatever the umask: else ``heal`` would not obey it."""

_MOST_BYTES = 1 << 20
"""200 hosts with long names take a thirtieth."""
_MOST_PID = 1 << 22


class Odd(Exception):
    """What has the name of a registration is none that we write; says why."""


@dataclass(frozen=True, kw_only=True)
class Registration:
    """What ``cluster.json`` says. ``front`` is the process that started the run, on ``host``.

    ``reaper`` is the process whose life is the run's: the namespaces' first process, or, where
    there are none, the run process itself. ``facts`` belong to the provider. ``run`` is the folder
    that the run was made in, ``None`` where an earlier version wrote it.
    """

    provider: str
    host: str
    reaper: ProcessIdentity
    front: ProcessIdentity | None
    left_running: bool
    facts: Mapping[str, Any] = field(default_factory=dict)
    run: str | None = None


def path(run_dir: Path) -> Path:
    """Where the registration of the run in ``run_dir`` is."""
    return run_dir / NAME


def write(
    run_dir: Path, provider: str, reaper: ProcessIdentity, facts: Mapping[str, Any] | None = None
) -> Registration:
    """Register a run of the calling process. ``facts`` (JSON) is for the provider's clean-up."""
    written = Registration(
        provider=provider,
        host=socket.gethostname(),
        reaper=reaper,
        front=identify(os.getpid()),
        left_running=False,
        facts=dict(facts or {}),
        run=str(run_dir.resolve()),
    )
    run_dir.mkdir(parents=True, exist_ok=True)
    _replace(run_dir, asdict(written))
    return written


def mark_left_running(run_dir: Path) -> None:
    """Say that the cluster is to outlive its run process, until ``polygraph down``."""
    try:
        content = Folder(run_dir).json(NAME, _MOST_BYTES)
        _replace(run_dir, {**content, "left_running": True})
    except (OSError, ValueError, TypeError) as error:
        raise StoreError(f"{path(run_dir)} cannot be marked as left running: {error}") from error


def _replace(run_dir: Path, content: Mapping[str, Any]) -> None:
    Folder(run_dir).write(NAME, json.dumps(content).encode(), mode=MODE)


def examine(run_dir: Path) -> Registration | None:
    """The registration there, ``None`` if there is none; :class:`Odd` if it is none of ours."""
    try:
        return _understood(parsed_json(Folder(run_dir).read(NAME, _MOST_BYTES)))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise Odd(error.strerror or str(error)) from error
    except (ValueError, RecursionError) as error:
        raise Odd(f"is no registration: {error}") from error


def read(run_dir: Path) -> Registration | None:
    """The registration there, or ``None`` if there is none that can be understood."""
    try:
        return examine(run_dir)
    except Odd:
        return None


def is_under_way(run_dir: Path) -> bool:
    """Whether the front of the run in ``run_dir`` lives, so that its own verdict is to come."""
    registered = read(run_dir)
    return registered is not None and registered.front is not None and is_running(registered.front)


def remove(run_dir: Path) -> None:
    """Forget the run. Safe twice. ``StoreError`` if it cannot be forgotten."""
    try:
        path(run_dir).unlink()
    except FileNotFoundError:
        return
    except OSError as error:
        raise StoreError(f"{path(run_dir)} cannot be removed: {error.strerror}") from error


def understood_process(told: Any) -> ProcessIdentity:
    """An identity that a file tells; ``ValueError`` unless each part can be what it should be."""
    _need(isinstance(told, dict), "a process is no object")
    numbers = [told.get(name) for name in ("pid", "start_ticks", "pid_namespace")]
    _need(all(type(number) is int for number in numbers), "a process has no number, start or place")
    pid, start_ticks, pid_namespace = numbers
    _need(0 < pid <= _MOST_PID, "a process has an impossible number")
    _need(0 <= start_ticks < 1 << 63 and 0 <= pid_namespace < 1 << 63, "a process cannot be so")
    _need(isinstance(told.get("boot_id"), str), "a process has no boot")
    return ProcessIdentity(
        pid=pid, start_ticks=start_ticks, boot_id=told["boot_id"], pid_namespace=pid_namespace
    )


def _understood(content: Any) -> Registration:
    _need(isinstance(content, dict), "it is no object")
    for name in ("provider", "host"):
        _need(isinstance(content.get(name), str), f"its {name} is no word")
    _need(isinstance(content.get("left_running"), bool), "left_running is neither true nor false")
    _need(isinstance(content.get("facts", {}), dict), "its facts are no object")
    _need(isinstance(content.get("run", ""), str), "its run is no folder")
    front = content.get("front")
    return Registration(
        provider=content["provider"],
        host=content["host"],
        reaper=understood_process(content.get("reaper")),
        front=None if front is None else understood_process(front),
        left_running=content["left_running"],
        facts=content.get("facts", {}),
        run=content.get("run"),
    )


def _need(holds: bool, why_not: str) -> None:
    if not holds:
        raise ValueError(why_not)
