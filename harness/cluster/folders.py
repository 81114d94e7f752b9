"""The nodes' folders in a run's folder: logs that stay, data that goes with the cluster.

``nodes/<name>/`` holds a node's logs and, in ``data``, what its daemons write, on the real disk
so that an fsync is one. The data is removed with the cluster, by whoever finds it ended (the
cluster itself, the front, ``polygraph heal`` or ``down``), unless the run said to keep it.
"""

from __future__ import annotations

import shutil
from pathlib import Path

_KEEP_DATA = "keep-data"


def of_node(run_dir: Path, name: str) -> Path:
    """The folder of one node."""
    return run_dir / "nodes" / name


def keep_data(run_dir: Path) -> None:
    """Say that the data of this run's nodes is to stay."""
    (run_dir / "nodes").mkdir(parents=True, exist_ok=True)
    (run_dir / "nodes" / _KEEP_DATA).touch()


def remove_data(run_dir: Path) -> None:
    """Remove the nodes' data folders, unless they are to stay; logs always do. Safe twice."""
    if (run_dir / "nodes" / _KEEP_DATA).exists():
        return
    for folder in (run_dir / "nodes").glob("*/data"):
        shutil.rmtree(folder, ignore_errors=True)
