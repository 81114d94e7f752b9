"""Histories in EDN, as Jepsen, Knossos and elle-cli write and read them: one operation map a line.

Reading also takes all operations in one vector or list, and tagged ones
(``#jepsen.history.Op{...}``). The names f, type and process, errors and the names of
micro-operations are keywords there and text here; values are those of
:mod:`harness.history.values`, where ``:a`` is not ``"a"``. The header travels in a comment before
the operations, which other tools skip.

Cost: 15 us an operation to read, 10 us to write. Large files without maps, sets and such in
their operations are translated to JSON by a compiled pass (:mod:`edn_kernel`, with numba) and
read as fast as JSON lines are.
"""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any, BinaryIO, Final

import msgspec

from harness.errors import HistoryError
from harness.history.adopt import HEADER_F, Adopted, adopt, adopt_part
from harness.history.formats.edn_forms import Forms, Malformed, Torn
from harness.history.formats.jsonl import (
    REFUSED,
    decode_json,
    encode_json,
    header_map,
    header_of,
    is_begun,
    operation_map,
)
from harness.history.formats.lines import endless_notice, has_end, torn_notice
from harness.history.formats.tags import TAG_BYTES, revived_operations, wired_header
from harness.history.intakes import Place
from harness.history.operation import (
    MICRO_OPERATIONS,
    TYPES,
    Header,
    Operation,
    is_transaction,
)
from harness.history.values import Tagged, form, keyword, keyword_name, plain

_NAMES: Final = ("type", "f", "process", "error", "node", "trace")
HEADER_COMMENT: Final = ";; polygraph "
_SHORT: Final = 1 << 10
QUICK_BYTES: Final = 1 << 22
"""Files from this size on are tried with the compiled translation to JSON first."""
_OPERATIONS: Final = msgspec.json.Decoder(Operation)
_COMMENTS: Final = re.compile(rb"(?:[ \t]*(?:;[^\n]*)?\n)*")
_HEADER: Final = re.compile(rf"\A(?:\s*;[^\n]*\n)*?\s*{re.escape(HEADER_COMMENT)}(\{{[^\n]*)")


def read(data: bytes, name: str) -> Adopted:
    """The header (from our comment) and the operations of ``data``.

    A torn last line of a file without an enclosing vector is left out with a notice. Raises
    ``HistoryError`` naming line and column of what cannot be read.
    """
    torn: list[str] = []
    quick = _quickly(data, name)
    if quick is not None:
        return replace(quick, notices=end_notices(data, name))
    text = decoded(data, name, torn)
    header = header_in(text, name)
    adopted = adopt(_maps(text, name, torn), name, header)
    told = torn or end_notices(data, name)
    return replace(adopted, notices=(*told, *adopted.notices), torn=bool(torn))


def end_notices(data: bytes, name: str) -> tuple[str, ...]:
    """What is said of a file of EDN lines whose last line has no end."""
    around = data[after_comments(data) :][:_SHORT].lstrip()[:1]
    return () if has_end(data) or around in (b"[", b"(") else (endless_notice(name),)


def read_part(data: bytes, name: str) -> Sequence[Operation]:
    """Some whole records out of a file, of which nothing can be concluded that is not in them."""
    return adopt_part(_maps(data.decode(), name, []), name)


def json_lines(data: bytes) -> memoryview | None:
    """The operations of ``data`` as JSON lines; ``None`` if some need the ordinary reader.

    Needs numba, and takes a second to compile where nothing is cached.
    """
    if importlib.util.find_spec("numba") is None:
        return None
    import numpy as np

    from harness.history.compiled.edn_kernel import LONGER, translate

    source = np.frombuffer(data, np.uint8)
    target = np.empty(LONGER * source.size + 64, np.uint8)
    length = translate(source, target)
    return None if length < 0 else target[:length].data


def _quickly(data: bytes, name: str) -> Adopted | None:
    """All of a large file at once, if every operation is as ours are; else ``None``."""
    if len(data) < QUICK_BYTES:
        return None
    start = after_comments(data)
    lines = json_lines(data[start:])
    if lines is None:
        return None
    try:
        header = header_in(data[:start].decode(), name)
        operations = _OPERATIONS.decode_lines(lines)
    except REFUSED:  # bad UTF-8 among them
        return None
    if re.search(TAG_BYTES, lines) is not None:
        operations = revived_operations(operations)
    if not all(map(_is_plain, operations)) or not is_begun(operations):
        return None
    return Adopted(header=header or Header(), operations=operations)


def _is_plain(operation: Operation) -> bool:
    """Whether the ordinary reader would take ``operation`` as it is."""
    return operation.extra is None and operation.f != HEADER_F and operation.type in TYPES


def write(header: Header, operations: Iterable[Operation], out: BinaryIO) -> None:
    """Write a whole history as EDN lines, the header as a comment before them."""
    out.write(HEADER_COMMENT.encode() + encode_json(header_map(wired_header(header))) + b"\n")
    for operation in operations:
        out.write(_line(operation, header.independent).encode())


