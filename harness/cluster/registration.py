"""``cluster.json`` in a run's folder: which reaper keeps that run's cluster alive.

Written by the front before the run process exists and removed once all is gone, so that whatever
happens between can be found and ended by ``polygraph down`` and ``polygraph heal``. The reaper is
named by its full identity: a stranger with the same process number is never signalled.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from harness.cluster.identity import identify, is_running
from harness.cluster.node import ProcessIdentity


@dataclass(frozen=True, kw_only=True)
class Registration:
    """What ``cluster.json`` says. ``front`` is the process that started the run, on ``host``.

    ``reaper`` is the process whose life is the run's: the namespaces' first process, or, where
    there are none, the run process itself. ``facts`` belong to the provider.
    """

    provider: str
    host: str
    reaper: ProcessIdentity
    front: ProcessIdentity | None
    left_running: bool
    facts: Mapping[str, Any] = field(default_factory=dict)


def path(run_dir: Path) -> Path:
    """Where the registration of the run in ``run_dir`` is."""
    return run_dir / "cluster.json"


def write(
    run_dir: Path, provider: str, reaper: ProcessIdentity, facts: Mapping[str, Any] | None = None
) -> None:
    """Register a run of the calling process. ``facts`` (JSON) is for the provider's clean-up."""
    front = identify(os.getpid())
    content = {
        "provider": provider,
        "host": socket.gethostname(),
        "reaper": asdict(reaper),
        "front": asdict(front) if front else None,
        "left_running": False,
        "facts": dict(facts or {}),
    }
    _replace(run_dir, content)


def mark_left_running(run_dir: Path) -> None:
    """Say that the cluster is to outlive its run process, until ``polygraph down``."""
    content = json.loads(path(run_dir).read_text(encoding="utf-8"))
    _replace(run_dir, {**content, "left_running": True})


def _replace(run_dir: Path, content: Mapping[str, Any]) -> None:
    run_dir.mkdir(parents=True, exist_ok=True)
    new = path(run_dir).with_suffix(".new")
    new.write_text(json.dumps(content), encoding="utf-8")
    new.replace(path(run_dir))


def read(run_dir: Path) -> Registration | None:
    """The registration there, or ``None`` if there is none that can be understood."""
    try:
        content = json.loads(path(run_dir).read_text(encoding="utf-8"))
        front = content["front"]
        return Registration(
            provider=str(content["provider"]),
            host=str(content["host"]),
            reaper=ProcessIdentity(**content["reaper"]),
            front=ProcessIdentity(**front) if front else None,
            left_running=bool(content["left_running"]),
            facts=content.get("facts", {}),
        )
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None


def is_under_way(run_dir: Path) -> bool:
    """Whether the front of the run in ``run_dir`` lives, so that its own verdict is to come."""
    registered = read(run_dir)
    return registered is not None and registered.front is not None and is_running(registered.front)


def remove(run_dir: Path) -> None:
    """Forget the run. Safe twice."""
    with contextlib.suppress(FileNotFoundError):
        path(run_dir).unlink()
