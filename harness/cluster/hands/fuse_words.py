"""The words of the kernel's FUSE protocol that a disk of ours speaks, 7.31 (linux/fuse.h).

Of the ways to a file system in user space this one needs nothing on a node but Python: libfuse by
ctypes (mfusepy) wants that library there, pyfuse3 a compiled module of its version. The protocol is
a request and an answer at a time over ``/dev/fuse``, and of its fifty a disk needs thirty.
"""

from __future__ import annotations

import stat
import struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .disk_store import Inode

LOOKUP, FORGET, GETATTR, SETATTR, READLINK, SYMLINK = 1, 2, 3, 4, 5, 6
MKNOD, MKDIR, UNLINK, RMDIR, RENAME, LINK, OPEN, READ, WRITE = 8, 9, 10, 11, 12, 13, 14, 15, 16
STATFS, RELEASE, FSYNC, FLUSH, INIT, OPENDIR, READDIR = 17, 18, 20, 25, 26, 27, 28
RELEASEDIR, FSYNCDIR, CREATE, INTERRUPT, DESTROY = 29, 30, 35, 36, 38
BATCH_FORGET, FALLOCATE, RENAME2 = 42, 43, 45

UNANSWERED = frozenset((FORGET, BATCH_FORGET, INTERRUPT, DESTROY))

MOST_BYTES = 1 << 17
BUFFER_BYTES = MOST_BYTES + (1 << 14)

HEADER = struct.Struct("=IIQQIIIHH")
ANSWER = struct.Struct("=IiQ")
ATTRIBUTES = struct.Struct("=QQQQQQIIIIIIIIII")
ENTRY = struct.Struct("=QQQQII")
VALID = struct.Struct("=QII")
OPENED = struct.Struct("=QIi")
SET = struct.Struct("=IIQQQQQQIIIIIIII")
MODE = struct.Struct("=IIII")
FOLDER_MODE = struct.Struct("=II")
NUMBER = struct.Struct("=Q")
RENAMED = struct.Struct("=QII")
OPENING = struct.Struct("=II")
BYTES = struct.Struct("=QQIIQII")
WRITTEN = struct.Struct("=II")
SPACE = struct.Struct("=QQQQQIIII24x")
SYNC = struct.Struct("=QII")
TAKE = struct.Struct("=QQQII")
FORGOTTEN = struct.Struct("=QQ")
GREETING = struct.Struct("=IIII")
GREETED = struct.Struct("=IIIIHHIIHHII24x")
LISTED = struct.Struct("=QQII")

SET_MODE, SET_UID, SET_GID, SET_SIZE, SET_ATIME, SET_MTIME = 1, 2, 4, 8, 16, 32
SET_ATIME_NOW, SET_MTIME_NOW, SET_CTIME = 128, 256, 1024
KEEP_CACHE = 2

_BIG_WRITES, _PARALLEL, _MAX_PAGES, _ASYNC_READ = 1 << 5, 1 << 18, 1 << 22, 1 << 0
_FOREVER_S = 1 << 30


def attributes(inode: Inode) -> bytes:
    """A file's, as ``stat`` shows them."""
    seconds = [each // 1_000_000_000 for each in inode.times]
    rest = [each % 1_000_000_000 for each in inode.times]
    size = len(inode.target) if stat.S_ISLNK(inode.mode) else inode.size
    blocks = (size + 511) // 512
    links = inode.links
    return ATTRIBUTES.pack(
        inode.number, size, blocks, *seconds, *rest, inode.mode, links, inode.uid, inode.gid,
        inode.rdev, 4096, 0,
    )  # fmt: skip


def entry(inode: Inode) -> bytes:
    """A name's answer: nobody but us changes anything, so the kernel may keep it."""
    inode.lookups += 1
    return ENTRY.pack(inode.number, 0, _FOREVER_S, _FOREVER_S, 0, 0) + attributes(inode)


def valid(inode: Inode) -> bytes:
    """The answer to a question for attributes."""
    return VALID.pack(_FOREVER_S, 0, 0) + attributes(inode)


def greeting(body: memoryview) -> bytes:
    """What is agreed with the kernel; of what it offers nothing that delays a write."""
    major, minor, readahead, offered = GREETING.unpack_from(body)
    if major != 7 or minor < 31:
        raise OSError(71, f"the kernel speaks FUSE {major}.{minor}, older than 7.31")
    flags = offered & (_BIG_WRITES | _PARALLEL | _MAX_PAGES | _ASYNC_READ)
    pages = MOST_BYTES // 4096
    return GREETED.pack(7, 31, readahead, flags, 64, 48, MOST_BYTES, 1, pages, 0, 0, 0)


def listed(entries: list[tuple[int, str, Inode]], size: int) -> bytes:
    """As many names as fit, each with the place of the next."""
    told = bytearray()
    for at, name, inode in entries:
        word = name.encode(errors="surrogateescape")
        length = (LISTED.size + len(word) + 7) // 8 * 8
        if len(told) + length > size:
            break
        told += LISTED.pack(inode.number, at, len(word), inode.mode >> 12)
        told += word.ljust(length - LISTED.size, b"\0")
    return bytes(told)


def names(body: memoryview) -> list[str]:
    """Names, each ended by a zero byte."""
    return [each.decode(errors="surrogateescape") for each in bytes(body).split(b"\0")[:-1]]
