"""The hands that give a node a disk of its own, for its data folder, and take its power away.

The disk is a file system in user space (FUSE), whose process is started here
(:mod:`harness.cluster.hands.disk_server`). It is mounted where whoever sits in the node sees its
data folder, in the node's own mount namespace where it has one, and so goes when the node does. A
loss of power keeps what was synced and nothing else; the disk that is mounted then is another to
the kernel, so that no page which it remembers stands in.

Two proofs are made here, by ordinary calls through the kernel. A file that only we see holds a page
that was synced and one that was not: after each loss of power the one must be there and the other
gone. And a *trial* (:mod:`harness.cluster.hands.disk_trial`), in a process of its own because it
may take long, writes, syncs, reads and changes another such file, and tells what failed.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys

from . import family
from .disk_store import OURS, PAGE
from .inside import Part
from .refused import Refused

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .inside import Inside

DEVICE = "/dev/fuse"
NAME = "polygraph-disk"
_BOOT = "import sys; sys.path.insert(0, sys.argv[1]); from hands import {0}; {0}.main()"
_PROBE, _TRIAL = OURS
_MS_NOSUID, _MS_NODEV, _MNT_DETACH = 2, 4, 2
_ANSWER_S = 20.0


class Disk(Part):
    """The node's disk, once it has one."""

    def __init__(self, folder: str) -> None:
        super().__init__(folder)
        self.path = ""
        self._process: subprocess.Popen[bytes] | None = None
        self._channel: socket.socket | None = None
        self._round = 0
        self._trial: subprocess.Popen[bytes] | None = None
        self._tried: dict[str, Any] | None = None

    def processes(self) -> set[int]:
        """The processes that were started here and may run."""
        found = (self._process, self._trial)
        return {process.pid for process in found if process is not None}

    def start(self, path: str, seed: int) -> None:
        """Have the folder ``path``, empty as yet, be a disk."""
        if self._process is not None:
            raise Refused(f"{path} is a disk already")
        folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            fds = [folder, theirs.fileno()]
            self._process = _start("disk_server", [*fds, seed], pass_fds=fds)
        finally:
            os.close(folder)
            theirs.close()
        ours.settimeout(_ANSWER_S)
        self.path, self._channel = path, ours
        self._attach()
        self._arm()

    def lose_power(self) -> dict[str, Any]:
        """Take back all that was not synced, and mount what is left; what that was, and the proof.

        Nothing may run on it: what still does has a disk that fails every call.
        """
        lost = self._ask({"do": "off"})["lost"]
        _unmount(self.path)
        told = {"lost": lost, **self._proof()}
        return told

    def rules(self, rules: dict[str, Any]) -> dict[str, Any]:
        """Have these rules be in force and no others (:mod:`.disk_rules`)."""
        self._end_trial()
        self._tried = None
        return self._ask({"do": "rules", "rules": rules})

    def sync(self) -> dict[str, Any]:
        """Keep all that is there now."""
        return self._ask({"do": "sync"})

    def look(self) -> dict[str, Any]:
        """How many calls there were, and how many of them each rule met."""
        return self._ask({"do": "look"})

    def trial(self, count: int) -> dict[str, Any]:
        """The last trial that is done since rules were set; another is begun if none runs."""
        if self._trial is not None and self._trial.poll() is not None:
            assert self._trial.stdout is not None
            text = self._trial.stdout.read()
            self._end_trial()
            self._tried = json.loads(text) if text else None
        if self._trial is None:
            words = [os.path.join(self.path, _TRIAL), count]
            self._trial = _start("disk_trial", words, stdout=subprocess.PIPE)
        return {"trial": self._tried, **self.look()}

    def end(self) -> None:
        """Take the disk away, also one of a process before this. Safe twice."""
        self._end_trial()
        if self._channel is not None:
            self._channel.close()
            self._channel = None
        path = self.path or os.path.join(self.folder, "data")
        for _ in range(mounted(path)):
            try:
                _unmount(path)
            except OSError as error:
                raise Refused(f"{path} cannot be unmounted: {error.strerror}") from error
        if self._process is not None:
            with contextlib.suppress(ChildProcessError):
                self._process.wait()
            self._process = None

    def _proof(self) -> dict[str, Any]:
        """Mount again, and look whether exactly what was synced of the probe is there."""
        self._attach()
        synced, _ = _pages(self._round)
        with _opened(os.path.join(self.path, _PROBE)) as fd:
            size, found = os.fstat(fd).st_size, os.pread(fd, 2 * PAGE, 0)
        told = {"kept": found[:PAGE] == synced, "gone": size == PAGE and len(found) == PAGE}
        self._arm()
        return told

    def _attach(self) -> None:
        kernel = os.open(DEVICE, os.O_RDWR | os.O_CLOEXEC)
        try:
            options = (
                f"fd={kernel},rootmode=40000,user_id={os.geteuid()},group_id={os.getegid()},"
                "default_permissions,allow_other"
            )
            _mount(self.path, options)
            self._ask({"do": "on"}, kernel)
        finally:
            os.close(kernel)

    def _arm(self) -> None:
        """Put a new pair of pages into the probe, the first of them synced."""
        self._round += 1
        synced, unsynced = _pages(self._round)
        with _opened(os.path.join(self.path, _PROBE)) as fd:
            os.ftruncate(fd, 0)
            os.pwrite(fd, synced, 0)
            os.fsync(fd)
            os.pwrite(fd, unsynced, PAGE)
        self._ask({"do": "ready"})

    def _end_trial(self) -> None:
        """Kill it; it is not waited for, since a slow disk may keep it from ending."""
        if self._trial is not None:
            assert self._trial.stdout is not None
            self._trial.kill()
            self._trial.poll()
            self._trial.stdout.close()
            self._trial = None

    def _ask(self, request: dict[str, Any], *fds: int) -> dict[str, Any]:
        if self._channel is None:
            raise Refused("the node has no disk of its own")
        try:
            socket.send_fds(self._channel, [json.dumps(request).encode()], list(fds))
            data = self._channel.recv(1 << 16)
        except OSError as error:
            raise Refused(f"the process of the disk does not answer: {error}") from error
        if not data:
            raise Refused("the process of the disk has ended")
        answer: dict[str, Any] = json.loads(data)
        return answer


