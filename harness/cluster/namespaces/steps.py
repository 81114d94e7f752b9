"""How a run, and within it each node, gets namespaces of its own, step by named step.

::

    launcher                               outside
      └─ reaper, pid 1 of the run          own user (userns mode), net, mount, uts, ipc, pid
           ├─ run process                  lives in the run's network: the "switch" with the bridge
           └─ node agent, pid 1 of a node  own net, mount, uts, ipc, pid; /proc, /tmp, hosts, name

A step that fails raises :class:`StepFailed` with the step's name, so that the one message that
the user sees says what the machine refused. ``fail_at`` makes a named step fail on request: the
tests hold that nothing is left behind wherever it stops.

A node's own ``/tmp`` would also hide what lies in the machine's: the run folder or the program
under test may be there. :class:`HiddenFolders` keeps the hidden folder open and shows single
entries of it again, at the same path.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket

from harness.linux import kernel

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from typing import Any

RUN_STEPS = (
    "user namespace",
    "namespaces",
    "private mounts",
    "process file system",
    "loopback",
    "start of the run process",
)
NODE_STEPS = (
    "node namespaces",
    "node host name",
    "node process file system",
    "node temporary folders",
    "node data folder",
    "node hosts file",
    "node loopback",
)

_ALL_BUT_USER = (
    kernel.CLONE_NEWNET
    | kernel.CLONE_NEWNS
    | kernel.CLONE_NEWUTS
    | kernel.CLONE_NEWIPC
    | kernel.CLONE_NEWPID
)
_HIDDEN_IN_NODES = ("/tmp", "/dev/shm")

DATA_DIR = "/tmp/polygraph-data"
"""A node's data folder as seen there, where any user comes: the run's may lie in a closed home."""


class StepFailed(Exception):
    """The step called ``step`` was refused by the machine."""

    def __init__(self, step: str, error: OSError) -> None:
        super().__init__(f"{step}: {error.strerror or error}")
        self.step = step
        self.number = error.errno or 0
        self.why = str(error.strerror or error) + (f" ({error.filename})" if error.filename else "")

    def as_message(self) -> dict[str, Any]:
        """For the channel to whoever must tell the user."""
        return {"failed": self.step, "errno": self.number, "why": self.why}


@contextlib.contextmanager
def step(name: str, fail_at: str | None) -> Iterator[None]:
    """Name what happens within; an ``OSError`` there becomes :class:`StepFailed`."""
    try:
        if name == fail_at:
            raise OSError(errno.EIO, "failed on request")
        yield
    except OSError as error:
        raise StepFailed(name, error) from error


def enter_run(mode: str, fail_at: str | None) -> int:
    """Give the caller a run's namespaces and fork the child that is pid 1 there.

    Returns twice, as fork does: 0 in the child, its pid in the caller. In mode ``plain`` there
    are no namespaces, and the child is an ordinary process.
    """
    if mode == "plain":
        return os.fork()
    if mode == "userns":
        with step("user namespace", fail_at):
            _become_root_of_new_user_namespace()
    with step("namespaces", fail_at):
        kernel.unshare(_ALL_BUT_USER)
        return os.fork()


def furnish_run(fail_at: str | None) -> None:
    """As pid 1 of the run: mounts that nobody outside sees, the run's ``/proc``, ``lo`` up."""
    with step("private mounts", fail_at):
        kernel.mount("none", "/", flags=kernel.MS_REC | kernel.MS_PRIVATE)
    with step("process file system", fail_at):
        _mount_proc()
    with step("loopback", fail_at):
        kernel.bring_up("lo")


def enter_node(fail_at: str | None) -> int:
    """Give the caller a node's namespaces and fork the node's pid 1; returns as fork does."""
    with step("node namespaces", fail_at):
        kernel.unshare(_ALL_BUT_USER)
        return os.fork()


def furnish_node(spec: Mapping[str, Any]) -> HiddenFolders:
    """As pid 1 of a node: host name, ``/proc``, ``/tmp``, hosts file, ``lo`` up.

    ``spec`` holds ``name``, ``hosts`` (a file that becomes ``/etc/hosts``), ``data`` (the folder
    that becomes :data:`DATA_DIR`), ``show`` (paths that must stay visible) and ``fail_at``.
    """
    fail_at = spec.get("fail_at")
    with step("node host name", fail_at):
        socket.sethostname(spec["name"])
    with step("node process file system", fail_at):
        _mount_proc()
    with step("node hosts file", fail_at):
        kernel.mount(spec["hosts"], "/etc/hosts", flags=kernel.MS_BIND)
    with step("node temporary folders", fail_at):
        hidden = HiddenFolders(_HIDDEN_IN_NODES)
        hidden.show(spec["show"])
    with step("node data folder", fail_at):
        os.mkdir(DATA_DIR)
        kernel.mount(spec["data"], DATA_DIR, flags=kernel.MS_BIND)
    with step("node loopback", fail_at):
        _forbid_ipv6_on_new_links()
        kernel.bring_up("lo")
    return hidden


class HiddenFolders:
    """Folders of the machine that a node sees empty, but for the entries shown again."""

    def __init__(self, folders: Sequence[str]) -> None:
        self._open: dict[str, int] = {}
        for folder in folders:
            if os.path.isdir(folder):
                self._open[folder] = os.open(folder, os.O_PATH | os.O_DIRECTORY)
                flags = kernel.MS_NOSUID | kernel.MS_NODEV
                kernel.mount("tmpfs", folder, "tmpfs", flags, "mode=1777")

    def show(self, paths: Sequence[str]) -> None:
        """Show, for each path in a hidden folder, the folder's entry that the path leads through.

        Paths elsewhere, and paths that the machine does not have, are left alone.
        """
        for path in paths:
            for folder, fd in self._open.items():
                entry = os.path.normpath(path).removeprefix(folder + "/").split("/")[0]
                if path.startswith(folder + "/") and entry:
                    self._show_entry(f"/proc/self/fd/{fd}/{entry}", f"{folder}/{entry}")

    def _show_entry(self, source: str, target: str) -> None:
        if os.path.lexists(target) or not os.path.lexists(source):
            return
        if os.path.islink(source):
            os.symlink(os.readlink(source), target)
            return
        if os.path.isdir(source):
            os.mkdir(target)
        else:
            os.close(os.open(target, os.O_CREAT | os.O_WRONLY, 0o600))
        kernel.mount(source, target, flags=kernel.MS_BIND | kernel.MS_REC)


def _become_root_of_new_user_namespace() -> None:
    uid, gid = os.geteuid(), os.getegid()
    kernel.unshare(kernel.CLONE_NEWUSER)
    # Without "deny" an ordinary user may not write the group map (user_namespaces(7)).
    _write("/proc/self/setgroups", "deny")
    _write("/proc/self/uid_map", f"0 {uid} 1")
    _write("/proc/self/gid_map", f"0 {gid} 1")


def _mount_proc() -> None:
    flags = kernel.MS_NOSUID | kernel.MS_NODEV | kernel.MS_NOEXEC
    kernel.mount("proc", "/proc", "proc", flags)


def _forbid_ipv6_on_new_links() -> None:
    # Cuts name IPv4 addresses; link-local IPv6 would be a way round them.
    with contextlib.suppress(FileNotFoundError):
        _write("/proc/sys/net/ipv6/conf/default/disable_ipv6", "1")


def _write(path: str, text: str) -> None:
    fd = os.open(path, os.O_WRONLY)
    try:
        os.write(fd, text.encode())
    finally:
        os.close(fd)
