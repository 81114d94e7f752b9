"""Asking the kernel over netlink, with pyroute2's messages and a socket of our own.

pyroute2 knows how every message is laid out; its sockets, though, run an event loop each, and
its nftables commands are one transaction each. A cut must be one transaction a node, so the
messages are packed by pyroute2 and sent here, as many at once as belong together (netlink(7)).

The socket of a node's network is opened by a thread that enters that namespace and ends: a
socket stays where it was made, and no process of ours needs to live there.

Cost: the import of these messages is 0.01 s, of those of nftables 0.03 s more, hence made late; a
request is about 0.1 ms.
"""

from __future__ import annotations

import ctypes
import importlib
import importlib.util
import os
import socket
import struct
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from harness.cluster.namespaces.reasons import PYROUTE2_HINT
from harness.errors import NeedsError
from harness.linux import kernel

ROUTE = 0
NETFILTER = 12

ACK = 0x4
CREATE = 0x400
EXCLUSIVE = 0x200
APPEND = 0x800
DUMP = 0x300
_REQUEST = 0x1

_ERROR = 2
_DONE = 3
_HEADER = struct.Struct("IHHII")
_TIMEOUT_S = 30.0

_LIBC = ctypes.PyDLL(None, use_errno=True)

T = TypeVar("T")


def need_pyroute2() -> None:
    """``NeedsError`` unless pyroute2's messages of links and addresses can be imported."""
    try:
        for name in ("ifinfmsg", "ifaddrmsg", "ndmsg"):
            pyroute2(f"netlink.rtnl.{name}")
    except ImportError as error:
        raise NeedsError(
            f"the local provider needs the Python package pyroute2, which cannot be used: {error}",
            PYROUTE2_HINT,
        ) from error


_IMPORTING = threading.Lock()


def pyroute2(module: str) -> Any:
    """A module of pyroute2, such as ``netlink.rtnl.ndmsg``, without the rest of the package.

    The package imports all of itself: its database, its servers, 9P, wireless links, which takes
    0.1 s of processor time of every run, and twice that on a busy machine. So the module is
    imported beneath an empty package, which is taken away again: whoever imports pyroute2 after us
    gets it whole.
    """
    name = f"pyroute2.{module}"
    with _IMPORTING:
        if name in sys.modules or "pyroute2" in sys.modules:
            return importlib.import_module(name)
        found = importlib.util.find_spec("pyroute2")
        if found is None:
            raise ModuleNotFoundError("no module named 'pyroute2' is installed", name="pyroute2")
        sys.modules["pyroute2"] = importlib.util.module_from_spec(found)
        try:
            return importlib.import_module(name)
        finally:
            del sys.modules["pyroute2"]


def in_network(namespace_fd: int, action: Callable[[], T]) -> T:
    """What ``action`` returns when called inside that network namespace, in a passing thread."""
    results: list[T] = []
    errors: list[BaseException] = []

    def work() -> None:
        try:
            kernel.setns(namespace_fd, kernel.CLONE_NEWNET)
            results.append(action())
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=work, name="in-network")
    thread.start()
    thread.join()
    if errors:
        raise errors[0]
    return results[0]


class Request:
    """One netlink message: a pyroute2 message class, its type, flags, fields and attributes."""

    def __init__(
        self,
        message: Any,
        kind: int,
        flags: int = ACK,
        fields: Mapping[str, Any] | None = None,
        attributes: Sequence[tuple[str, Any]] = (),
    ) -> None:
        self._message = message
        self._message["attrs"] = [list(attribute) for attribute in attributes]
        for name, value in (fields or {}).items():
            self._message[name] = value
        self._kind = kind
        self._flags = flags | _REQUEST

    def pack(self, sequence: int) -> bytes:
        """The message as the kernel reads it, numbered ``sequence``."""
        header = self._message["header"]
        header["type"] = self._kind
        header["flags"] = self._flags
        header["sequence_number"] = sequence
        self._message.encode()
        return bytes(self._message.data)


@dataclass(frozen=True)
class Packed:
    """Requests packed to be sent in one, numbered from ``first``; ``awaited`` answers for all."""

    data: bytes
    first: int
    last: int
    awaited: int


class Netlink:
    """A netlink socket in the calling thread's network namespace, safe from any thread.

    What is packed ahead is sent within some ten microseconds, and the interpreter is kept
    meanwhile: a thread that lets go of it for every message waits for it, beside busy clients,
    some milliseconds each time. ``lock`` is held from such a sending to its answer.
    """

    def __init__(self, family: int) -> None:
        self.lock = threading.Lock()
        self._numbers = threading.Lock()
        self._sequence = 0
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, family)
        self._socket.bind((0, 0))
        self._socket.settimeout(_TIMEOUT_S)

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    def tell(self, requests: Sequence[Request]) -> None:
        """Send all at once; ``OSError`` with the kernel's number for the first one refused.

        The last request of a kind that is acknowledged must carry the flag ``ACK``.
        """
        packed = self.pack(requests)
        with self.lock:
            self._socket.send(packed.data)
            self.answer(packed)

    def pack(self, requests: Sequence[Request]) -> Packed:
        """Requests made ready for :meth:`send` and :meth:`answer`, or for :meth:`tell`."""
        with self._numbers:
            first = self._sequence + 1
            self._sequence += len(requests)
        data = b"".join(r.pack(first + i) for i, r in enumerate(requests))
        acknowledged = [first + i for i, r in enumerate(requests) if r._flags & ACK]
        return Packed(data, first, first + len(requests) - 1, max(acknowledged, default=first))

    def send(self, packed: Packed) -> None:
        """Send them; the kernel has done it when this returns. The caller holds :attr:`lock`."""
        sent = _LIBC.send(self._socket.fileno(), packed.data, len(packed.data), 0)
        if sent != len(packed.data):
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))

    def answer(self, packed: Packed) -> None:
        """What became of it: ``OSError`` for the first one refused. The caller holds the lock."""
        for kind, sequence, payload in self._replies():
            if kind == _ERROR and packed.first <= sequence <= packed.last:
                _raise_if_refused(payload)
                if sequence == packed.awaited:
                    return

    def dump(self, request: Request) -> list[bytes]:
        """Every message of the answer to a ``DUMP``, headers included."""
        packed = self.pack([request])
        first = packed.first
        with self.lock:
            self._socket.send(packed.data)
            answer: list[bytes] = []
            for kind, sequence, payload in self._replies():
                if sequence != first:
                    continue
                if kind == _ERROR:
                    _raise_if_refused(payload)
                if kind in (_ERROR, _DONE):
                    break
                answer.append(_HEADER.pack(16 + len(payload), kind, 0, sequence, 0) + payload)
            return answer

    def _replies(self) -> Iterator[tuple[int, int, bytes]]:
        while True:
            data = self._socket.recv(1 << 18)
            while data:
                length, kind, _, sequence, _ = _HEADER.unpack_from(data)
                yield kind, sequence, data[16:length]
                data = data[(length + 3) & ~3 :]


def _raise_if_refused(payload: bytes) -> None:
    number = -struct.unpack_from("i", payload)[0]
    if number:
        raise OSError(number, os.strerror(number))
