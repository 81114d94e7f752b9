"""The process behind a node's disk: it answers the kernel, and does what faults ask of it.

One thread takes a request at a time off ``/dev/fuse`` and answers it, or, where a rule says so,
answers later. It has two descriptors more: the folder that holds all bytes (:mod:`.disk_store`),
and a channel on which the hands ask (:mod:`.disk`), a JSON object a message. Its end, or that of
whoever holds the other end of the channel, is the end of the disk: every call then fails.

Cost: some 20 microseconds a call.
"""

from __future__ import annotations

import contextlib
import errno
import heapq
import json
import os
import resource
import select
import socket
import stat
import sys
import time

from . import disk_rules
from . import fuse_words as words
from .disk_rules import CHANGE, READ, SYNC, WRITE, Rules
from .disk_store import OUR_NUMBERS, Inode, Store

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    Answered = Callable[["Server", int, memoryview], bytes]

_KEEP_SIZE, _PUNCH, _ZERO = 1, 2, 16


def main() -> None:
    """``sys.argv[2:]``: the numbers of both descriptors, and a seed."""
    folder, channel, seed = map(int, sys.argv[2:])
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    Server(folder, socket.socket(fileno=channel), seed).run()


class Server:
    """Serves one disk. ``run`` returns when the channel ends."""

    def __init__(self, folder: int, channel: socket.socket, seed: int) -> None:
        self.store = Store(folder)
        self._folder = folder
        self._channel = channel
        self._rules = Rules(seed)
        self._kernel = -1
        self._buffer = bytearray(words.BUFFER_BYTES)
        self._late: list[tuple[float, int, bytes]] = []
        self._uid = self._gid = 0
        self._calls = dict.fromkeys(disk_rules.CALLS, 0)
        self._poll = select.poll()
        self._listings: dict[int, list[tuple[int, str, Inode]]] = {}
        self._opened = 0
        self._is_off = False

    def run(self) -> None:
        """Serve until whoever asked for the disk goes."""
        self._poll.register(self._channel, select.POLLIN)
        while True:
            wait_ms = None
            if self._late:
                wait_ms = max(0.0, self._late[0][0] - time.monotonic()) * 1000
            ready = self._poll.poll(wait_ms)
            while self._late and self._late[0][0] <= time.monotonic():
                self._say(heapq.heappop(self._late)[2])
            for fd, _ in ready:
                if fd == self._kernel:
                    self._serve()
                elif fd == self._channel.fileno() and not self._obey():
                    return

    # -- what faults ask for ---------------------------------------------------------------------

    def _obey(self) -> bool:
        data, fds, _, _ = socket.recv_fds(self._channel, 1 << 16, 1)
        if not data:
            return False
        request = json.loads(data)
        answer: dict[str, Any] = {}
        if request["do"] == "rules":
            self._rules.set(request["rules"])
        elif request["do"] == "sync":
            self.store.sync_all()
        elif request["do"] == "ready":
            self._is_off = False
        elif request["do"] == "off":
            self._hang_up()
            self._is_off = True
            answer = {"lost": self.store.lose_power()}
        elif request["do"] == "on":
            self._kernel = fds[0]
            self._poll.register(self._kernel, select.POLLIN)
        answer |= {"met": self._rules.met, "calls": self._calls}
        self._channel.send(json.dumps(answer).encode())
        return True

    def _hang_up(self) -> None:
        """Answer nothing any more: the kernel fails what waits, and all that comes."""
        if self._kernel >= 0:
            self._poll.unregister(self._kernel)
            os.close(self._kernel)
            self._kernel = -1
        self._late.clear()
        self._listings.clear()

    # -- what the kernel asks for ----------------------------------------------------------------

    def _serve(self) -> None:
        try:
            size = os.readv(self._kernel, [self._buffer])
        except OSError as error:
            if error.errno == errno.ENODEV:  # it was unmounted
                self._hang_up()
            return  # any other: the request was withdrawn meanwhile
        whole = memoryview(self._buffer)[:size]
        _, op, number, node, self._uid, self._gid, _, _, _ = words.HEADER.unpack_from(whole)
        delay_s = 0.0
        try:
            delay_s = self._ask(op, node, whole[words.HEADER.size :])
            work = _WORK.get(op)
            if work is None:
                raise OSError(errno.ENOSYS, str(op))
            body, failed = work(self, node, whole[words.HEADER.size :]), 0
        except OSError as error:
            body, failed = b"", -(error.errno or errno.EIO)
        except KeyError:  # a file that a loss of power took
            body, failed = b"", -errno.ESTALE
        if op in words.UNANSWERED:
            return
        answer = words.ANSWER.pack(words.ANSWER.size + len(body), failed, number) + body
        if delay_s:
            heapq.heappush(self._late, (time.monotonic() + delay_s, number, answer))
        else:
            self._say(answer)

    def _say(self, answer: bytes) -> None:
        with contextlib.suppress(OSError):  # whoever asked was killed meanwhile
            os.write(self._kernel, answer)

    def _ask(self, op: int, node: int, body: memoryview) -> float:
        """By how much a call comes late; ``OSError`` where rules have it fail."""
        call = _CALLS.get(op)
        if op == words.OPEN:
            flags = words.OPENING.unpack_from(body)[0]
            call = CHANGE if flags & os.O_ACCMODE != os.O_RDONLY else None
        if call is None or self._is_off:
            return 0.0
        is_ours = node in OUR_NUMBERS
        if not is_ours:
            self._calls[call] += 1
        takes_room = False
        if op == words.WRITE:
            _, offset, size, _, _, flags, _ = words.BYTES.unpack_from(body)
            if self._rules.is_full:
                takes_room = not self.store.has_room_taken(self.store.inodes[node], offset, size)
            delay_s = self._rules.ask(WRITE, is_ours=is_ours, takes_room=takes_room)
            if flags & os.O_DSYNC:
                delay_s += self._rules.ask(SYNC, is_ours=is_ours, takes_room=False)
            return delay_s
        return self._rules.ask(
            call, is_ours=is_ours, takes_room=op in (words.FALLOCATE, words.MKDIR)
        )

    def _lookup(self, node: int, body: memoryview) -> bytes:
        return words.entry(self.store.find(node, words.names(body)[0]))

    def _forget(self, node: int, body: memoryview) -> bytes:
        self._forgotten(node, words.NUMBER.unpack_from(body)[0])
        return b""

    def _forget_many(self, node: int, body: memoryview) -> bytes:
        count = words.WRITTEN.unpack_from(body)[0]
        for at in range(count):
            which, times = words.FORGOTTEN.unpack_from(body, 8 + at * words.FORGOTTEN.size)
            self._forgotten(which, times)
        return b""

    def _forgotten(self, node: int, times: int) -> None:
        inode = self.store.inodes.get(node)
        if inode is not None:
            inode.lookups = max(0, inode.lookups - times)
            self.store.let_go(inode)

    def _getattr(self, node: int, body: memoryview) -> bytes:
        return words.valid(self.store.inodes[node])

    def _setattr(self, node: int, body: memoryview) -> bytes:
        which, _, _, size, _, atime, mtime, ctime, a_ns, m_ns, c_ns, mode, _, uid, gid, _ = (
            words.SET.unpack_from(body)
        )
        inode = self.store.inodes[node]
        if which & words.SET_SIZE:
            self.store.resize(inode, size)
            if not inode.opened:
                self.store.let_go(inode)
        if which & words.SET_MODE:
            inode.mode = stat.S_IFMT(inode.mode) | stat.S_IMODE(mode)
        if which & words.SET_UID:
            inode.uid = uid
        if which & words.SET_GID:
            inode.gid = gid
        now = time.time_ns()
        inode.times[2] = ctime * 10**9 + c_ns if which & words.SET_CTIME else now
        if which & words.SET_ATIME:
            inode.times[0] = now if which & words.SET_ATIME_NOW else atime * 10**9 + a_ns
        if which & words.SET_MTIME:
            inode.times[1] = now if which & words.SET_MTIME_NOW else mtime * 10**9 + m_ns
        return words.valid(inode)

    def _readlink(self, node: int, body: memoryview) -> bytes:
        return self.store.inodes[node].target

    def _symlink(self, node: int, body: memoryview) -> bytes:
        name, target = words.names(body)
        made = self.store.make(node, name, stat.S_IFLNK | 0o777, self._uid, self._gid)
        made.target = target.encode(errors="surrogateescape")
        return words.entry(made)

    def _mknod(self, node: int, body: memoryview) -> bytes:
        mode, rdev, _, _ = words.MODE.unpack_from(body)
        name = words.names(body[words.MODE.size :])[0]
        made = self.store.make(node, name, mode, self._uid, self._gid)
        made.rdev = rdev
        return words.entry(made)

    def _mkdir(self, node: int, body: memoryview) -> bytes:
        mode = words.FOLDER_MODE.unpack_from(body)[0]
        name = words.names(body[words.FOLDER_MODE.size :])[0]
        made = self.store.make(node, name, stat.S_IFDIR | mode, self._uid, self._gid)
        return words.entry(made)

    def _unlink(self, node: int, body: memoryview) -> bytes:
        self.store.remove(node, words.names(body)[0], is_folder=False)
        return b""

    def _rmdir(self, node: int, body: memoryview) -> bytes:
        self.store.remove(node, words.names(body)[0], is_folder=True)
        return b""

    def _rename(self, node: int, body: memoryview) -> bytes:
        to = words.NUMBER.unpack_from(body)[0]
        name, as_name = words.names(body[words.NUMBER.size :])
        self.store.rename(node, name, to, as_name, 0)
        return b""

    def _rename2(self, node: int, body: memoryview) -> bytes:
        to, flags, _ = words.RENAMED.unpack_from(body)
        name, as_name = words.names(body[words.RENAMED.size :])
        self.store.rename(node, name, to, as_name, flags)
        return b""

    def _link(self, node: int, body: memoryview) -> bytes:
        inode = self.store.inodes[words.NUMBER.unpack_from(body)[0]]
        self.store.link(inode, node, words.names(body[words.NUMBER.size :])[0])
        return words.entry(inode)

    def _open(self, node: int, body: memoryview) -> bytes:
        self.store.inodes[node].opened += 1
        return words.OPENED.pack(0, words.KEEP_CACHE, 0)

    def _create(self, node: int, body: memoryview) -> bytes:
        mode = words.MODE.unpack_from(body)[1]
        name = words.names(body[words.MODE.size :])[0]
        made = self.store.make(node, name, stat.S_IFREG | mode, self._uid, self._gid)
        made.opened += 1
        return words.entry(made) + words.OPENED.pack(0, words.KEEP_CACHE, 0)

    def _release(self, node: int, body: memoryview) -> bytes:
        inode = self.store.inodes[node]
        inode.opened -= 1
        self.store.let_go(inode)
        return b""

    def _read(self, node: int, body: memoryview) -> bytes:
        _, offset, size, _, _, _, _ = words.BYTES.unpack_from(body)
        return self.store.read(self.store.inodes[node], offset, size)

    def _write(self, node: int, body: memoryview) -> bytes:
        _, offset, size, _, _, flags, _ = words.BYTES.unpack_from(body)
        inode = self.store.inodes[node]
        self.store.write(inode, offset, body[words.BYTES.size : words.BYTES.size + size])
        if flags & os.O_DSYNC:  # O_SYNC holds it
            self.store.sync(inode)
        return words.WRITTEN.pack(size, 0)

    def _sync(self, node: int, body: memoryview) -> bytes:
        self.store.sync(self.store.inodes[node])
        return b""

    def _fallocate(self, node: int, body: memoryview) -> bytes:
        _, offset, length, mode, _ = words.TAKE.unpack_from(body)
        inode = self.store.inodes[node]
        if mode & (_PUNCH | _ZERO):
            self.store.zero(inode, offset, length)
        elif mode & ~_KEEP_SIZE:
            raise OSError(errno.EOPNOTSUPP, "fallocate")
        if not mode & _KEEP_SIZE and offset + length > inode.size:
            self.store.resize(inode, offset + length)
        return b""

    def _statfs(self, node: int, body: memoryview) -> bytes:
        host = os.fstatvfs(self._folder)
        free = 0 if self._rules.is_full else host.f_bavail
        size = host.f_frsize
        return words.SPACE.pack(
            host.f_blocks, free, free, host.f_files, host.f_ffree, size, 255, size, 0
        )

    def _opendir(self, node: int, body: memoryview) -> bytes:
        self.store.inodes[node].opened += 1
        self._opened += 1
        return words.OPENED.pack(self._opened, 0, 0)

    def _readdir(self, node: int, body: memoryview) -> bytes:
        """From a list made at its beginning: who removes what is listed must miss nothing."""
        opened, offset, size, _, _, _, _ = words.BYTES.unpack_from(body)
        if offset == 0 or opened not in self._listings:
            entries = enumerate(self.store.listed(node), 1)
            self._listings[opened] = [(at, name, inode) for at, (name, inode) in entries]
        return words.listed(self._listings[opened][offset:], size)

    def _releasedir(self, node: int, body: memoryview) -> bytes:
        self._listings.pop(words.NUMBER.unpack_from(body)[0], None)
        return self._release(node, body)

    def _greet(self, node: int, body: memoryview) -> bytes:
        return words.greeting(body)

    def _nothing(self, node: int, body: memoryview) -> bytes:
        return b""


