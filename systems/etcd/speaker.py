"""etcd as its clients hear it: what an honest member answers, and the errors that one may give.

For the conformance kit (``polygraph conform etcd``).
"""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Final

from harness.contract.speaker import Kind, Misanswer
from systems.drivers.http_wire import answer, path_and_body, take_request

HEADER: Final[Mapping[str, str]] = {
    "cluster_id": "1",
    "member_id": "2",
    "revision": "7",
    "raft_term": "3",
}
JSON: Final = {"Content-Type": "application/json"}


def _error(status: int, code: int, message: str) -> bytes:
    return answer(status, json.dumps({"error": message, "code": code}).encode(), JSON)


class EtcdSpeaker:
    """The JSON gateway of an honest member whose every key holds one value."""

    greeting = b""
    requests: ClassVar[Mapping[str, int | Sequence[str]]] = {
        "read": 1,
        "write": 1,
        "compare_and_set": 1,
        "read_only_transaction": 1,
        "transaction": ("read", "commit"),
        "scan": 1,
        "scan_and_insert": ("read", "commit"),
        "scan_and_delete": ("read", "commit"),
        "add_to_set": 1,
        "read_set": 1,
        "add_to_counter": ("read", "commit"),
        "read_counter": 1,
        "enqueue": 1,
        "dequeue": ("read", "delete"),
        "append_to_log": 1,
        "poll_log": 1,
        "acquire": 1,
        "release": 1,
        "generate_id": 1,
        "write_watched": 1,
        "watch": ("read", "watch"),
    }
    misanswers: ClassVar[Mapping[str, Misanswer]] = {
        "request timed out": Misanswer(answer=_error(503, 14, "etcdserver: request timed out")),
        "no leader": Misanswer(answer=_error(503, 14, "etcdserver: no leader")),
        "leader changed": Misanswer(answer=_error(503, 14, "etcdserver: leader changed")),
        "deadline exceeded": Misanswer(answer=_error(504, 4, "context deadline exceeded")),
        "no space": Misanswer(answer=_error(429, 8, "etcdserver: mvcc: database space exceeded")),
        "too many requests": Misanswer(
            answer=_error(429, 8, "etcdserver: too many requests"), definite=True
        ),
        "an unknown error": Misanswer(answer=_error(500, 2, "what is this")),
        "an error that is no JSON": Misanswer(answer=answer(502, b"<html>bad gateway</html>")),
        "try again at once": Misanswer(answer=answer(503, b"", {"Retry-After": "0"})),
        "look elsewhere": Misanswer(answer=answer(307, b"", {"Location": "/v3/kv/put"})),
        "nothing": Misanswer(answer=answer(200, b"")),
        "an empty object": Misanswer(answer=answer(200, b"{}", JSON)),
        "something that is no JSON": Misanswer(answer=answer(200, b"<html></html>")),
    }

    def take(self, received: bytes) -> tuple[bytes, bytes] | None:
        """One request of HTTP."""
        return take_request(received)

    def kind(self, request: bytes) -> Kind:
        """Effective is what puts or deletes."""
        path, body = path_and_body(request)
        parts = json.loads(body).get("success", [])
        changes = {"request_put", "request_delete_range"}
        puts = path == "/v3/kv/put" or any(changes & set(part) for part in parts)
        return Kind.EFFECTIVE if puts else Kind.HARMLESS

    def answer(self, request: bytes, value: Any) -> bytes:
        """What an honest member says."""
        path, body = path_and_body(request)
        message = json.loads(body)
        told: dict[str, Any] = {"header": HEADER}
        if path == "/v3/watch":
            return answer(200, self._stream(message["create_request"]["key"], value), JSON)
        if path == "/v3/kv/range":
            told |= self._found(message["key"], value)
        if path == "/v3/kv/txn":
            told["succeeded"] = True
            told["responses"] = [self._part(part, value) for part in message["success"]]
        return answer(200, json.dumps(told).encode(), JSON)

    def _stream(self, key: str, value: Any) -> bytes:
        (pair,) = self._found(key, value)["kvs"]
        parts: list[dict[str, Any]] = [{"created": True}, {"events": [{"kv": pair}]}]
        return b"".join(
            json.dumps({"result": {"header": HEADER, **part}}).encode() + b"\n" for part in parts
        )

    def _part(self, part: dict[str, Any], value: Any) -> dict[str, Any]:
        if "request_put" in part:
            return {"response_put": {"header": {"revision": "7"}}}
        if "request_delete_range" in part:
            return {"response_delete_range": {"deleted": "1"}}
        request = part["request_range"]
        if b64decode(request["key"]).startswith(b'"') and request.get("range_end"):
            return {"response_range": self._range(request, value)}
        return {"response_range": self._found(request["key"], value)}

    def _found(self, key: str, value: Any) -> dict[str, Any]:
        stored = b64encode(json.dumps(value).encode()).decode()
        return {"kvs": [{"key": key, "value": stored, "mod_revision": "5"}], "count": "1"}

    def _range(self, request: dict[str, Any], value: Any) -> dict[str, Any]:
        """The one key that was asked for, or one of the range: a name that begins as it does."""
        if not request.get("range_end"):
            return self._found(request["key"], value)
        name = b64decode(request["key"]) + b'1"'
        return self._found(b64encode(name).decode(), value)
