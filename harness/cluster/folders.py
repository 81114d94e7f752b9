"""The nodes' folders in a run's folder: logs that stay, data that goes with the cluster.

``nodes/<name>/`` holds a node's logs and, in ``data``, what its daemons write, on the real disk
so that an fsync is one. The data is removed with the cluster, by whoever finds it ended (the
cluster itself, the front, ``polygraph heal`` or ``down``), unless the run said to keep it. A run's
folder may come from a stranger: no link in it is followed to what lies elsewhere.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path

from harness.store.untrusted import Folder

_NODES = "nodes"
_DATA = "data"
_KEEP_DATA = "keep-data"


def of_node(run_dir: Path, name: str) -> Path:
    """The folder of one node."""
    return run_dir / "nodes" / name


def keep_data(run_dir: Path) -> None:
    """Say that the data of this run's nodes is to stay."""
    Folder(run_dir).write(f"{_NODES}/{_KEEP_DATA}", b"")


def remove_data(run_dir: Path) -> None:
    """Remove the nodes' data folders, unless they are to stay; logs always do. Safe twice."""
    with contextlib.suppress(OSError), contextlib.ExitStack() as held:
        inside = _held(run_dir, held)
        nodes = _held(_NODES, held, inside)
        names = os.listdir(nodes)
        for name in () if _KEEP_DATA in names else names:
            # A folder that is a link, or lies behind one, is refused by the kernel at each step.
            with contextlib.suppress(OSError), contextlib.ExitStack() as node:
                shutil.rmtree(_DATA, ignore_errors=True, dir_fd=_held(name, node, nodes))


def _held(path: Path | str, held: contextlib.ExitStack, inside: int | None = None) -> int:
    """A descriptor of a folder; of one inside another, only if it is no link."""
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
    number = os.open(path, flags if inside is None else flags | os.O_NOFOLLOW, dir_fd=inside)
    held.callback(os.close, number)
    return number
