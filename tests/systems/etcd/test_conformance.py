"""etcd's client against the scripted server."""

from __future__ import annotations

import asyncio
import json
from base64 import b64encode
from typing import Any

import pytest
import uvloop

from harness.conformance.http_wire import answer, path_and_body, take_request
from harness.conformance.kit import Case, LoopFactory, cases
from harness.conformance.speaker import Kind, Misanswer
from systems.etcd import Etcd

pytestmark = pytest.mark.slow


HEADER = {"cluster_id": "1", "member_id": "2", "revision": "7", "raft_term": "3"}
LOOPS = ["asyncio", "uvloop"]
JSON = {"Content-Type": "application/json"}


def error(status: int, code: int, message: str) -> bytes:
    return answer(status, json.dumps({"error": message, "code": code}).encode(), JSON)


class EtcdSpeaker:
    """The JSON gateway of an honest member whose every key holds one value."""

    greeting = b""
    requests = {  # noqa: RUF012
        "read": 1,
        "write": 1,
        "compare_and_set": 1,
        "read_only_transaction": 1,
        "transaction": 2,
        "add_to_set": 1,
        "read_set": 1,
        "add_to_counter": 2,
        "read_counter": 1,
        "enqueue": 1,
        "dequeue": 2,
        "append_to_log": 1,
        "poll_log": 1,
        "acquire": 1,
        "release": 1,
        "generate_id": 1,
        "write_watched": 1,
        "watch": 2,
    }
    misanswers = {  # noqa: RUF012
        "request timed out": Misanswer(answer=error(503, 14, "etcdserver: request timed out")),
        "no leader": Misanswer(answer=error(503, 14, "etcdserver: no leader")),
        "leader changed": Misanswer(answer=error(503, 14, "etcdserver: leader changed")),
        "deadline exceeded": Misanswer(answer=error(504, 4, "context deadline exceeded")),
        "no space": Misanswer(answer=error(429, 8, "etcdserver: mvcc: database space exceeded")),
        "too many requests": Misanswer(
            answer=error(429, 8, "etcdserver: too many requests"), definite=True
        ),
        "an unknown error": Misanswer(answer=error(500, 2, "what is this")),
        "an error that is no JSON": Misanswer(answer=answer(502, b"<html>bad gateway</html>")),
        "try again at once": Misanswer(answer=answer(503, b"", {"Retry-After": "0"})),
        "look elsewhere": Misanswer(answer=answer(307, b"", {"Location": "/v3/kv/put"})),
        "nothing": Misanswer(answer=answer(200, b"")),
        "an empty object": Misanswer(answer=answer(200, b"{}", JSON)),
        "something that is no JSON": Misanswer(answer=answer(200, b"<html></html>")),
    }

    def take(self, received: bytes) -> tuple[bytes, bytes] | None:
        return take_request(received)

    def kind(self, request: bytes) -> Kind:
        path, body = path_and_body(request)
        parts = json.loads(body).get("success", [])
        changes = {"request_put", "request_delete_range"}
        puts = path == "/v3/kv/put" or any(changes & set(part) for part in parts)
        return Kind.EFFECTIVE if puts else Kind.HARMLESS

    def answer(self, request: bytes, value: Any) -> bytes:
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
        parts = [{"created": True}, {"events": [{"kv": pair}]}]
        return b"".join(
            json.dumps({"result": {"header": HEADER, **part}}).encode() + b"\n" for part in parts
        )

    def _part(self, part: dict[str, Any], value: Any) -> dict[str, Any]:
        if "request_put" in part:
            return {"response_put": {"header": {"revision": "7"}}}
        if "request_delete_range" in part:
            return {"response_delete_range": {"deleted": "1"}}
        return {"response_range": self._found(part["request_range"]["key"], value)}

    def _found(self, key: str, value: Any) -> dict[str, Any]:
        stored = b64encode(json.dumps(value).encode()).decode()
        return {"kvs": [{"key": key, "value": stored, "mod_revision": "5"}], "count": "1"}


@pytest.mark.parametrize("loop", [asyncio.new_event_loop, uvloop.new_event_loop], ids=LOOPS)
@pytest.mark.parametrize("case", cases(client=Etcd({}).client, speaker=EtcdSpeaker()), ids=str)
def test_the_client_survives_a_hostile_server(case: Case, loop: LoopFactory) -> None:
    case.run(loop)
