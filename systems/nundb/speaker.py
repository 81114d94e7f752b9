"""Nun-db as its clients hear it, for the conformance kit: lines, each answered by lines."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Final

from harness.contract.speaker import Kind, Misanswer
from systems.nundb.asks import REFUSED

_OWN: Final = "127.0.0.1"
_HANDSHAKES: Final = ("auth", "use-db", "cluster-state")
_CHANGES: Final = ("set", "set-safe", "increment", "remove")
_COMPARED: Final = 1


class NunDbSpeaker:
    """An honest node that is its own primary, and of which every key holds one value."""

    greeting = b""
    requests: ClassVar[Mapping[str, int | Sequence[str]]] = {
        "read": ("get",),
        "write": ("change",),
        "compare_and_set": ("get-safe", "change"),
        "add_to_set": ("change",),
        "read_set": ("keys",),
        "add_to_counter": ("change",),
        "read_counter": ("get",),
    }
    misanswers: ClassVar[Mapping[str, Misanswer]] = {
        **{
            text: Misanswer(answer=f"error {text} \n".encode(), definite=True, to=("change",))
            for text in REFUSED
        },
        "an unknown error": Misanswer(answer=b"error who knows \n"),
        "an error to a read": Misanswer(answer=b"error who knows \n", to=("get", "keys")),
    }

    def take(self, received: bytes) -> tuple[bytes, bytes] | None:
        """One line."""
        line, separator, rest = received.partition(b"\n")
        return (line + separator, rest) if separator else None

    def kind(self, request: bytes) -> Kind:
        """Effective is what changes a key."""
        verb = request.decode().split()[0]
        if verb in _HANDSHAKES:
            return Kind.HANDSHAKE
        return Kind.EFFECTIVE if verb in _CHANGES else Kind.HARMLESS

    def answer(self, request: bytes, value: Any) -> bytes:
        """What an honest node says."""
        verb = request.decode().split()[0]
        lines = {
            "auth": ["valid auth"],
            "cluster-state": [f"cluster-state  {_OWN}:3014:Primary,"],
            "get": [f"value {json.dumps(value)}"],
            "get-safe": [f"value-version 3 {_COMPARED}"],
            "keys": [f"keys ,set/k/{json.dumps(value)},other"],
        }.get(verb, [])
        return "".join(f"{line}\n" for line in [*lines, "ok "]).encode()
