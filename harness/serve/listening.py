"""The sockets that are listened on: bound before anybody is told the address."""

from __future__ import annotations

import contextlib
import errno
import ipaddress
import socket
from collections.abc import Sequence
from typing import Final

from harness.errors import SetupError, UsageError
from harness.wording import shown

MOST_PORT: Final = 65535
BACKLOG: Final = 512
_TRIES: Final = 8
_NOT_OURS: Final = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)
_Address = tuple[socket.AddressFamily, str, int]
"""Family, address, and the scope of an address of IPv6."""


def listening(host: str, port: int) -> list[socket.socket]:
    """Sockets that listen on ``port`` of every address of ``host``; port 0 takes a free one.

    ``UsageError`` where there can be no such address, ``SetupError`` where it is taken or the
    port is for others.
    """
    if not 0 <= port <= MOST_PORT:
        raise UsageError(f"there is no port {port}", f"--port 0 to {MOST_PORT}, 0 for a free one")
    addresses = _addresses(host)
    for tries_left in reversed(range(_TRIES if port == 0 else 1)):
        try:
            return _bound(host, port, addresses)
        except OSError as error:
            # What is free at one address may be taken at the next: another is drawn.
            if error.errno != errno.EADDRINUSE or not tries_left:
                raise _told(host, port, error) from error
    raise AssertionError  # the last attempt has returned or raised


def _addresses(host: str) -> list[_Address]:
    try:
        if not host:
            raise ValueError("it would be every address")
        found = socket.getaddrinfo(host, 0, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError, ValueError) as error:
        said = error.strerror if isinstance(error, OSError) else "it is no name"
        hint = "--host 127.0.0.1, or an address that this machine has"
        raise UsageError(f"there is no address for the host {shown(host)}: {said}", hint) from error
    every = ((family, str(at[0]), int(at[3]) if len(at) > 3 else 0) for family, *_, at in found)
    return list(dict.fromkeys(every))


def _bound(host: str, port: int, addresses: Sequence[_Address]) -> list[socket.socket]:
    with contextlib.ExitStack() as undo:
        sockets: list[socket.socket] = []
        last: OSError | None = None
        for family, address, scope in addresses:
            try:
                made = undo.enter_context(socket.socket(family, socket.SOCK_STREAM))
                made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                if family == socket.AF_INET6:
                    made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                at = (address, port) if family == socket.AF_INET else (address, port, 0, scope)
                made.bind(at)
                made.listen(BACKLOG)
            except OSError as error:
                if error.errno not in _NOT_OURS:
                    raise
                last = error
                continue
            port = made.getsockname()[1]
            sockets.append(made)
        if not sockets:
            raise last or OSError(errno.EADDRNOTAVAIL, "no address", host)
        undo.pop_all()
        return sockets


def _told(host: str, port: int, error: OSError) -> UsageError | SetupError:
    if error.errno == errno.EADDRINUSE:
        hint = "--port 0 for a free one, or another with --port"
        return SetupError(f"port {port} of {host} is taken", hint)
    if error.errno in (errno.EACCES, errno.EPERM):
        hint = "a --port from 1024 up"
        return SetupError(f"port {port} of {host} is not for this user", hint)
    if error.errno in _NOT_OURS:
        return UsageError(f"this machine does not have the address {host}", "--host 127.0.0.1")
    return SetupError(f"cannot listen on port {port} of {host}: {error.strerror}")


def port_of(sockets: Sequence[socket.socket]) -> int:
    """The port that all of them have."""
    port: int = sockets[0].getsockname()[1]
    return port


def is_loopback(sockets: Sequence[socket.socket]) -> bool:
    """Whether what listens can be reached from this machine alone."""
    return all(is_loopback_address(each.getsockname()[0]) for each in sockets)


def is_loopback_address(address: str) -> bool:
    """Whether an address is reached from this machine alone."""
    return ipaddress.ip_address(address.partition("%")[0]).is_loopback


def names_of(host: str, port: int) -> frozenset[str]:
    """What a browser on this machine calls a server that listens on loopback."""
    names = {"localhost", "127.0.0.1", "[::1]", shown_host(host).lower()}
    with_port = {f"{name}:{port}" for name in names}
    return frozenset(with_port | names if port == 80 else with_port)


def shown_host(host: str) -> str:
    """``host`` as it stands in an address."""
    return f"[{host}]" if ":" in host else host
