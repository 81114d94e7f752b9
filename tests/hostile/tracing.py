"""What a command opens, writes, runs and connects to, as the kernel sees it (by ``strace``)."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

WRITING = (
    "creat", "unlink", "unlinkat", "rename", "renameat", "renameat2", "mkdir", "mkdirat", "rmdir",
    "symlink", "symlinkat", "link", "linkat", "chmod", "fchmodat", "chown", "lchown", "fchownat",
    "truncate", "mknod", "mknodat", "utimensat", "mount", "umount2", "chroot",
)  # fmt: skip
OPENING = ("open", "openat", "openat2")
MOVING = ("chdir", "fchdir")
SIGNALLING = ("kill", "tkill", "pidfd_send_signal", "ptrace")
OTHERS = ("execve", "execveat", "connect", *SIGNALLING, *MOVING)
STRACE = ("strace", "-f", "-qq", "-y", "-s", "4096", "-e",
          f"trace={','.join((*WRITING, *OPENING, *OTHERS))}")  # fmt: skip
_LINE = re.compile(r"^(?P<pid>\d+) +(?P<call>\w+)\((?P<inside>.*)\) += (?P<result>.*)$")
_RESUMED = re.compile(r"^(?P<pid>\d+) +<\.\.\. (?P<call>\w+) resumed>(?P<rest>.*)$")
_UNFINISHED = re.compile(r"^(?P<pid>\d+) +(?P<begun>.*) <unfinished \.\.\.>$")
_PATH = re.compile(r'(?:(?:AT_FDCWD|\d+)<(?P<at>[^>]*)>, )?"(?P<path>(?:[^"\\]|\\.)*)"')
_OPENED = re.compile(r"^\d+<(?P<path>[^>]*)>")


@dataclass(frozen=True)
class Seen:
    """One call: its name, the path that it was about, whether it may write, and the line.

    Of signals the path is the number that they went to, or the file of what has it.
    """

    call: str
    path: str
    writes: bool
    line: str


def pids(log: Path) -> set[str]:
    """Every process that was watched."""
    return {line.partition(" ")[0] for line in _whole_lines(log)}


def seen(log: Path, cwd: Path) -> Iterator[Seen]:
    """Every call in the log that came to something, with each path that it names or led to.

    All processes began in ``cwd``.
    """
    places: dict[str, str] = {}
    for line in _whole_lines(log):
        found = _LINE.match(line)
        if found is None or found["result"].startswith("-1 "):
            continue
        call, inside = found["call"], found["inside"]
        writes = call in WRITING or (
            call in OPENING and re.search(r"O_(WRONLY|RDWR|CREAT|TRUNC|APPEND)", inside) is not None
        )
        here = places.get(found["pid"], str(cwd))
        paths = [_joined(each["at"] or here, each["path"]) for each in _PATH.finditer(inside)]
        if call in MOVING:
            there = re.search(r"<([^>]*)>", inside)
            places[found["pid"]] = there[1] if there else paths[0]
            continue
        if call.startswith("exec"):
            paths = paths[:1]
        opened = _OPENED.match(found["result"]) if call in OPENING else None
        if opened is not None:  # where the name led to, whatever was followed
            paths = [opened["path"]]
        if call in SIGNALLING:
            paths = [inside.partition(",")[0].lstrip("-")]
        for path in paths:
            yield Seen(call, path.removesuffix(" (deleted)"), writes, line)


def _joined(at: str, path: str) -> str:
    text = path.encode("ascii", "backslashreplace").decode("unicode_escape")
    return os.path.normpath(os.path.join(at, text))


def _whole_lines(log: Path) -> Iterator[str]:
    """The lines, those that were interrupted by another process put together."""
    begun: dict[str, str] = {}
    for line in log.read_text("utf-8", "surrogateescape").splitlines():
        cut = _UNFINISHED.match(line)
        rest = _RESUMED.match(line)
        if cut is not None:
            begun[cut["pid"]] = cut["begun"]
        elif rest is not None:
            yield f"{rest['pid']} {begun.pop(rest['pid'], '')}{rest['rest']}"
        else:
            yield line
