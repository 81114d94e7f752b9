"""The same two spans as each protocol has them, encoded by hand."""

from __future__ import annotations

import json
import struct
from typing import Any

TRACE, SPAN, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331", "00f067aa0ba902b7"
START_NS, END_NS = 1_700_000_000_000_001_000, 1_700_000_000_005_001_000


def varint(value: int) -> bytes:
    found = bytearray()
    while value > 127:
        found.append(value & 127 | 128)
        value >>= 7
    found.append(value)
    return bytes(found)


def field(number: int, value: int | bytes | str) -> bytes:
    """A field of a protobuf: a varint, or what has a length."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value & ((1 << 64) - 1))
    data = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(data)) + data


def fixed(number: int, value: int) -> bytes:
    return varint(number << 3 | 1) + struct.pack("<Q", value)


def pair(key: str, value: bytes) -> bytes:
    return field(1, key) + field(2, value)


def as_protobuf() -> bytes:
    event = fixed(1, END_NS) + field(2, "committed") + field(3, pair("commitTs", field(3, 17)))
    span = (
        field(1, bytes.fromhex(TRACE))
        + field(2, bytes.fromhex(SPAN))
        + field(4, bytes.fromhex(PARENT))
        + field(5, "KV/Put")
        + field(6, 2)
        + fixed(7, START_NS)
        + fixed(8, END_NS)
        + field(9, pair("startTs", field(3, -5)))
        + field(9, pair("ok", field(2, 1)))
        + field(9, pair("share", fixed(4, struct.unpack("<Q", struct.pack("<d", 0.5))[0])))
        + field(9, pair("names", field(5, field(1, field(1, "a")) + field(1, field(1, "b")))))
        + field(11, event)
    )
    resource = field(1, field(1, pair("service.name", field(1, "etcd"))))
    return field(1, resource + field(2, field(2, span)))


def as_json() -> bytes:
    def value(**of: Any) -> dict[str, Any]:
        return dict(of)

    span = {
        "traceId": TRACE.upper(),
        "spanId": SPAN,
        "parentSpanId": PARENT,
        "name": "KV/Put",
        "startTimeUnixNano": str(START_NS),
        "endTimeUnixNano": str(END_NS),
        "attributes": [
            {"key": "startTs", "value": value(intValue="-5")},
            {"key": "ok", "value": value(boolValue=True)},
        ],
        "events": [{"timeUnixNano": str(END_NS), "name": "committed", "attributes": []}],
    }
    resource = {"attributes": [{"key": "service.name", "value": value(stringValue="etcd")}]}
    return json.dumps(
        {"resourceSpans": [{"resource": resource, "scopeSpans": [{"spans": [span]}]}]}
    ).encode()


def thrift_text(number: int, value: str) -> bytes:
    data = value.encode()
    return struct.pack(">bhi", 11, number, len(data)) + data


def thrift_long(number: int, value: int) -> bytes:
    return struct.pack(">bhq", 10, number, value)


def thrift_tag(key: str, value: int | str) -> bytes:
    if isinstance(value, int):
        return thrift_text(1, key) + struct.pack(">bhi", 8, 2, 3) + thrift_long(6, value) + b"\0"
    return thrift_text(1, key) + struct.pack(">bhi", 8, 2, 0) + thrift_text(3, value) + b"\0"


def thrift_list(number: int, structs: list[bytes]) -> bytes:
    return struct.pack(">bhbi", 15, number, 12, len(structs)) + b"".join(structs)


def as_thrift() -> bytes:
    high, low = int(TRACE[:16], 16), int(TRACE[16:], 16)
    signed = [number - (1 << 64) if number >> 63 else number for number in (high, low)]
    span_id = int(SPAN, 16)
    log = (
        thrift_long(1, END_NS // 1000)
        + thrift_list(2, [thrift_tag("message", "committed")])
        + b"\0"
    )
    span = (
        thrift_long(1, signed[1])
        + thrift_long(2, signed[0])
        + thrift_long(3, span_id - (1 << 64))
        + thrift_long(4, int(PARENT, 16))
        + thrift_text(5, "KV/Put")
        + struct.pack(">bhi", 8, 7, 1)
        + thrift_long(8, START_NS // 1000)
        + thrift_long(9, (END_NS - START_NS) // 1000)
        + thrift_list(10, [thrift_tag("startTs", -5)])
        + thrift_list(11, [log])
        + b"\0"
    )
    process = struct.pack(">bh", 12, 1) + thrift_text(1, "dgraph.alpha") + b"\0"
    return process + thrift_list(2, [span]) + b"\0"
