"""Old Jepsen logs, ``jepsen.log`` and ``history.txt``: operations in columns.

Wherever a line says ``process :type :f value`` (with tabs, or blanks) it is an operation; what a
logger wrote before the process ("INFO  jepsen.util - ") is skipped, so are lines without one.
Each part is EDN. There is neither index nor time: file order stands for both. The value of a
completion that is a bare keyword (``:timed-out``) is the reason, as is a fifth column.

A logged history is only as whole as the log, so lines that look like an operation and are not
one are refused, never skipped. A last line without an end may stop within its value (a 12 after the
1), so it is left out unless its last word cannot go on. Cost: 8 us an operation.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, BinaryIO, Final

from msgspec import structs

from harness.errors import HistoryError
from harness.history.adopt import Adopted, adopt
from harness.history.formats.edn import (
    decoded,
    end_notices,
    error_form,
    in_words,
    name_form,
    value_form,
)
from harness.history.formats.edn_forms import parse
from harness.history.formats.lines import lines_of, torn_notice
from harness.history.formats.losses import Losses
from harness.history.history import History
from harness.history.intakes import Place
from harness.history.operation import FAIL, INFO
from harness.history.rules import describe
from harness.history.values import can_be_keyword

_OPERATION: Final = re.compile(
    r"(?:^|.*?[ \t])(?P<process>:?\w[\w-]*)[ \t]+:(?P<type>\w+)[ \t]+"
    r"(?P<f>:\S+|[^\t]{1,200}(?=\t))[ \t]+(?P<rest>.*)$"
)
NAME: Final = "jepsen-log"
_REASON: Final = re.compile(r":[A-Za-z][\w.-]*")
_COMPLETE: Final = re.compile(r"(?:[\])}\"]|[ \t](?:nil|true|false))\s*\Z")
"""The end of a value to which nothing can be added."""
OPERATION_LINE: Final = re.compile(rb"[ \t]:(?:invoke|ok|fail|info)[ \t]+[:\[]")
"""How to know such a file: this among its first lines."""


def read(data: bytes, name: str) -> Adopted:
    """The operations of ``data``, under the model ``cas-register`` if they are a register's.

    A torn last line is left out with a notice. ``HistoryError`` names the place otherwise.
    """
    torn: list[str] = []
    text = decoded(data, name, torn)
    adopted = adopt(_maps(text, name, torn), name)
    functions = {operation.f for operation in adopted.operations if operation.is_client}
    is_register = bool(functions) and functions <= {"read", "write", "cas"}
    model = "cas-register" if is_register else None
    return replace(
        adopted,
        header=structs.replace(adopted.header, model=model),
        notices=(*(torn or end_notices(data, name)), *adopted.notices),
        torn=bool(torn),
    )


def write(history: History, out: BinaryIO, losses: Losses) -> None:
    """Write the operations of ``history``; what ``losses`` may not drop is refused by name."""
    losses.of_order(history, NAME)
    if history.header.independent:
        losses.lose(NAME, "that values are of independent keys", "they look like any other pair")
    for operation in history.operations:
        value = value_form(operation.value, is_keyed=False)
        is_reason = operation.type in (INFO, FAIL) and _REASON.fullmatch(value.strip())
        if is_reason or not can_be_keyword(operation.f):
            raise HistoryError(f"{NAME} cannot say {describe(operation)} with the value {value}")
        words = [name_form(operation.process), f":{operation.type}", name_form(operation.f), value]
        if operation.error is not None:
            words.append(error_form(operation.error))
        out.write(("\t".join(words) + "\n").encode())


def _maps(text: str, name: str, torn: list[str]) -> Iterator[tuple[Place, dict[str, Any]]]:
    """Every operation as a map with its place; tells ``torn`` if the last line was left out."""
    for number, line, is_ended in lines_of(text):
        match = _OPERATION.match(line.rstrip("\r"))
        if not is_ended and line.strip() and (match is None or _COMPLETE.search(line) is None):
            torn.append(torn_notice(name))
            return
        if match is None:
            continue
        place = Place(number, match.start("process") + 1)
        try:
            yield place, _map(match)
        except ValueError as error:
            if not is_ended:
                torn.append(torn_notice(name))
                return
            where = Place(number, match.start("rest") + 1)
            raise HistoryError(f"{name}: {where}: {error}") from None


def _map(match: re.Match[str]) -> dict[str, Any]:
    """The operation on one line; ``ValueError`` if a part of it is not EDN."""
    forms = parse(match["rest"])
    if not forms:
        raise ValueError("expected a value")
    words = parse(f"{match['process']} {match['f']}")
    if len(words) != 2:
        raise ValueError("expected one process and one f")
    process, f = words
    value, error = forms[0], forms[1] if len(forms) > 1 else None
    is_reason = _REASON.fullmatch(match["rest"].strip()) is not None
    if is_reason and match["type"] in (INFO, FAIL) and isinstance(process, int):
        value, error = None, value
    found = {"process": process, "type": match["type"], "f": f, "value": value}
    return in_words(found if error is None else {**found, "error": error})
