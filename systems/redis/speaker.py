"""Redis as its clients hear it: what an honest server answers, and the errors that one may give.

For the conformance kit (``polygraph conform redis``). What our client sends in one piece is one
request: a command, a ``WATCH`` with the reads behind it (as many as it watches keys), and all from
``MULTI`` to ``EXEC``, which has an effect if there is anything in between.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Final

from harness.contract.speaker import Kind, Misanswer
from systems.drivers.http import Lost
from systems.drivers.resp import parsing
from systems.redis.errors import OPEN, REFUSED, REFUSED_IN_WORDS
from systems.redis.reading import READS

_READS: Final = frozenset({b"GET", b"SMEMBERS", b"LRANGE", b"ZRANGEBYLEX", b"WATCH"})
_SINGLE: Final = (
    *("get", "set", "eval", "sadd", "smembers", "incrby"),
    *("lpush", "rpop", "rpush", "lrange", "incr", "reads"),
)
_ANSWERS: Final = {"rows": 2, "watch 2": 3, "exec 2": 4, "exec 3": 5}
"""How many answers a request of several commands has."""
_OK: Final = b"+OK\r\n"
_QUEUED: Final = b"+QUEUED\r\n"
_ABORTED: Final = b"-EXECABORT Transaction discarded because of previous errors.\r\n"


def _line(error: str, why: str) -> bytes:
    return b"-%b %b\r\n" % (error.encode(), why.encode())


def _refusals() -> dict[str, Misanswer]:
    """Every error that is told apart, as an answer to a single command."""
    found = {
        code: Misanswer(answer=_line(code, why), definite=True, to=_SINGLE)
        for code, why in REFUSED.items()
    }
    found |= {
        f"ERR {words}": Misanswer(answer=_line(f"ERR {words}", why), definite=True, to=_SINGLE)
        for words, why in REFUSED_IN_WORDS.items()
    }
    found |= {
        f"{code}, of nobody knows what": Misanswer(answer=_line(code, why), to=_SINGLE)
        for code, why in OPEN.items()
    }
    return found


def _of_several() -> dict[str, Misanswer]:
    """Answers to what is sent in one piece."""
    found = {
        f"LOADING to all {count} of {name}": Misanswer(
            answer=_line("LOADING", "the data") * count, definite=True, to=(name,)
        )
        for name, count in _ANSWERS.items()
    }
    for name in ("exec 2", "exec 3"):
        inner = _ANSWERS[name] - 2
        refused = _OK + _line("READONLY", "a replica") * inner + _ABORTED
        found |= {
            f"READONLY to what is queued ({name})": Misanswer(
                answer=refused, definite=True, to=(name,)
            ),
            f"a conflict ({name})": Misanswer(
                answer=_OK + _QUEUED * inner + b"*-1\r\n", definite=True, to=(name,)
            ),
            f"an error in the midst of what was executed ({name})": Misanswer(
                answer=_OK
                + _QUEUED * inner
                + b"*%d\r\n" % inner
                + b":1\r\n" * (inner - 1)
                + _line("WRONGTYPE", "no list"),
                to=(name,),
            ),
            f"MULTI was not understood ({name})": Misanswer(
                answer=_line("ERR", "odd") + b":1\r\n" * inner + _line("ERR", "EXEC without MULTI"),
                to=(name,),
            ),
            f"less than was queued ({name})": Misanswer(
                answer=_OK + _QUEUED * inner + b"*1\r\n:1\r\n", to=(name,)
            ),
        }
    return found


class RedisSpeaker:
    """An honest server in which every key holds one value."""

    greeting = b""
    requests: ClassVar[Mapping[str, int | Sequence[str]]] = {
        "read": ("get",),
        "write": ("set",),
        "compare_and_set": ("eval",),
        "read_only_transaction": ("reads",),
        "transaction": ("watch 2", "exec 3"),
        "append": ("exec 2",),
        "scan": ("reads",),
        "scan_and_insert": ("rows", "watch 2", "exec 3"),
        "scan_and_delete": ("rows", "watch 2", "exec 2"),
        "add_to_set": ("sadd",),
        "read_set": ("smembers",),
        "add_to_counter": ("incrby",),
        "read_counter": ("get",),
        "enqueue": ("lpush",),
        "dequeue": ("rpop",),
        "append_to_log": ("rpush",),
        "poll_log": ("lrange",),
        "acquire": ("eval",),
        "release": ("eval",),
        "generate_id": ("incr",),
    }
    misanswers: ClassVar[Mapping[str, Misanswer]] = {
        **_refusals(),
        **_of_several(),
        "an error that nobody knows": Misanswer(answer=b"-WHATEVER happened\r\n", to=_SINGLE),
        "a word that is no success": Misanswer(answer=b"+WHAT\r\n", to=_SINGLE),
        "QUEUED": Misanswer(answer=_QUEUED, to=_SINGLE),
        "a text that is no JSON": Misanswer(answer=b"$3\r\n{]}\r\n", to=_SINGLE),
        "a list of numbers": Misanswer(answer=b"*2\r\n:1\r\n:2\r\n", to=_SINGLE),
        "no RESP at all": Misanswer(answer=b"HTTP/1.1 400 Bad Request\r\n\r\n"),
    }

    def take(self, received: bytes) -> tuple[bytes, bytes] | None:
        """What belongs together."""
        commands, rest = _commands(received)
        if not commands:
            return None
        count = _together(commands)
        if count is None or len(commands) < count:
            return None
        rest = received[sum(len(raw) for raw, _ in commands[:count]) :]
        return received[: len(received) - len(rest)], rest

    def kind(self, request: bytes) -> Kind:
        """Effective is what writes, and an ``EXEC`` of anything."""
        commands, _ = _commands(request)
        first = commands[0][1][0].upper()
        if (
            first in _READS
            or is_reading(commands[0][1])
            or (first == b"MULTI" and len(commands) == 2)
        ):
            return Kind.HARMLESS
        return Kind.EFFECTIVE

    def answer(self, request: bytes, value: Any) -> bytes:
        """What an honest server says."""
        words = [words for _, words in _commands(request)[0]]
        if words[0][0].upper() != b"MULTI":
            return b"".join(_one(each, value) for each in words)
        inner = words[1:-1]
        done = b"".join(_one(each, value) for each in inner)
        return _OK + _QUEUED * len(inner) + b"*%d\r\n" % len(inner) + done


def _together(commands: Sequence[tuple[bytes, Sequence[bytes]]]) -> int | None:
    """How many commands the first request has; ``None`` where its end has not come."""
    verbs = [words[0].upper() for _, words in commands]
    if verbs[0] == b"MULTI":
        return verbs.index(b"EXEC") + 1 if b"EXEC" in verbs else None
    return len(commands[0][1]) if verbs[0] == b"WATCH" else 1


def _commands(received: bytes) -> tuple[list[tuple[bytes, list[bytes]]], bytes]:
    """Every whole command with its words, and what is left."""
    found, rest = [], received
    while rest:
        buffer = bytearray(rest)
        try:
            next(parsing(buffer))
            break
        except StopIteration as done:
            words = [word for word in done.value or [] if isinstance(word, bytes)]
        except Lost:
            break
        found.append((rest[: len(rest) - len(buffer)], words))
        rest = bytes(buffer)
    return found, rest


def is_reading(words: Sequence[bytes]) -> bool:
    """Whether a command is the script that reads."""
    return words[0].upper() == b"EVAL" and words[1] == READS.encode()


def _read(words: Sequence[bytes], value: Any) -> bytes:
    """What that script gives: of each range one name that begins so, and ``value`` of each."""
    (scans, *rest) = words[6:]
    bounds, names = rest[: 2 * int(scans) : 2], rest[2 * int(scans) :]
    found = [bound[1:] + b'1"' for bound in bounds]
    ranges = b"".join(b"*1\r\n" + _bulk(name) for name in found)
    every = list(dict.fromkeys([*found, *names]))
    rows = b"".join(
        b"*3\r\n" + _bulk(name) + _bulk(json.dumps(value).encode()) + b"*0\r\n" for name in every
    )
    return b"*2\r\n*%d\r\n%b*%d\r\n%b" % (len(found), ranges, len(every), rows)


def _one(words: Sequence[bytes], value: Any) -> bytes:
    verb = words[0].upper()
    if is_reading(words):
        return _read(words, value)
    if verb in (b"GET", b"RPOP"):
        return _bulk(json.dumps(value).encode())
    if verb == b"LRANGE" and b"tail/" in words[1]:
        return b"*0\r\n"
    if verb in (b"SMEMBERS", b"LRANGE"):
        return b"*1\r\n" + _bulk(json.dumps(value).encode())
    if verb == b"ZRANGEBYLEX":  # a name that begins as the one that is asked for
        return b"*1\r\n" + _bulk(words[2][1:] + b'1"')
    return _OK if verb in (b"SET", b"WATCH") else b":1\r\n"


def _bulk(text: bytes) -> bytes:
    return b"$%d\r\n%b\r\n" % (len(text), text)