def after_comments(data: bytes) -> int:
    """Where the comments and empty lines at the start of ``data`` end."""
    comments = _COMMENTS.match(data)
    return comments.end() if comments is not None else 0


def header_in(text: str, name: str) -> Header | None:
    """The header in the first comments of ``text``, if there is one."""
    match = _HEADER.match(text)
    if match is None:
        return None
    line = match.string.count("\n", 0, match.start(1)) + 1
    found = decode_json(match.group(1).encode(), name, line)
    if not isinstance(found, dict):
        raise HistoryError(f"{name}: line {line}: expected the header to be a JSON object")
    return header_of(found, name)


def decoded(data: bytes, name: str, torn: list[str]) -> str:
    """The text; a half character at the very end is left out with its line."""
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        last_line = data.rfind(b"\n") + 1
        if error.start >= last_line and error.reason == "unexpected end of data":
            torn.append(torn_notice(name))
            return data[:last_line].decode()
        line = data.count(b"\n", 0, error.start) + 1
        column = error.start - data.rfind(b"\n", 0, error.start)
        found = data[error.start]
        raise HistoryError(
            f"{name}: {Place(line, column)}: expected UTF-8, found byte {found:#04x}"
        ) from None


def _maps(text: str, name: str, torn: list[str]) -> Iterator[tuple[Place, dict[str, Any]]]:
    """Every operation map with its place; tells ``torn`` if the end was left out."""
    line, seen = 1, 0
    try:
        for offset, found in Forms(text, enters=True):
            line += text.count("\n", seen, offset)
            seen = offset
            place = Place(line, offset - text.rfind("\n", 0, offset))
            if not isinstance(found, dict):
                there = text[offset : offset + 40].split("\n")[0]
                raise HistoryError(f"{name}: {place}: expected an operation (a map), found {there}")
            yield place, in_words(found)
    except (Torn, Malformed) as error:
        is_lines = text.lstrip()[:1] not in ("[", "(")
        if not is_lines or error.offset <= text.rfind("\n"):
            line = text.count("\n", 0, error.offset) + 1
            place = Place(line, error.offset - text.rfind("\n", 0, error.offset))
            raise HistoryError(f"{name}: {place}: {error}") from None
        torn.append(torn_notice(name))


def in_words(found: dict[str, Any]) -> dict[str, Any]:
    """The fields of a record, with names as text: type, f, process, errors, micro-operations."""
    for field in _NAMES:
        item = found.get(field)
        if item is None or type(item) is int:
            continue
        found[field] = (keyword_name(item) if type(item) is Tagged else None) or plain(item)
    value = found.get("value")
    if type(value) is list:
        is_txn = found.get("f") == "txn"
        found["value"] = named = _with_names(value, is_txn)
        if named is value and len(value) == 2 and type(value[1]) is list:
            found["value"] = [value[0], _with_names(value[1], is_txn)]
    return found


def _with_names(value: list[Any], is_txn: bool) -> list[Any]:
    """``value`` with the names of its micro-operations as text if it is a transaction."""
    known = is_txn
    for part in value:
        if type(part) is not list or not part or not isinstance(part[0], str):
            return value
        known = known or plain(part[0]) in MICRO_OPERATIONS
    return [_micro_operation(part) for part in value] if known else value


def _micro_operation(part: list[Any]) -> list[Any]:
    """``part`` with its name as text, and that of its condition (``[:rp [:mod 3 0]]``)."""
    name, about = plain(part[0]), part[1:]
    if name == "rp" and about:
        if type(about[0]) is Tagged:
            about[0] = plain(about[0])
        elif type(about[0]) is list and about[0]:
            about[0] = [plain(about[0][0]), *about[0][1:]]
    return [name, *about]


def _line(operation: Operation, independent: bool) -> str:
    found = operation_map(operation)
    found["process"] = name_form(found["process"])
    found["type"] = name_form(found["type"])
    found["f"] = name_form(found["f"])
    found["value"] = value_form(found["value"], independent and operation.is_client)
    if "error" in found:
        found["error"] = error_form(found["error"])
    known = {"process", "type", "f", "value", "error"}
    pairs = (
        f"{name_form(key)} {item if key in known else form(item)}" for key, item in found.items()
    )
    return "{" + ", ".join(pairs) + "}\n"


def name_form(text: Any) -> str:
    """A string as a keyword where it can be one; anything else as it is."""
    return keyword(text) if type(text) is str else form(text)


def value_form(value: Any, is_keyed: bool) -> str:
    """The value of an operation, whose micro-operations have keywords for names."""
    if is_keyed and isinstance(value, list | tuple) and len(value) == 2:
        return f"[{form(value[0])} {value_form(value[1], False)}]"
    if not is_transaction(value):
        return form(value)
    parts = (" ".join((":" + part[0], *map(form, part[1:]))) for part in value)
    return "[" + " ".join(f"[{part}]" for part in parts) + "]"


def error_form(error: Any) -> str:
    """What went wrong, with its name as a keyword."""
    if isinstance(error, list | tuple) and error:
        return "[" + " ".join((name_form(error[0]), *map(form, error[1:]))) + "]"
    return name_form(error)