def disk(inside: Inside, request: dict[str, Any]) -> dict[str, Any]:
    """The hand: ``do`` what of a node's disk."""
    part = inside.part(Disk)
    do = request["do"]
    try:
        if do == "start":
            part.start(request["path"], request["seed"])
        if do == "power-loss":
            return part.lose_power()
        if do == "rules":
            return part.rules(request["rules"])
        if do == "sync":
            return part.sync()
        if do == "trial":
            return part.trial(request["count"])
        return part.look()
    finally:
        inside.own.update(part.processes())


def _start(program: str, words: list[Any], **options: Any) -> subprocess.Popen[bytes]:
    """Start one of the programs here; its mark keeps it from being taken for a daemon's."""
    hands = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    argv = [sys.executable, "-I", "-S", "-c", _BOOT.format(program), hands, *map(str, words)]
    env = {**os.environ, family.MARK: family.new_mark()}
    return subprocess.Popen(argv, env=env, cwd="/", start_new_session=True, **options)


@contextlib.contextmanager
def _opened(path: str) -> Any:
    fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        yield fd
    finally:
        os.close(fd)


def _pages(number: int) -> tuple[bytes, bytes]:
    """A page to be synced and one not to be, of that round."""
    return (b"synced %d\n" % number).ljust(PAGE, b"s"), (b"not %d\n" % number).ljust(PAGE, b"n")


def _mount(path: str, options: str) -> None:
    import ctypes

    flags = ctypes.c_ulong(_MS_NOSUID | _MS_NODEV)
    words = [NAME.encode(), os.fsencode(path), b"fuse"]
    _check(_libc().mount(*words, flags, options.encode()), path)


def _unmount(path: str) -> None:
    _check(_libc().umount2(os.fsencode(path), _MNT_DETACH), path)


def _libc() -> Any:
    import ctypes  # here, for hosts whose python lacks it and have no need of disks

    return ctypes.CDLL(None, use_errno=True)


def _check(result: int, what: str) -> None:
    if result != 0:
        import ctypes

        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), what)


def mounted(path: str) -> int:
    """How many disks of ours are mounted there, one on the other."""
    own = os.path.realpath(path).replace("\\", "\\134").replace(" ", "\\040")
    count = 0
    for line in family.read_file("/proc/self/mountinfo").decode(errors="replace").splitlines():
        fields = line.split(" ")
        source = fields[fields.index("-") + 2] if "-" in fields else ""
        count += fields[4] == own and source == NAME
    return count


def rehearse(inside: Inside, request: dict[str, Any]) -> dict[str, Any]:
    """The hand: why a disk cannot be mounted in the node's folder; tried, and taken away again."""
    path = os.path.join(inside.folder, "disk")
    why = why_not()
    if why is not None:
        return {"why": why}
    os.makedirs(path, exist_ok=True)
    part = Disk("")
    try:
        part.start(path, 0)
        part.end()
    except (OSError, Refused) as error:
        return {"why": f"a disk cannot be mounted ({error}); it takes a login as root"}
    finally:
        part.end()
        shutil.rmtree(path, ignore_errors=True)
    return {"why": None}


def why_not() -> str | None:
    """Why a disk of ours cannot be mounted here, as far as a look tells, or ``None``."""
    try:
        os.close(os.open(DEVICE, os.O_RDWR | os.O_CLOEXEC))
    except OSError as error:
        return (
            f"{DEVICE} cannot be opened ({error.strerror}); it takes the kernel's FUSE_FS"
            f" (modprobe fuse) and, for who is not root, chmod 666 {DEVICE}"
        )
    return None