_WORK: dict[int, Answered] = {
    words.LOOKUP: Server._lookup,
    words.FORGET: Server._forget,
    words.BATCH_FORGET: Server._forget_many,
    words.GETATTR: Server._getattr,
    words.SETATTR: Server._setattr,
    words.READLINK: Server._readlink,
    words.SYMLINK: Server._symlink,
    words.MKNOD: Server._mknod,
    words.MKDIR: Server._mkdir,
    words.UNLINK: Server._unlink,
    words.RMDIR: Server._rmdir,
    words.RENAME: Server._rename,
    words.RENAME2: Server._rename2,
    words.LINK: Server._link,
    words.OPEN: Server._open,
    words.CREATE: Server._create,
    words.RELEASE: Server._release,
    words.READ: Server._read,
    words.WRITE: Server._write,
    words.FSYNC: Server._sync,
    words.FSYNCDIR: Server._sync,
    words.FALLOCATE: Server._fallocate,
    words.STATFS: Server._statfs,
    words.OPENDIR: Server._opendir,
    words.RELEASEDIR: Server._releasedir,
    words.READDIR: Server._readdir,
    words.INIT: Server._greet,
    words.FLUSH: Server._nothing,
    words.INTERRUPT: Server._nothing,
    words.DESTROY: Server._nothing,
}

_CALLS = {
    words.READ: READ,
    words.WRITE: WRITE,
    words.FSYNC: SYNC,
    words.FSYNCDIR: SYNC,
    **dict.fromkeys(
        (
            words.SETATTR, words.SYMLINK, words.MKNOD, words.MKDIR, words.UNLINK, words.RMDIR,
            words.RENAME, words.RENAME2, words.LINK, words.CREATE, words.FALLOCATE,
        ),
        CHANGE,
    ),
}  # fmt: skip
