"""Protocol buffers and Thrift's binary protocol, taken apart without their schemas.

Of either a message is a mapping from field number to the values in it; who knows the schema reads
them. So no generated code is needed (whose versions of protobuf exclude each other), and what comes
from a system under test is data within bounds: :class:`Malformed` tells what cannot be read.

Sources: protobuf.dev, "Encoding"; Apache Thrift, ``doc/specs/thrift-binary-protocol.md``.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Any, Final

DEEPEST: Final = 16
_DOUBLE: Final = struct.Struct(">d")
_FIXED64: Final = struct.Struct("<Q")

Fields = Mapping[int, list[Any]]


class Malformed(ValueError):
    """It is not what it should be."""


def protobuf(data: bytes) -> Fields:
    """The fields of a message: whole numbers (unsigned), or ``bytes`` of what has a length."""
    found: dict[int, list[Any]] = {}
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        number, kind = key >> 3, key & 7
        value: Any
        if kind == 0:
            value, at = _varint(data, at)
        elif kind == 2:
            length, at = _varint(data, at)
            value, at = _piece(data, at, length), at + length
        elif kind == 1:
            value, at = int.from_bytes(_piece(data, at, 8), "little"), at + 8
        elif kind == 5:
            value, at = int.from_bytes(_piece(data, at, 4), "little"), at + 4
        else:
            raise Malformed(f"field {number} is of the unknown kind {kind}")
        found.setdefault(number, []).append(value)
    return found


def signed(value: int) -> int:
    """A varint that stands for a number that may be negative."""
    return value - (1 << 64) if value >= 1 << 63 else value


def double(value: int) -> float:
    """Eight bytes, read as a whole number, that stand for a floating-point one."""
    found: float = struct.unpack("<d", _FIXED64.pack(value))[0]
    return found


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if at >= len(data) or shift > 63:
            raise Malformed("a number without an end")
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value & ((1 << 64) - 1), at
        shift += 7


def _piece(data: bytes, at: int, length: int) -> bytes:
    if at + length > len(data):
        raise Malformed(f"{length} bytes are told, and {len(data) - at} are there")
    return data[at : at + length]


def thrift(data: bytes) -> Mapping[int, Any]:
    """The fields of a struct: numbers, ``bytes`` (text too), lists, and mappings of structs."""
    return _struct(data, 0, 0)[0]


_WIDTHS: Final = {2: 1, 3: 1, 6: 2, 8: 4, 10: 8}


def _struct(data: bytes, at: int, deep: int) -> tuple[dict[int, Any], int]:
    if deep > DEEPEST:
        raise Malformed(f"structs are nested more than {DEEPEST} deep")
    found: dict[int, Any] = {}
    while True:
        kind = _piece(data, at, 1)[0]
        at += 1
        if kind == 0:
            return found, at
        number = int.from_bytes(_piece(data, at, 2), "big", signed=True)
        found[number], at = _value(data, at + 2, kind, deep)


def _value(data: bytes, at: int, kind: int, deep: int) -> tuple[Any, int]:
    if kind in _WIDTHS:
        width = _WIDTHS[kind]
        return int.from_bytes(_piece(data, at, width), "big", signed=True), at + width
    if kind == 4:
        return _DOUBLE.unpack(_piece(data, at, 8))[0], at + 8
    if kind == 11:
        length = int.from_bytes(_piece(data, at, 4), "big")
        return _piece(data, at + 4, length), at + 4 + length
    if kind == 12:
        return _struct(data, at, deep + 1)
    if kind in (14, 15):
        of, count = _piece(data, at, 1)[0], int.from_bytes(_piece(data, at + 1, 4), "big")
        at += 5
        if count > len(data):
            raise Malformed(f"a list of {count} in {len(data)} bytes")
        values = []
        for _ in range(count):
            value, at = _value(data, at, of, deep + 1)
            values.append(value)
        return values, at
    raise Malformed(f"a value of the unknown kind {kind}")
