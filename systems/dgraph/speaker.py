"""Dgraph as its clients hear it: what an honest Alpha answers, and the errors that one may give.

For the conformance kit (``polygraph conform dgraph``, also with ``--release 1.0.10``).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Final

from harness.contract.speaker import Kind, Misanswer
from systems.dgraph.errors import BEFORE_COMMIT, OPEN_COMMIT, REFUSED_COMMIT
from systems.dgraph.records import KEY
from systems.drivers.http_wire import answer, path_and_body, take_request

JSON: Final = {"Content-Type": "application/json"}
_START: Final = 7
_COMPARED: Final = 1
"""What a register holds that is to be compared: as the kit's trial expects it."""
_EQ: Final = re.compile(
    r'(q\d+)\(func: eq\(\w+, \[("(?:[^"\\]|\\.)*"(?:, "(?:[^"\\]|\\.)*")*)\]\)\)'
)
_GE: Final = re.compile(r'(q\d+)\(func: ge\(\w+, ("(?:[^"\\]|\\.)*")\)\)')


def _error(message: str, status: int = 200) -> bytes:
    told = {"errors": [{"message": message, "extensions": {"code": "ErrorInvalidRequest"}}]}
    return answer(status, json.dumps(told).encode(), JSON)


def _refusals() -> dict[str, Misanswer]:
    found = {
        f"{text}, at the commit": Misanswer(answer=_error(text), definite=True, to=("commit",))
        for text in (*REFUSED_COMMIT, f"rpc error: code = Unknown desc = {REFUSED_COMMIT[1]}")
    }
    found |= {
        f"{text}, at the commit": Misanswer(answer=_error(text), to=("commit",))
        for text in OPEN_COMMIT
    }
    return found | {text: Misanswer(answer=_error(text)) for text in BEFORE_COMMIT}


class DgraphSpeaker:
    """An honest Alpha on which every record holds one value, which it says of any key."""

    greeting = b""
    requests: ClassVar[Mapping[str, int | Sequence[str]]] = {
        "read": ("query",),
        "write": ("query", "mutate", "commit"),
        "compare_and_set": ("query", "mutate", "commit"),
        "read_only_transaction": ("query",),
        "transaction": ("query", "query", "mutate", "commit"),
        "scan": ("query",),
        "scan_and_insert": ("query", "query", "mutate", "commit"),
        "scan_and_delete": ("query", "query", "mutate", "commit"),
        "add_to_set": ("query", "mutate", "commit"),
        "read_set": ("query",),
        "add_to_counter": ("query", "mutate", "commit"),
        "read_counter": ("query",),
        "generate_id": ("mutate",),
    }
    misanswers: ClassVar[Mapping[str, Misanswer]] = {
        **_refusals(),
        "two errors": Misanswer(
            answer=answer(
                200,
                json.dumps(
                    {"errors": [{"message": REFUSED_COMMIT[0]}, {"message": "and another"}]}
                ).encode(),
            ),
            to=("commit",),
        ),
        "an unknown error": Misanswer(answer=_error("what is this", 500)),
        "an error that is no JSON": Misanswer(answer=answer(502, b"<html>bad gateway</html>")),
        "look elsewhere": Misanswer(answer=answer(307, b"", {"Location": "/commit?startTs=7"})),
        "nothing": Misanswer(answer=answer(200, b"")),
        "an empty object": Misanswer(answer=answer(200, b"{}", JSON)),
        "of another transaction": Misanswer(
            answer=answer(200, b'{"data":{},"extensions":{"txn":{"start_ts":999}}}', JSON),
            to=("commit",),
        ),
    }

    def __init__(self, *, posts_text: bool = False) -> None:
        self._posts_text = posts_text

    def take(self, received: bytes) -> tuple[bytes, bytes] | None:
        """One request of HTTP."""
        return take_request(received)

    def kind(self, request: bytes) -> Kind:
        """Effective is a commit alone."""
        path, _ = path_and_body(request)
        is_commit = path.startswith("/commit") and "abort=true" not in path
        return Kind.EFFECTIVE if is_commit else Kind.HARMLESS

    def answer(self, request: bytes, value: Any) -> bytes:
        """What an honest Alpha says."""
        path, body = path_and_body(request)
        txn: dict[str, Any] = {"start_ts": _START}
        data: Any = {"code": "Success", "message": "Done"}
        if path.startswith("/query"):
            text = body.decode() if self._posts_text else json.loads(body)["query"]
            is_compared = "register/" in text and "ro=true" not in path
            data = dict(_blocks(text, _COMPARED if is_compared else value))
        elif path.startswith("/mutate"):
            txn |= {"keys": ["2zz"], "preds": [f"1-{KEY}_0"]}
            data["uids"] = {"new": "0x9"} if b"_:new" in body else {}
        elif path.startswith("/commit"):
            txn["commit_ts"] = _START + 1
        told = {"data": data, "extensions": {"txn": txn}}
        return answer(200, json.dumps(told).encode(), JSON)


def _blocks(text: str, value: Any) -> list[tuple[str, list[dict[str, Any]]]]:
    """Each block with a row of every key that it asks for, or of one key of its range."""
    stored, found = json.dumps(value), list[tuple[str, list[dict[str, Any]]]]()
    for block, names in _EQ.findall(text):
        rows = [{"uid": "0x5", "key": name, "value": stored} for name in json.loads(f"[{names}]")]
        found.append((block, rows))
    for at, (block, start) in enumerate(_GE.findall(text)):
        name = json.loads(start) + '1"'
        found.append((block, [{"uid": "0x5", "key": name, "value": stored}] if at == 0 else []))
    return found
