"""The store: one folder a run, with the links ``current`` and ``latest``.

``store/<system>/<workload>/<timestamp-id>/`` (design, section 10). The folder alone is the
truth; everything that lists runs is derived from it.
"""

from __future__ import annotations

import contextlib
import glob
import json
import os
import secrets
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import Any, Final

from harness.confidential import cleared
from harness.errors import UsageError, cannot_write
from harness.store.untrusted import Folder
from harness.wording import shown

LATEST: Final = "latest"
CURRENT: Final = "current"
OWNERS_ALONE: Final = 0o755
MARKS = (
    "scenario.toml",
    "history.jsonl",
    "history.jsonl.gz",
    "history.jsonl.zst",
    "faults.jsonl",
    "run.log",
)


def new_run_dir(store: Path, system: str, workload: str, now: datetime) -> Path:
    """A fresh folder for a run, which only its owner may write to; ``StoreError`` if there is none.

    It is linked as ``latest`` (the last one begun) and as ``current`` (until :func:`is_over`).
    """
    name = f"{now:%Y%m%dT%H%M%S}-{secrets.token_hex(3)}"
    run_dir = store.resolve() / system / workload / name
    try:
        _make(run_dir / "evidence")
        link(store, LATEST, run_dir)
        link(store, CURRENT, run_dir)
    except OSError as error:
        raise cannot_write(f"cannot make the run folder {run_dir}", error) from error
    return run_dir


def _make(folder: Path) -> None:
    """Make a folder and those above it, which nobody else may write, whatever the umask.

    Else anybody of the group could put words into a run's registration, and ``polygraph heal``
    obeys none that others can write.
    """
    if not folder.parent.is_dir():
        _make(folder.parent)
    with contextlib.suppress(FileExistsError):
        folder.mkdir(OWNERS_ALONE)


def is_over(store: Path, run_dir: Path) -> None:
    """``current`` is not this run any more; the link of another one stays."""
    with contextlib.suppress(OSError):
        if (store / CURRENT).resolve() == run_dir:
            (store / CURRENT).unlink()


@contextlib.contextmanager
def written_by_owner_alone() -> Iterator[None]:
    """Nobody else may write to what this process, or what it starts, makes meanwhile."""
    before = os.umask(0o077)
    os.umask(before | 0o022)
    try:
        yield
    finally:
        os.umask(before)


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
    """The run called ``name``: a folder, a link in the store (``latest``), or the end of a path.

    What the user named may lie anywhere; what only the store says must lie in it: a store that
    somebody else made leads nobody out.
    """
    if is_run_dir(Path(name)):
        return Path(name).resolve()
    names = (name, LATEST) if name == CURRENT else (name,)  # the last one, where none is under way
    for each in names:
        if is_run_dir(store / each):
            return _inside(store, store / each)
    matches = [path for path in store.glob(f"*/*/{glob.escape(name)}*") if is_run_dir(path)]
    if len(matches) == 1:
        return _inside(store, matches[0])
    if matches:
        raise UsageError(
            f"{shown(name)} fits {len(matches)} runs in {store}; give more of its name"
        )
    if Path(name).suffix or len(Path(name).parts) > 1:
        raise UsageError(f"{name}: no such file, and no run of the store {store} is called so")
    raise UsageError(f"there is no run {shown(name)}, neither as a folder nor in the store {store}")


def _inside(store: Path, path: Path) -> Path:
    found = path.resolve()
    if not found.is_relative_to(store.resolve()):
        raise UsageError(
            f"{path} leads out of the store, to {found}", "name that folder itself, if you trust it"
        )
    return found


def write_json(path: Path, value: Any) -> None:
    """:func:`write_text` of ``value`` as JSON, secrets apart (:mod:`harness.confidential`)."""
    told = cleared(value, names=True)
    write_text(path, json.dumps(told, indent=1, ensure_ascii=False) + "\n")


def write_text(path: Path, text: str) -> None:
    """:func:`write_bytes` of ``text``; what is no text (lone surrogates) is spelled out."""
    write_bytes(path, text.encode("utf-8", "backslashreplace"))


def write_bytes(path: Path, data: bytes) -> None:
    """Write a file so that a reader sees the old one or the whole new one, never a part.

    ``StoreError`` if it cannot be written; the old file is then as it was. Of several writers at
    once, in any process or thread, the last one wins whole. A link of that name is replaced, and
    the folder that it is in must be none: what stands in the folder of a run leads nobody out.
    """
    outer, name = _in_two_steps(path)
    try:
        outer.mkdir(parents=True, exist_ok=True)
        Folder(outer).write(name, data)
    except OSError as error:
        raise cannot_write(f"cannot write {path}", error) from error


def read_json(path: Path) -> Any | None:
    """What ``path`` holds, or ``None`` where it is missing, not whole, no plain file or too large.

    As with :func:`write_bytes`, neither it nor the folder that it is in may be a link.
    """
    outer, name = _in_two_steps(path)
    try:
        return Folder(outer).json(name)
    except (OSError, ValueError):
        return None


def _in_two_steps(path: Path) -> tuple[Path, PurePosixPath]:
    """A folder that is reached as it is named, and the name in it by which no link is passed."""
    parent = path.parent
    if parent.name in ("", ".."):
        return parent, PurePosixPath(path.name)
    return parent.parent, PurePosixPath(parent.name, path.name)
