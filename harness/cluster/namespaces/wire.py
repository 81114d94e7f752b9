"""Messages between the run process, the reaper and the node agents.

One message is one datagram of a ``SOCK_SEQPACKET`` pair: a JSON object, file descriptors beside
it where needed, and the sender's credentials. The credentials are how process numbers cross the
border of a pid namespace: a sender names a child by its own number and the kernel hands the
receiver *its* number for the same process (unix(7), ``SCM_CREDENTIALS``), with no window in which
the number could mean another process.

Light on purpose: the reaper and the agents import it in bare interpreters.
"""

from __future__ import annotations

import array
import ctypes
import json
import os
import socket
import struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

_CREDENTIALS = struct.Struct("3i")
_LARGEST_MESSAGE = 1 << 20
_MOST_FDS = 16


class Message:
    """What came: ``body`` as sent, ``fds`` that are now the receiver's, ``pid`` in its own eyes."""

    __slots__ = ("body", "fds", "pid")

    def __init__(self, body: dict[str, Any], fds: list[int], pid: int) -> None:
        self.body = body
        self.fds = fds
        self.pid = pid


def pair() -> tuple[socket.socket, socket.socket]:
    """Two ends of a channel; each end is told the other's credentials."""
    ends = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    for end in ends:
        end.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _LARGEST_MESSAGE)
    return ends


def send(
    channel: socket.socket, body: Mapping[str, Any], *, fds: Sequence[int] = (), pid: int = 0
) -> None:
    """Send one message; ``pid`` names a process as the sender sees it (default: the sender)."""
    credentials = _CREDENTIALS.pack(pid or os.getpid(), os.getuid(), os.getgid())
    extras = [(socket.SOL_SOCKET, socket.SCM_CREDENTIALS, credentials)]
    if fds:
        extras.append((socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds).tobytes()))
    channel.sendmsg([encoded(body)], extras)


def encoded(body: Mapping[str, Any]) -> bytes:
    """One message as it is sent."""
    return json.dumps(body).encode()


def send_at_once(channel: socket.socket, data: bytes) -> None:
    """Send an encoded message; the interpreter is kept, so that no other thread comes between."""
    sent = ctypes.PyDLL(None, use_errno=True).send(
        channel.fileno(), data, len(data), socket.MSG_NOSIGNAL | socket.MSG_DONTWAIT
    )
    if sent != len(data):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def receive(channel: socket.socket) -> Message | None:
    """The next message, or ``None`` when the other end is closed."""
    room = socket.CMSG_SPACE(_CREDENTIALS.size) + socket.CMSG_SPACE(4 * _MOST_FDS)
    try:
        data, extras, _, _ = channel.recvmsg(_LARGEST_MESSAGE, room, socket.MSG_CMSG_CLOEXEC)
    except ConnectionResetError:
        return None
    fds = array.array("i")
    pid = 0
    for _, kind, payload in extras:
        if kind == socket.SCM_RIGHTS:
            fds.frombytes(payload[: len(payload) - len(payload) % 4])
        elif kind == socket.SCM_CREDENTIALS:
            pid = _CREDENTIALS.unpack(payload)[0]
    return Message(json.loads(data), list(fds), pid) if data else None
