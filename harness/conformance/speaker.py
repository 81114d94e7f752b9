"""What the conformance kit must be told about a protocol: its requests, and honest answers.

The kit knows nothing of HTTP or SQL. A *speaker* cuts the bytes that arrive into requests, says
which of them could change the database, and answers them as an honest server would. What a
hostile server does with these answers is the kit's business.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol


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
    must become ``fail``. Otherwise an effective request must become ``info``.
    """

    answer: bytes
    definite: bool = False


class Speaker(Protocol):
    """One protocol, seen from the server.

    ``greeting`` is sent on accept (often empty). ``requests`` maps the name of each trial of
    :mod:`harness.conformance.trial` that the client can do, and no other, to the number of
    requests (without handshakes) that it takes. ``misanswers`` are tried on every request of
    every trial.
    """

    greeting: bytes
    requests: Mapping[str, int]
    misanswers: Mapping[str, Misanswer]

    def take(self, received: bytes) -> tuple[bytes, bytes] | None:
        """The first whole request of ``received`` and the rest, or ``None`` if more must come."""
        ...

    def kind(self, request: bytes) -> Kind:
        """What ``request`` is."""
        ...

    def answer(self, request: bytes, value: Any) -> bytes:
        """An honest success. Whatever is read holds ``value`` (an integer); compares hold."""
        ...
