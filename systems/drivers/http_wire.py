"""HTTP/1.1 as the scripted server needs it: cut requests apart, write answers.

Only for speakers of the conformance kit: a request has a ``Content-Length`` or no body.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

_LENGTH: Final = re.compile(rb"\r\ncontent-length:[ \t]*(\d+)", re.IGNORECASE)


def take_request(received: bytes) -> tuple[bytes, bytes] | None:
    """The first whole request and the rest, or ``None``."""
    head, separator, rest = received.partition(b"\r\n\r\n")
    if not separator:
        return None
    length = _LENGTH.search(head)
    size = int(length[1]) if length else 0
    if len(rest) < size:
        return None
    return head + separator + rest[:size], rest[size:]


def path_and_body(request: bytes) -> tuple[str, bytes]:
    """The target and the body of a whole request."""
    head, _, body = request.partition(b"\r\n\r\n")
    return head.split(b" ", 2)[1].decode(), body


def answer(status: int, body: bytes, headers: Mapping[str, str] | None = None) -> bytes:
    """A whole answer that keeps the connection open."""
    lines = [f"HTTP/1.1 {status} Scripted", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body
