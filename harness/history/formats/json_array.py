"""Histories as one JSON array of operations, the form that elle-cli reads.

An array has no place for a header, so the header travels as one more operation at the end: an
``info`` of the nemesis called ``polygraph-header`` whose value is the header. Other tools skip
it as they skip every record of a nemesis; our reader takes it out again. elle-cli turns f, type
and micro-operation names into keywords by itself.

Cost: as JSON lines, where every operation has all that ours have; else 5 us an operation.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO, Final

import msgspec

from harness.errors import HistoryError
from harness.history.adopt import HEADER_F, Adopted, adopt
from harness.history.formats.jsonl import (
    REFUSED,
    append_operation,
    decode_json,
    header_map,
    header_of,
    is_begun,
)
from harness.history.formats.tags import TAG_BYTES, in_json, revived_operations, revived_record
from harness.history.intakes import Place
from harness.history.operation import INFO, NEMESIS, Header, Operation
from harness.history.values import is_rich, number

_OPERATIONS: Final = msgspec.json.Decoder(list[Operation], float_hook=number)
_BLANK: Final = re.compile(r"[ \t\r\n]*")


def write(header: Header, operations: Sequence[Operation], out: BinaryIO) -> None:
    """Write a whole history as one JSON array, one operation a line, the header's record last."""
    if is_rich(header.initial):
        raise HistoryError("JSON cannot say the initial state", "export as jsonl or edn")
    last = Operation(-1, 0, NEMESIS, INFO, HEADER_F, None)
    buffer = bytearray()
    separator = b"["
    for last in in_json(operations, is_ours=False):
        buffer += separator
        append_operation(last, buffer)
        separator = b","
        if len(buffer) > 1 << 20:
            out.write(buffer)
            buffer.clear()
    carrier = Operation(last.index + 1, last.time, NEMESIS, INFO, HEADER_F, header_map(header))
    buffer += separator
    append_operation(carrier, buffer)
    out.write(buffer + b"]\n")


def read(data: bytes, name: str) -> Adopted:
    """The header and operations of ``data``; ``HistoryError`` names line and column."""
    operations = _decoded(data)
    header = Header()
    if operations and operations[-1].f == HEADER_F and isinstance(operations[-1].value, dict):
        header = header_of(operations.pop().value, name)
    if operations is None or not is_begun(operations):
        return adopt(_maps(data, name), name)
    return Adopted(header=header, operations=operations)


def _decoded(data: bytes) -> list[Operation] | None:
    """All at once, or ``None`` if something is not exactly an operation of ours."""
    if b'"extra"' in data:
        return None
    try:
        operations = _OPERATIONS.decode(data)
    except REFUSED:
        return None
    return revived_operations(operations) if TAG_BYTES in data else operations


def _maps(data: bytes, name: str) -> Iterator[tuple[Place, dict[str, Any]]]:
    """Every item of the array as a map with its place."""
    items = decode_json(data, name, 1)
    if not isinstance(items, list):
        raise HistoryError(f"{name}: {Place(1, 1)}: expected a JSON array of operations")
    text = data.decode()
    scan = json.JSONDecoder(parse_float=str).raw_decode
    is_tagged = TAG_BYTES in data
    offset, line, seen = text.index("[") + 1, 1, 0
    for item in items:
        start = _after_blank(text, offset)
        line += text.count("\n", seen, start)
        seen = start
        place = Place(line, start - text.rfind("\n", 0, start))
        if not isinstance(item, dict):
            what = " (sessions of transactions, as dbcop has them?)" if type(item) is list else ""
            told = f"{json.dumps(item):.40}{what}"
            raise HistoryError(f"{name}: {place}: expected an operation (an object), found {told}")
        yield place, revived_record(item) if is_tagged else item
        _, end = scan(text, start)
        offset = _after_blank(text, end) + 1


def _after_blank(text: str, at: int) -> int:
    """The place of what is no white space, from ``at`` on."""
    blank = _BLANK.match(text, at)
    assert blank is not None  # it matches no white space, too
    return blank.end()
