"""Another user for a daemon or command: what a child does to be it, before its program begins.

PostgreSQL and others refuse to run as root, and whoever sits inside a node usually is root there. A
*name* stands for an account of the node, with its groups; a *number* for itself, with the group of
the same number and no other, whether there is such an account or not. Two ways lead there:

* *Really root* (the number is one that this user namespace knows): ``setuid`` and its kin. The
  node's data folder is given to the user.
* *Root of a namespace of one user* (``local:userns``): no other number exists there. The child
  makes a user namespace within, in which its one user has the number that was asked for: the
  program sees that number, holds no privilege (the kernel takes them at ``exec``), keeps its
  process number, and to everybody outside it is who it was, so that its files need no change of
  owner, and signals and tracing reach it as before. See user_namespaces(7).

Whoever is not root cannot become anybody, and need not become *somebody that is not root*.
"""

from __future__ import annotations

import os

from .refused import Refused

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

UNPRIVILEGED = 65534
"""Stands for some user that is not root: ``nobody`` on nearly every Linux."""

_CLONE_NEWUSER = 0x10000000


class Account:
    """A user as the kernel knows it, and as its programs call it."""

    def __init__(self, name: str, uid: int, gid: int, groups: Sequence[int]) -> None:
        self.name = name
        self.uid = uid
        self.gid = gid
        self.groups = groups


class Way:
    """How a child becomes ``account``, by ``become``; ``None`` where it is that already."""

    def __init__(self, account: Account, become: Callable[[Account], None] | None) -> None:
        self.account = account
        self._become = become

    def take(self) -> None:
        """In the child, which has one thread: become the user. ``OSError`` where that fails."""
        if self._become is not None:
            self._become(self.account)

    @property
    def changes_owner(self) -> bool:
        """Whether files must belong to the user for it to write them."""
        return self._become is _set_user

    def give(self, folder: str) -> None:
        """Have the user own a folder (not what is in it) that it is to write into."""
        if self.changes_owner and os.stat(folder).st_uid != self.account.uid:
            os.chown(folder, self.account.uid, self.account.gid)

    def environment(self, home: str) -> dict[str, str]:
        """What its programs take from the environment: who they are, and a home that is theirs."""
        return {"HOME": home, "USER": self.account.name, "LOGNAME": self.account.name}


def way_to(user: str | int) -> Way:
    """How to become ``user``; :class:`Refused` says why nobody here can."""
    account = _account(user)
    own = os.geteuid()
    if account.uid == own:
        return Way(account, None)
    if own != 0:
        if account.uid == UNPRIVILEGED:
            return Way(account, None)
        raise Refused(
            f"it runs as the user {own}, who cannot become {user}: only root can; run it as root,"
            f" or have the system ask for {UNPRIVILEGED}, which is anybody that is not root"
        )
    if _knows("uid_map", account.uid) and _knows("gid_map", account.gid):
        return Way(account, _set_user)
    return Way(account, _in_a_namespace_within)


def open_way(folder: str) -> None:
    """Let everybody pass through a folder of ours; what is in it stays as closed as it is."""
    mode = os.stat(folder).st_mode & 0o7777
    if mode & 0o011 != 0o011:
        os.chmod(folder, mode | 0o011)


def _account(user: str | int) -> Account:
    if isinstance(user, int) or user.isdecimal():
        return Account(str(user), int(user), int(user), [])
    import grp
    import pwd

    try:
        found = pwd.getpwnam(user)
    except KeyError:
        raise Refused(
            f"there is no user {user} here; a number needs no account ({UNPRIVILEGED}, say)"
        ) from None
    groups = [group.gr_gid for group in grp.getgrall() if user in group.gr_mem]
    return Account(user, found.pw_uid, found.pw_gid, groups)


def _knows(map_name: str, number: int) -> bool:
    """Whether a user or group of this number exists in our user namespace."""
    with open(f"/proc/self/{map_name}") as lines:
        for line in lines:
            inside, _, count = map(int, line.split())
            if inside <= number < inside + count:
                return True
    return False


def _set_user(account: Account) -> None:
    os.setgroups(account.groups)
    os.setresgid(account.gid, account.gid, account.gid)
    os.setresuid(account.uid, account.uid, account.uid)


def _in_a_namespace_within(account: Account) -> None:
    import ctypes

    uid, gid = os.geteuid(), os.getegid()
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(ctypes.c_int(_CLONE_NEWUSER)) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), "a user namespace within the node's")
    _write("setgroups", "deny")
    _write("uid_map", f"{account.uid} {uid} 1")
    _write("gid_map", f"{account.gid} {gid} 1")


def _write(name: str, text: str) -> None:
    fd = os.open(f"/proc/self/{name}", os.O_WRONLY)
    try:
        os.write(fd, text.encode())
    finally:
        os.close(fd)
