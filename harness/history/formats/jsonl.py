"""JSON lines: our own format, one object a line, the first of them optionally a header.

The keys of an operation are always in the order ``index time process type f value``, then those
of ``error node trace wall_time_ns`` that are not nil, then keys that other tools wrote
(``Operation.extra``), flattened into the same object. ``value`` is always there, as ``null`` if
nil. A first line with ``polygraph`` or ``schema`` (and no ``type``) is a header.

Encoding is done by msgspec straight from the struct. What it refuses (a lone surrogate in a
driver's error text) goes through the standard library, which escapes it. JSON has no NaN: a
non-finite float becomes ``null``, which says something else; who writes a history that is to be
judged asks :func:`is_finite` first, as the journal does.

Cost: about 0.3 us to encode a record; reading is one call of a compiled decoder for the whole
file, and only a file that it refuses is read again line by line, to name the line or to keep
unknown keys.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, BinaryIO, Final

import msgspec

from harness.errors import HistoryError
from harness.history.adopt import HEADER_MARKS, Adopted, adopt, adopt_part, header_from
from harness.history.formats.lines import endless_notice, has_end, lines_of_bytes, torn_notice
from harness.history.formats.tags import (
    TAG_BYTES,
    in_json,
    revived,
    revived_operations,
    revived_record,
    wired_header,
)
from harness.history.intakes import Place
from harness.history.operation import INVOKE, Header, Operation
from harness.history.values import number
from harness.wording import shown

FIELDS: Final = tuple(Operation.__struct_fields__[:-1])
REQUIRED: Final = FIELDS[:6]
REFUSED: Final = (msgspec.MsgspecError, ValueError, RecursionError)
"""What msgspec raises for bytes that it does not take (bad UTF-8 and depth included)."""
PLAIN: Final = frozenset((type(None), str, int, bool))
"""Types of items that are a single JSON value, and no float."""
_SEVERAL: Final = frozenset((list, tuple, set, frozenset))
_BLANK: Final = re.compile(rb"\s*")
_EXTRA: Final = re.compile(b'"extra"')
_TAGGED: Final = re.compile(TAG_BYTES)
_ENCODER: Final = msgspec.json.Encoder()
_OPERATIONS: Final = msgspec.json.Decoder(Operation, float_hook=number)
_ANYTHING: Final = msgspec.json.Decoder(float_hook=number)


def operation_map(operation: Operation) -> dict[str, Any]:
    """The JSON object of ``operation``: keys in order, nil optionals left out, extra flattened."""
    fields = {name: getattr(operation, name) for name in FIELDS}
    found = {name: item for name, item in fields.items() if item is not None or name in REQUIRED}
    for key, item in (operation.extra or {}).items():
        found.setdefault(key, item)
    return found


def header_map(header: Header) -> dict[str, Any]:
    """The JSON object of ``header``: ``polygraph`` first, nil and empty facts left out."""
    found: dict[str, Any] = {"polygraph": header.polygraph}
    facts = msgspec.structs.asdict(header)
    extra = facts.pop("extra") or {}
    found.update(
        (name, item)
        for name, item in facts.items()
        if item is not None and (item or name not in ("claims", "options"))
    )
    return found | {key: item for key, item in extra.items() if key not in found}


def append_operation(operation: Operation, buffer: bytearray) -> None:
    """Append the line of ``operation`` to ``buffer``; on an exception ``buffer`` is unchanged.

    Raises ``TypeError`` for a value that is not JSON.
    """
    length = len(buffer)
    try:
        if operation.extra is None:
            _ENCODER.encode_into(operation, buffer, -1)
        else:
            _ENCODER.encode_into(operation_map(operation), buffer, -1)
        buffer += b"\n"
    except UnicodeEncodeError:
        del buffer[length:]
        buffer += _escaped(operation_map(operation)) + b"\n"
    except BaseException:  # also an interrupt between the two halves of a line
        del buffer[length:]
        raise


def encode_json(item: Any) -> bytes:
    """Compact JSON of anything made of JSON types, lone surrogates escaped."""
    try:
        return _ENCODER.encode(item)
    except UnicodeEncodeError:
        return _escaped(item)


def _escaped(item: Any) -> bytes:
    """As the encoder writes it, but with lone surrogates escaped."""
    text = json.dumps(item)
    if "NaN" in text or "Infinity" in text:  # as numbers these would not be JSON
        item = json.loads(text, parse_constant=lambda constant: None)
    return json.dumps(item, separators=(",", ":")).encode()


def is_finite(item: Any) -> bool:
    """Whether no number in ``item``, at any depth, is NaN or infinite.

    ``item`` is something that the encoder takes. Dictionary keys are text in JSON and are not
    looked at.
    """
    waiting = [item]
    while waiting:
        part = waiting.pop()
        kind = part.__class__
        if kind is float:
            if not math.isfinite(part):
                return False
        elif kind is dict:
            waiting.extend(part.values())
        elif kind in _SEVERAL:
            if not PLAIN.issuperset(map(type, part)):
                waiting.extend(part)
        elif kind not in PLAIN:
            inside = msgspec.to_builtins(part)  # a dataclass, for one
            if inside.__class__ is not kind:
                waiting.append(inside)
    return True


def encode_header(header: Header) -> bytes:
    """The first line of a history, with its line end."""
    return encode_json(header_map(header)) + b"\n"


def write(header: Header, operations: Sequence[Operation], out: BinaryIO) -> None:
    """Write a whole history as JSON lines."""
    out.write(encode_header(wired_header(header)))
    buffer = bytearray()
    for operation in in_json(operations, is_ours=True):
        append_operation(operation, buffer)
        if len(buffer) > 1 << 20:
            out.write(buffer)
            buffer.clear()
    out.write(buffer)


def read(data: bytes, name: str) -> Adopted:
    """The header and operations of ``data``; a torn last line is left out with a notice.

    Raises ``HistoryError`` naming line and column of what cannot be read.
    """
    header, start = header_and_start(data, name)
    end, notices = end_of(data, start, name)
    body = memoryview(data)[start:end]
    torn = end < len(data)
    operations = _decoded(body)
    if operations is not None and is_begun(operations):
        return Adopted(header=header, operations=operations, notices=notices, torn=torn)
    adopted = adopt(_maps(body, 1 + data.count(b"\n", 0, start), name), name, header)
    return replace(adopted, notices=notices + adopted.notices, torn=torn)


def read_part(data: bytes, name: str) -> Sequence[Operation]:
    """Some whole lines out of a file, of which nothing can be concluded that is not in them."""
    operations = _decoded(data)
    return adopt_part(_maps(data, 1, name), name) if operations is None else operations


def end_of(data: bytes, start: int, name: str) -> tuple[int, tuple[str, ...]]:
    """Where the records end that begin at ``start``, and what is said of a last line without end.

    If it is not JSON it is left out.
    """
    cut = max(start, data.rfind(b"\n") + 1)
    tail = data[cut:].strip()
    if not tail:
        return len(data), () if start < len(data) or has_end(data) else (endless_notice(name),)
    try:
        decode_json(tail, "", 1)
    except HistoryError:
        return cut, (torn_notice(name),)
    return len(data), (endless_notice(name),)


def _decoded(body: bytes | memoryview) -> list[Operation] | None:
    """All lines at once, or ``None`` if some line is not exactly an operation of ours."""
    if _EXTRA.search(body) is not None:
        return None
    try:
        operations = _OPERATIONS.decode_lines(body)
    except REFUSED:
        return None
    return revived_operations(operations) if _TAGGED.search(body) is not None else operations


def is_begun(operations: Sequence[Operation]) -> bool:
    """Whether some operation is an invocation, or there is none: else more must be found out."""
    return not operations or any(operation.type == INVOKE for operation in operations)


def header_of(found: dict[str, Any], name: str) -> Header:
    """As :func:`harness.history.adopt.header_from`, with what is tagged in the initial state."""
    header = header_from(found, name)
    if not isinstance(header.initial, list | dict):
        return header
    return msgspec.structs.replace(header, initial=revived(header.initial))


def header_and_start(data: bytes, name: str) -> tuple[Header, int]:
    """The header and where the line after it starts; 0 where the file has none."""
    blank = _BLANK.match(data)
    assert blank is not None  # it matches no white space, too
    first = blank.end()
    end = data.find(b"\n", first)
    line = data[first:] if end < 0 else data[first:end]
    try:
        found = decode_json(line, "", 1)
    except HistoryError:
        return Header(), 0
    if (
        isinstance(found, dict)
        and "type" not in found
        and any(key in found for key in HEADER_MARKS)
    ):
        return header_of(found, name), len(data) if end < 0 else end + 1
    return Header(), 0


def _maps(body: bytes | memoryview, line: int, name: str) -> Iterator[tuple[Place, dict[str, Any]]]:
    """Every line as a map with its place."""
    for row, text in lines_of_bytes(body, line):
        if not text.strip():
            continue
        found = decode_json(text, name, row)
        if not isinstance(found, dict):
            raise HistoryError(
                f"{name}: {Place(row, 1)}: expected an operation (a JSON object), "
                f"found {shown(text[:40])}"
            )
        yield Place(row, 1), revived_record(found) if TAG_BYTES in text else found


def decode_json(text: bytes, name: str, line: int) -> Any:
    """Parse JSON that starts at ``line``; ``HistoryError`` with line, column and expectation."""
    try:
        return _ANYTHING.decode(text)
    except REFUSED as refused:
        reason = str(refused)
    try:
        return json.loads(text.decode(), parse_constant=_no_constant, parse_float=number)
    except json.JSONDecodeError as error:
        place = Place(line + error.lineno - 1, error.colno)
        expected = error.msg[0].lower() + error.msg[1:]
        raise HistoryError(f"{name}: {place}: not JSON: {expected}") from None
    except UnicodeDecodeError as error:
        place = Place(line + text.count(b"\n", 0, error.start), error.start + 1)
        raise HistoryError(
            f"{name}: {place}: expected UTF-8, found {text[error.start]:#04x}"
        ) from None
    except ValueError as error:
        raise HistoryError(f"{name}: {Place(line, 1)}: not JSON: {error} ({reason})") from None
    except RecursionError:
        raise HistoryError(f"{name}: {Place(line, 1)}: nested too deeply to be read") from None


def _no_constant(text: str) -> Any:
    raise ValueError(f"expected a finite number, found {text}")
