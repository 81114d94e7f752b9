"""All keys of a run under one prefix, where others have keys of their own.

As etcd's own ``clientv3/namespace`` does: a request's keys and ends of ranges get the prefix on
their way out, an answer's keys lose it on their way in, and nothing else in the client knows. A key
in an answer that lies elsewhere keeps all of itself, so that whoever compares it sees that.
"""

from __future__ import annotations

from typing import Any, Final, TypeVar

import msgspec

from systems.etcd import gateway

_TO_THE_END: Final = b"\x00"
_Shape = TypeVar("_Shape")


def within(prefix: bytes, request: Any) -> Any:
    """The same request about the keys under ``prefix``."""
    if not prefix:
        return request
    if isinstance(request, list):
        return [within(prefix, each) for each in request]
    if not isinstance(request, dict):
        return request
    moved = {name: within(prefix, value) for name, value in request.items()}
    if isinstance(request.get("key"), bytes):
        moved["key"] = prefix if _is_of_all(request) else prefix + request["key"]
    if isinstance(request.get("range_end"), bytes):
        end = request["range_end"]
        moved["range_end"] = behind(prefix) if end == _TO_THE_END else prefix + end
    return moved


def without(prefix: bytes, answer: _Shape) -> _Shape:
    """The same answer, its keys as the asker knows them."""
    if not prefix:
        return answer
    if isinstance(answer, gateway.RangeAnswer | gateway.InnerRange):
        pairs = [_bare(prefix, pair) for pair in answer.kvs]
        return msgspec.structs.replace(answer, kvs=pairs)
    if isinstance(answer, gateway.TxnAnswer):
        parts = [_bare_part(prefix, part) for part in answer.responses]
        return msgspec.structs.replace(answer, responses=parts)
    return answer


def behind(prefix: bytes) -> bytes:
    """The end of the range of all keys that begin with ``prefix``."""
    return prefix[:-1] + bytes([prefix[-1] + 1])


def _is_of_all(request: dict[str, Any]) -> bool:
    return bool(request["key"] == request.get("range_end") == _TO_THE_END)


def _bare_part(prefix: bytes, part: gateway.TxnPart) -> gateway.TxnPart:
    if part.response_range is None:
        return part
    return msgspec.structs.replace(part, response_range=without(prefix, part.response_range))


def _bare(prefix: bytes, pair: gateway.KeyValue) -> gateway.KeyValue:
    if not pair.key.startswith(prefix):
        return pair
    return msgspec.structs.replace(pair, key=pair.key[len(prefix) :])
