"""The store: one folder a run, with the links ``current`` and ``latest``.

``store/<system>/<workload>/<timestamp-id>/`` (design, section 10). The folder alone is the
truth; everything that lists runs is derived from it.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
from datetime import datetime
from pathlib import Path
from typing import Any

from harness.errors import StoreError, UsageError

MARKS = ("scenario.toml", "history.jsonl", "history.jsonl.gz", "history.jsonl.zst", "faults.jsonl")


def new_run_dir(store: Path, system: str, workload: str, now: datetime) -> Path:
    """A fresh folder for a run, linked as ``current``; ``StoreError`` if it cannot be made."""
    name = f"{now:%Y%m%dT%H%M%S}-{secrets.token_hex(3)}"
    run_dir = store.resolve() / system / workload / name
    try:
        _make(run_dir / "evidence")
        link(store, "current", run_dir)
    except OSError as error:
        raise StoreError(
            f"cannot make the run folder {run_dir}: {error.strerror}",
            "free some space, or --store DIR for another place",
        ) from error
    return run_dir


def _make(folder: Path) -> None:
    """Make a folder and those above it, which nobody else may write, whatever the umask.

    Else anybody of the group could put words into a run's registration, and ``polygraph heal``
    obeys none that others can write.
    """
    if not folder.parent.is_dir():
        _make(folder.parent)
    with contextlib.suppress(FileExistsError):
        folder.mkdir(mode=0o755)


def link(store: Path, name: str, run_dir: Path) -> None:
    """Point ``store/name`` at ``run_dir``, replacing an older link atomically.

    It is made in the run's folder: in the store, whoever lists it would meet what vanishes.
    """
    temporary = run_dir / f".{name}-{secrets.token_hex(4)}"
    temporary.symlink_to(run_dir.relative_to(store.resolve()))
    os.replace(temporary, store / name)


def is_run_dir(path: Path) -> bool:
    """Whether ``path`` is the folder of a run."""
    return path.is_dir() and any((path / mark).exists() for mark in MARKS)


def find_run(store: Path, name: str) -> Path:
    """The run called ``name``: a folder, a link in the store (``latest``), or the end of a path."""
    for candidate in (Path(name), store / name):
        if is_run_dir(candidate):
            return candidate.resolve()
    matches = [path for path in store.glob(f"*/*/{name}*") if is_run_dir(path)]
    if len(matches) == 1:
        return matches[0].resolve()
    if matches:
        raise UsageError(f"{name!r} fits {len(matches)} runs in {store}; give more of its name")
    raise UsageError(f"there is no run {name!r}, neither as a folder nor in the store {store}")


def write_json(path: Path, value: Any) -> None:
    """:func:`write_text` of ``value`` as JSON."""
    write_text(path, json.dumps(value, indent=1, ensure_ascii=False) + "\n")


def write_text(path: Path, text: str) -> None:
    """Write a file so that a reader sees the old one or the whole new one, never a part.

    ``StoreError`` if it cannot be written; the old file is then as it was. Of several writers at
    once, in any process or thread, the last one wins whole.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_text(text, "utf-8", errors="backslashreplace")
        os.replace(temporary, path)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise StoreError(f"cannot write {path}: {error.strerror}") from error


def read_json(path: Path) -> Any | None:
    """What ``path`` holds, or ``None`` where it is missing or not whole."""
    try:
        return json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return None
