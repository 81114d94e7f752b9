"""What every server holds in the end, read of each by itself, without asking the others."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Any, Final

from harness.contract.node import Node
from harness.contract.system import FinalStates
from harness.wording import shown
from systems.drivers.resp import Answer, Word
from systems.redis.members import READY_KEY, NotAnswered, asked, on_all
from systems.redis.places import PORT

_ANSWER_S: Final = 5.0
_POLL_S: Final = 0.1
_AT_ONCE: Final = 500
_READS: Final[dict[bytes, tuple[str, tuple[Word, ...]]]] = {
    b"string": ("GET", ()),
    b"set": ("SMEMBERS", ()),
    b"list": ("LRANGE", (0, -1)),
    b"zset": ("ZRANGE", (0, -1)),
    b"hash": ("HGETALL", ()),
}


def final_states(servers: Sequence[Node], timeout_s: float, prefix: bytes = b"") -> FinalStates:
    """Every server's own keys and values, once all are equal or the time is over."""
    begun = time.monotonic()
    while True:
        answers = on_all(servers, lambda node: _own_state(node, prefix))
        states = {n: state for n, state in answers.items() if not isinstance(state, NotAnswered)}
        unread = {n: str(why) for n, why in answers.items() if isinstance(why, NotAnswered)}
        waited_s = time.monotonic() - begun
        held = list(states.values())
        is_settled = not unread and all(state == held[0] for state in held)
        if is_settled or waited_s >= timeout_s:
            return FinalStates(states=states, unread=unread, waited_s=waited_s)
        time.sleep(_POLL_S)


def keys_of(node: Node, prefix: bytes = b"") -> Iterator[list[bytes]]:
    """Every key under ``prefix`` of the server on ``node``, some at a time."""
    cursor: Answer = b"0"
    while True:
        command = ("SCAN", _text(cursor), "MATCH", _escaped(prefix) + b"*", "COUNT", _AT_ONCE)
        (found,) = asked(node, PORT, command, timeout_s=_ANSWER_S)
        if not (isinstance(found, list) and len(found) == 2 and isinstance(found[1], list)):
            raise NotAnswered(f"SCAN was answered with {shown(found)}")
        cursor = found[0]
        yield [key for key in found[1] if isinstance(key, bytes)]
        if cursor == b"0":
            return


def _own_state(node: Node, prefix: bytes) -> dict[str, dict[str, Any]]:
    state: dict[str, dict[str, Any]] = {}
    for keys in keys_of(node, prefix):
        if not keys:
            continue
        kinds = asked(node, PORT, *(("TYPE", key) for key in keys), timeout_s=_ANSWER_S)
        reads = [
            (key, str(kind))
            for key, kind in zip(keys, kinds, strict=True)
            if key != prefix + READY_KEY and str(kind) != "none"
        ]
        commands = [_reading(key, kind) for key, kind in reads]
        values = asked(node, PORT, *commands, timeout_s=_ANSWER_S) if commands else []
        for (key, kind), value in zip(reads, values, strict=True):
            told = {"value": _shown(kind, value), "version": 0}
            state[key[len(prefix) :].decode("utf-8", "backslashreplace")] = told
    return state


def _reading(key: bytes, kind: str) -> Sequence[Word]:
    verb, more = _READS.get(kind.encode(), ("TYPE", ()))
    return (verb, key, *more)


def _shown(kind: str, value: Answer) -> Any:
    if not isinstance(value, list):
        return _text(value)
    texts = [_text(each) for each in value]
    return sorted(texts) if kind == "set" else texts


def _text(value: Answer) -> str:
    return value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else str(value)


def _escaped(prefix: bytes) -> bytes:
    """``prefix`` in a pattern of ``MATCH``, in which it means itself."""
    return b"".join(b"\\" + bytes([c]) if c in b"*?[]\\^-" else bytes([c]) for c in prefix)
