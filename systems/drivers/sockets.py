"""A connected socket for one exchange at a time, for protocols that we speak ourselves."""

from __future__ import annotations

import asyncio
import socket

from systems.drivers.http import resolve


async def connected(host: str, port: int) -> socket.socket:
    """A socket to ``host``, not blocking; ``OSError`` if that fails (nothing was sent then)."""
    family, address = await resolve(host, port)
    connecting = socket.socket(family, socket.SOCK_STREAM)
    try:
        connecting.setblocking(False)
        connecting.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        await asyncio.get_running_loop().sock_connect(connecting, address)
    except BaseException:
        connecting.close()
        raise
    return connecting


def is_open_and_silent(sock: socket.socket) -> bool:
    """Whether the peer has neither closed it nor sent anything that nobody has read."""
    try:
        sock.recv(1, socket.MSG_PEEK)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False
