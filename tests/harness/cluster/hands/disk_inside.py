"""A disk of ours under the kernel's own calls, in mounts that nobody else sees: ``FOLDER`` is free.

What was found goes to standard output as JSON. ``test_disk.py`` starts this, as root.
"""

from __future__ import annotations

import contextlib
import json
import mmap
import os
import sys
from typing import Any

from harness.cluster.hands import disk
from harness.cluster.hands.disk import Disk
from harness.linux import kernel

WORDS = {"never": None, "fsync": "fsync", "dsync": "dsync", "sync": "sync", "mapped": "msync"}


def put(path: str, how: str | None) -> None:
    """Write twelve bytes, and have them kept in the way of that name."""
    flags = {"dsync": os.O_DSYNC, "sync": os.O_SYNC}.get(how or "", 0)
    fd = os.open(path, os.O_RDWR | os.O_CREAT | flags)
    if how == "msync":
        os.ftruncate(fd, 12)
        with mmap.mmap(fd, 12) as mapped:
            mapped[:] = b"twelve bytes"
            mapped.flush()
    else:
        os.write(fd, b"twelve bytes")
    if how == "fsync":
        os.fsync(fd)
    os.close(fd)


def contents(folder: str) -> dict[str, str]:
    found = {}
    for name in sorted(os.listdir(folder)):
        with open(os.path.join(folder, name), "rb") as file:
            found[name] = file.read().decode(errors="replace")
    return found


def measure(folder: str) -> dict[str, Any]:
    """Use and lose a disk, and have it taken away by another that knows nothing of it."""
    data = os.path.join(folder, "data")
    os.mkdir(data)
    part = Disk(folder)
    part.start(data, seed=1)
    for name, how in WORDS.items():
        put(os.path.join(data, name), how)
    was_open = os.open(os.path.join(data, "fsync"), os.O_RDWR)
    lost = [part.lose_power() for _ in range(2)]
    told: dict[str, Any] = {"lost": lost, "after": contents(data)}
    try:
        os.pwrite(was_open, b"x", 0)
        told["old"] = "works"
    except OSError as error:
        told["old"] = type(error).__name__
    with contextlib.suppress(OSError):  # it says so even to that
        os.close(was_open)
    part.rules({"1": {"calls": ["write", "change"], "full": True}})
    try:
        put(os.path.join(data, "full"), None)
    except OSError as error:
        told["full"] = error.errno
    told["met"] = part.look()["met"]
    part.rules({})
    put(os.path.join(data, "room"), None)
    told["mounted"] = disk.mounted(data)
    assert part._process is not None
    part._process.kill()
    for stranger in (Disk(folder), Disk(folder), part):
        stranger.end()
    told["left"] = disk.mounted(data)
    return told


def main() -> None:
    kernel.unshare(kernel.CLONE_NEWNS)
    kernel.mount("none", "/", flags=kernel.MS_REC | kernel.MS_PRIVATE)
    print(json.dumps(measure(sys.argv[1])))


if __name__ == "__main__":
    main()
