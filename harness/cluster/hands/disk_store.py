"""What a node's disk holds: what is written, and beside it what would outlive a loss of power.

Each file has two files of the host behind it: ``live``, to which everything goes at once, and
``kept``, to which :meth:`Store.sync` copies the pages that changed since. Each folder has two lists
of names, of which the second is brought up to the first likewise. So an ordinary read or write
costs what one of the host's does, and a loss of power is: take back every page, size and name that
was not kept.

What a sync keeps is what journalling file systems of Linux keep: of a file its own bytes and size,
nobody else's; and every change of names anywhere that came before it (one journal). A new or
renamed file whose own bytes were never synced has its name then and is empty, or as it was synced
last. Owners, permissions and times outlive everything. Two files in the root are ours
(:data:`OURS`): they are listed nowhere, and to sync one keeps nothing but itself.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = 1
OURS = {".polygraph-probe": 2, ".polygraph-trial": 3}
"""Files for probes by their names, to what they are known by."""
OUR_NUMBERS = frozenset(OURS.values())
PAGE = 4096
_NOTHING_CUT = 1 << 62


class Inode:
    """A file, a folder, a symbolic link or a special file."""

    def __init__(self, number: int, mode: int, uid: int, gid: int) -> None:
        self.number = number
        self.mode = mode
        self.uid = uid
        self.gid = gid
        self.times = [time.time_ns()] * 3
        self.rdev = 0
        self.target = b""
        self.links = 0
        self.kept_links = 0
        self.lookups = 0
        self.opened = 0
        self.parent = ROOT
        self.is_folder = stat.S_ISDIR(mode)
        self.names: dict[str, int] = {}
        self.kept_names: dict[str, int] = {}
        self.size = 0
        self.kept_size = 0
        self.dirty: set[int] = set()
        self.cut_at = _NOTHING_CUT
        self.files: dict[str, int] = {}

    @property
    def is_changed(self) -> bool:
        """Whether something of its bytes would be lost now."""
        return bool(self.dirty) or self.size != self.kept_size or self.cut_at < self.kept_size

    def touch(self) -> None:
        """It was modified now."""
        self.times[1] = self.times[2] = time.time_ns()


class Store:
    """All that is on one disk, in files of the folder behind ``folder_fd``, which is ours alone."""

    def __init__(self, folder_fd: int) -> None:
        self._folder = folder_fd
        self.inodes: dict[int, Inode] = {}
        self._next = max(OUR_NUMBERS)
        self._pending: dict[int, Inode] = {}
        root = self._inode(ROOT, stat.S_IFDIR | 0o1777, 0, 0)
        root.links = root.kept_links = 2
        for number in OUR_NUMBERS:
            probe = self._inode(number, stat.S_IFREG | 0o600, 0, 0)
            probe.links = probe.kept_links = 1

    # -- names -----------------------------------------------------------------------------------

    def find(self, folder: int, name: str) -> Inode:
        """What is called so there; ``OSError``."""
        if folder == ROOT and name in OURS:
            return self.inodes[OURS[name]]
        number = self._names(folder).get(name)
        if number is None:
            raise OSError(errno.ENOENT, name)
        return self.inodes[number]

    def make(self, folder: int, name: str, mode: int, uid: int, gid: int) -> Inode:
        """A new file, folder or other."""
        self._refuse_taken(folder, name)
        above = self.inodes[folder]
        self._next += 1
        if above.mode & stat.S_ISGID:
            gid = above.gid
            mode |= stat.S_ISGID if stat.S_ISDIR(mode) else 0
        made = self._inode(self._next, mode, uid, gid)
        self._enter(above, name, made)
        return made

    def link(self, inode: Inode, folder: int, name: str) -> None:
        """One more name."""
        self._refuse_taken(folder, name)
        self._enter(self.inodes[folder], name, inode)

    def remove(self, folder: int, name: str, *, is_folder: bool) -> None:
        """Take a name away, of a folder an empty one's."""
        inode = self.find(folder, name)
        self._refuse_hidden(folder, name)
        _check_kind(inode, is_folder)
        self._leave(self.inodes[folder], name)

    def rename(self, folder: int, name: str, to: int, as_name: str, flags: int) -> None:
        """As renameat2(2); ``flags`` 1 replaces nothing, 2 exchanges."""
        self._refuse_hidden(folder, name)
        self._refuse_hidden(to, as_name)
        if flags & ~3:
            raise OSError(errno.EINVAL, name)
        inode, other = self.find(folder, name), self._names(to).get(as_name)
        if flags & 1 and other is not None:
            raise OSError(errno.EEXIST, as_name)
        if flags & 2 and other is None:
            raise OSError(errno.ENOENT, as_name)
        if other == inode.number:
            return
        if other is not None and not flags & 2:
            _check_kind(self.inodes[other], inode.is_folder)
            self._leave(self.inodes[to], as_name)
        elif other is not None:
            self._leave(self.inodes[to], as_name, keep=True)
        self._leave(self.inodes[folder], name, keep=True)
        self._enter(self.inodes[to], as_name, inode)
        if flags & 2 and other is not None:
            self._enter(self.inodes[folder], name, self.inodes[other])

    def listed(self, folder: int) -> Iterator[tuple[str, Inode]]:
        """Names in a folder, with ``.`` and ``..``."""
        above = self.inodes[folder]
        yield ".", above
        yield "..", self.inodes[above.parent]
        for name, number in list(above.names.items()):
            yield name, self.inodes[number]

    def _names(self, folder: int) -> dict[str, int]:
        above = self.inodes[folder]
        if not above.is_folder:
            raise OSError(errno.ENOTDIR, str(folder))
        return above.names

    def _refuse_taken(self, folder: int, name: str) -> None:
        if name in self._names(folder) or (folder == ROOT and name in OURS):
            raise OSError(errno.EEXIST, name)
        if len(os.fsencode(name)) > 255:
            raise OSError(errno.ENAMETOOLONG, name)

    def _refuse_hidden(self, folder: int, name: str) -> None:
        if folder == ROOT and name in OURS:
            raise OSError(errno.EPERM, name)

    def _inode(self, number: int, mode: int, uid: int, gid: int) -> Inode:
        made = self.inodes[number] = Inode(number, mode, uid, gid)
        return made

    def _enter(self, folder: Inode, name: str, inode: Inode) -> None:
        folder.names[name] = inode.number
        if inode.is_folder:
            inode.parent = folder.number
            inode.links = 2 + sum(self.inodes[n].is_folder for n in inode.names.values())
            folder.links += 1
        else:
            inode.links += 1
        self._changed(folder)

    def _leave(self, folder: Inode, name: str, *, keep: bool = False) -> None:
        inode = self.inodes[folder.names.pop(name)]
        if inode.is_folder:
            folder.links -= 1
            inode.links = 0
        else:
            inode.links -= 1
        self._changed(folder)
        if not keep:
            self.let_go(inode)

    def _changed(self, folder: Inode) -> None:
        folder.touch()
        self._pending[folder.number] = folder

    # -- bytes -----------------------------------------------------------------------------------

    def read(self, inode: Inode, offset: int, size: int) -> bytes:
        """Bytes as they are now."""
        return os.pread(self._file(inode, "live"), size, offset)

    def write(self, inode: Inode, offset: int, data: memoryview) -> None:
        """Bytes that are there from now on, and not kept yet."""
        os.pwrite(self._file(inode, "live"), data, offset)
        end = offset + len(data)
        inode.dirty.update(range(offset // PAGE, (end - 1) // PAGE + 1))
        inode.size = max(inode.size, end)
        inode.touch()

    def resize(self, inode: Inode, size: int) -> None:
        """Cut it, or make it longer by zeros."""
        os.ftruncate(self._file(inode, "live"), size)
        if size < inode.size:
            inode.cut_at = min(inode.cut_at, size)
            inode.dirty = {page for page in inode.dirty if page * PAGE < size}
            if size % PAGE:
                inode.dirty.add(size // PAGE)
        inode.size = size
        inode.touch()

    def zero(self, inode: Inode, offset: int, size: int) -> None:
        """Zeros instead of what is there."""
        self.write(inode, offset, memoryview(bytes(min(size, max(0, inode.size - offset)))))

    def has_room_taken(self, inode: Inode, offset: int, size: int) -> bool:
        """Whether every page of that range was written before, so that none is needed anew."""
        fd, end = self._file(inode, "live"), offset + size
        if end > inode.size:
            return False
        try:
            hole = os.lseek(fd, offset, os.SEEK_HOLE)
        except OSError:
            return False
        return hole >= end

    def sync(self, inode: Inode) -> None:
        """Keep its bytes, and all names."""
        if not inode.is_folder and inode.is_changed:
            self._keep_bytes(inode)
        if inode.number not in OUR_NUMBERS:
            self._keep_names()

    def sync_all(self) -> None:
        """Keep everything."""
        for inode in list(self.inodes.values()):
            if not inode.is_folder and inode.is_changed and inode.number not in OUR_NUMBERS:
                self._keep_bytes(inode)
                self.let_go(inode)
        self._keep_names()

    def _keep_bytes(self, inode: Inode) -> None:
        live, kept = self._file(inode, "live"), self._file(inode, "kept")
        if inode.cut_at < inode.kept_size:
            os.ftruncate(kept, inode.cut_at)
        _copy(live, kept, inode.dirty)
        if os.fstat(kept).st_size != inode.size:
            os.ftruncate(kept, inode.size)
        self._is_kept(inode, inode.size)

    def _is_kept(self, inode: Inode, size: int) -> None:
        inode.size = inode.kept_size = size
        inode.dirty = set()
        inode.cut_at = _NOTHING_CUT

    def _keep_names(self) -> None:
        pending, self._pending = self._pending, {}
        gone: list[Inode] = []
        for folder in pending.values():
            for number in folder.names.values():
                self.inodes[number].kept_links += 1
            for number in folder.kept_names.values():
                self.inodes[number].kept_links -= 1
                gone.append(self.inodes[number])
            folder.kept_names = dict(folder.names)
        for inode in gone:
            self.let_go(inode)

    # -- the end of things -----------------------------------------------------------------------

    def let_go(self, inode: Inode) -> None:
        """Close and remove what nobody can reach any more."""
        if inode.opened == 0:
            for fd in inode.files.values():
                os.close(fd)
            inode.files.clear()
        if inode.links or inode.kept_links or inode.opened or inode.lookups:
            return
        if inode.number not in self.inodes or inode.number == ROOT or inode.number in OUR_NUMBERS:
            return
        if inode.is_folder:  # what a loss of power would have brought back in it
            self._pending.pop(inode.number, None)
            kept, inode.kept_names = inode.kept_names, {}
            for number in kept.values():
                self.inodes[number].kept_links -= 1
                self.let_go(self.inodes[number])
        del self.inodes[inode.number]
        for side in ("live", "kept"):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(f"{inode.number}.{side}", dir_fd=self._folder)

    def lose_power(self) -> dict[str, int]:
        """Take back all that was not kept; what that was."""
        lost = {"names": self._lost_names(), "files": 0, "pages": 0}
        self._pending.clear()
        for inode in list(self.inodes.values()):
            inode.lookups = inode.opened = 0
            inode.names = dict(inode.kept_names)
            if inode.number != ROOT and inode.number not in OUR_NUMBERS:
                inode.links = 0
        for inode in self._reached():
            if not inode.is_folder and inode.is_changed:
                if inode.number not in OUR_NUMBERS:
                    lost["files"] += 1
                    lost["pages"] += len(inode.dirty)
                self._take_back(inode)
        for inode in list(self.inodes.values()):
            if not inode.links:
                inode.kept_links = 0
                inode.kept_names = {}
            self.let_go(inode)
        return lost

    def _lost_names(self) -> int:
        lost = 0
        for folder in self._pending.values():
            lost += len(set(folder.names.items()) ^ set(folder.kept_names.items()))
        return lost

    def _reached(self) -> list[Inode]:
        """Everything from the root on, its links counted anew."""
        found, root = {ROOT: self.inodes[ROOT]}, self.inodes[ROOT]
        root.links, waiting = 2, [root]
        while waiting:
            folder = waiting.pop()
            for number in folder.names.values():
                inode = self.inodes[number]
                if inode.is_folder:
                    folder.links += 1
                    inode.links, inode.parent = 2, folder.number
                    waiting.append(inode)
                else:
                    inode.links += 1
                found[number] = inode
        return [*found.values(), *(self.inodes[number] for number in OUR_NUMBERS)]

    def _take_back(self, inode: Inode) -> None:
        live, kept = self._file(inode, "live"), self._file(inode, "kept")
        pages = {page for page in inode.dirty if page * PAGE < inode.kept_size}
        if inode.cut_at < inode.kept_size:
            pages.update(range(inode.cut_at // PAGE, (inode.kept_size - 1) // PAGE + 1))
        _copy(kept, live, pages)
        os.ftruncate(live, inode.kept_size)
        self._is_kept(inode, inode.kept_size)

    def _file(self, inode: Inode, side: str) -> int:
        if side not in inode.files:
            flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
            name = f"{inode.number}.{side}"
            inode.files[side] = os.open(name, flags, 0o600, dir_fd=self._folder)
        return inode.files[side]


def _check_kind(inode: Inode, is_folder: bool) -> None:
    """Whether it may be removed, or replaced, as what it is said to be."""
    if is_folder and not inode.is_folder:
        raise OSError(errno.ENOTDIR, "not a folder")
    if inode.is_folder and not is_folder:
        raise OSError(errno.EISDIR, "a folder")
    if inode.names:
        raise OSError(errno.ENOTEMPTY, "not empty")


def _copy(source: int, target: int, pages: set[int]) -> None:
    """Copy pages from file to file, those beside each other at once; none beyond the source."""
    ordered = sorted(pages)
    at = 0
    while at < len(ordered):
        first = at
        while at + 1 < len(ordered) and ordered[at + 1] == ordered[at] + 1 and at - first < 255:
            at += 1
        start = ordered[first] * PAGE
        data = os.pread(source, (at - first + 1) * PAGE, start)
        if data:
            os.pwrite(target, data, start)
        at += 1
