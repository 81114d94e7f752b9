"""What the conformance kit must be told about a protocol: its requests, and honest answers.

The kit knows nothing of HTTP or SQL. A *speaker* cuts the bytes that arrive into requests, says
which of them could change the database, and answers them as an honest server would. What a
hostile server does with these answers is the kit's business (:mod:`harness.conformance`).
"""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable


class Kind(enum.Enum):
    """What a request is. Only the last two belong to an operation and are counted.

    ``EFFECTIVE`` is a request after which the operation may take effect: an autocommitted
    write, a commit. A write inside an open transaction is ``HARMLESS``.
    """

    HANDSHAKE = "handshake"
    HARMLESS = "harmless"
    EFFECTIVE = "effective"


@dataclass(frozen=True, kw_only=True)
class Misanswer:
    """A whole, well-framed answer that is no success: an error, or nonsense.

    ``definite`` says that it is the server's own word that nothing happened: then the operation
    must become ``fail``. Otherwise an effective request must become ``info``. ``to`` are the names
    of the requests that it can be an answer to (``("commit",)``); of every request if it is empty.
    """

    answer: bytes
    definite: bool = False
    to: Sequence[str] = ()


@runtime_checkable
class Conversation(Protocol):
    """One connection, seen from the server. It may remember what it was asked before."""

    def take(self, received: bytes) -> tuple[bytes, bytes] | None:
        """The first whole request of ``received`` and the rest, or ``None`` if more must come."""
        ...

    def kind(self, request: bytes) -> Kind:
        """What ``request`` is, after those that this connection has had. Asked once a request."""
        ...

    def answer(self, request: bytes, value: Any) -> bytes:
        """An honest success. Whatever is read holds ``value`` (an integer); compares hold."""
        ...


class Speaker(Conversation, Protocol):
    """One protocol, seen from the server.

    ``greeting`` is sent on accept (often empty). ``requests`` maps the name of each trial of
    :mod:`harness.conformance.trial` that the client can do, and no other, to the requests
    (without handshakes) that it takes: their number, or their names in order, which say what a
    misanswer is to (``("begin", "select", "insert", "commit")``). ``misanswers`` are tried on every
    request of every trial that they fit.

    A speaker to which a request means the same on every connection is its own conversation. One of
    a protocol with state (an ``INSERT`` inside and outside of a transaction) also has
    ``connection()``: see :class:`SpeaksByConnection`.
    """

    greeting: bytes
    requests: Mapping[str, int | Sequence[str]]
    misanswers: Mapping[str, Misanswer]


@runtime_checkable
class SpeaksByConnection(Protocol):
    """A speaker that tells requests apart by what their connection has been asked before."""

    def connection(self) -> Conversation:
        """A new connection."""
        ...


@runtime_checkable
class Spoken(Protocol):
    """A system that knows its own protocol from the server's side."""

    def speaker(self) -> Speaker:
        """What ``polygraph conform`` is to try its clients with."""
        ...
