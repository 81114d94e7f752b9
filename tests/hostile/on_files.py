"""Attacks on what stands in the place of each file and each folder of a run: no plain file."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from tests.hostile import run_folders
from tests.hostile.run_folders import Attack, Hostile

HUGE = 1 << 40
"""Bytes of a file that takes no room on the disk."""
JUDGED = ("history.jsonl.zst", "faults.jsonl", "scenario.toml", "evidence/run.json")
"""What a verdict is made from, beside the logs; all else is derived or not looked at."""


def attacks() -> Iterator[Attack]:
    """Each kind of thing in the place of each file and folder."""
    kinds = dict(KINDS)
    if not run_folders.may_make_devices(run_folders.whole_run().parent):
        kinds.pop("device")
    for name in run_folders.files_of_a_run():
        derived = name not in JUDGED
        for kind, put in {**kinds, **FILES_ONLY}.items():
            yield Attack(f"{kind}:{name}", partial(_in_place_of, name, put), derived)
    for name in run_folders.folders_of_a_run():
        derived = not name.startswith(("evidence", "nodes"))
        for kind, put in {**kinds, **FOLDERS_ONLY}.items():
            yield Attack(f"{kind}:{name}/", partial(_in_place_of, name, put), derived)
    for name, kind in NEW:
        yield Attack(f"{kind}:new {name}", partial(_in_place_of, name, {**KINDS}[kind]), True)


NEW = tuple(
    (name, kind)
    for name in (
        "cluster.json",
        "history.jsonl",
        "nodes/n1/other.log",
        "nodes/n9",
        "nodes/n1/data",
        "report.html.new",
        "soak.jsonl",
        "summary.json",
    )
    for kind in ("link", "dangling", "fifo", "device-link")
)
"""Names that the run does not have, and that a verb looks for."""


def _in_place_of(name: str, put: Callable[[Hostile, Path, str], None], hostile: Hostile) -> None:
    path = hostile.run / name
    run_folders.remove(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    put(hostile, path, name)


def _link(hostile: Hostile, path: Path, name: str) -> None:
    there = hostile.outside / name
    if not there.exists():
        there = hostile.outside / ("nodes/n1" if name.startswith("nodes") else "verdict.json")
    path.symlink_to(there)


def _relative_link(hostile: Hostile, path: Path, name: str) -> None:
    there = hostile.outside / name
    path.symlink_to(os.path.relpath(there, path.parent))


def _inner_link(hostile: Hostile, path: Path, name: str) -> None:
    """To itself: whoever follows goes round."""
    path.symlink_to(path.name)


def _dangling(hostile: Hostile, path: Path, name: str) -> None:
    path.symlink_to(hostile.outside / "made-by-a-writer")


def _device_link(hostile: Hostile, path: Path, name: str) -> None:
    path.symlink_to("/dev/zero")


def _fifo(hostile: Hostile, path: Path, name: str) -> None:
    os.mkfifo(path)


def _device(hostile: Hostile, path: Path, name: str) -> None:
    os.mknod(path, stat.S_IFCHR | 0o666, os.makedev(1, 5))


def _socket(hostile: Hostile, path: Path, name: str) -> None:
    run_folders.make_socket(path)


def _folder(hostile: Hostile, path: Path, name: str) -> None:
    path.mkdir()
    (path / "inside").write_text("a file where none can be\n")


def _missing(hostile: Hostile, path: Path, name: str) -> None:
    pass


def _empty(hostile: Hostile, path: Path, name: str) -> None:
    path.touch()


def _unreadable(hostile: Hostile, path: Path, name: str) -> None:
    path.write_text("not for you")
    path.chmod(0)


def _huge(hostile: Hostile, path: Path, name: str) -> None:
    with path.open("wb") as file:
        file.truncate(HUGE)


def _empty_folder(hostile: Hostile, path: Path, name: str) -> None:
    path.mkdir()


def _closed_folder(hostile: Hostile, path: Path, name: str) -> None:
    path.mkdir(mode=0)


def _plain_file(hostile: Hostile, path: Path, name: str) -> None:
    path.write_text("a file where a folder should be")


Put = Callable[[Hostile, Path, str], None]
KINDS: dict[str, Put] = {
    "link": _link,
    "relative-link": _relative_link,
    "loop": _inner_link,
    "dangling": _dangling,
    "device-link": _device_link,
    "fifo": _fifo,
    "device": _device,
    "socket": _socket,
    "missing": _missing,
}
FILES_ONLY: dict[str, Put] = {
    "folder": _folder,
    "empty": _empty,
    "unreadable": _unreadable,
    "huge": _huge,
}
FOLDERS_ONLY: dict[str, Put] = {
    "empty-folder": _empty_folder,
    "closed-folder": _closed_folder,
    "plain-file": _plain_file,
}
