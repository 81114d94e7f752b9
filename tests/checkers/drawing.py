"""Histories as drawings: one line a process, time from left to right.

    p: [w1 ]      [r1 ]
    q:    [c1>2 ]

``[`` is an invocation, ``]`` its ok, ``?`` an info, ``!`` a fail; an operation that is cut off by
the end of its line is never answered. ``w1`` writes 1, ``r1`` reads 1, ``c1>2`` replaces 1 by 2;
``_`` is nil. Records are ordered by column, then by line. A column is a millisecond, and the name
of a line is the node. After ? the line goes on as a new process.
"""

from __future__ import annotations

import re
from typing import Any

from harness.history.history import History
from harness.history.operation import Header, Operation

_OPERATION = re.compile(r"\[(?P<what>[^\]?!\[]*)(?P<end>[\]?!]|$)")
_ENDS = {"]": "ok", "?": "info", "!": "fail"}


def drawn(text: str, **header: Any) -> History:
    """The history that ``text`` draws."""
    records: list[tuple[int, int, str, str, int, str, Any]] = []
    lanes = [line for line in text.splitlines() if line.strip()]
    for lane, line in enumerate(lanes):
        node, _, drawing = line.partition(":")
        shift, process = len(node) + 1, lane
        for found in _OPERATION.finditer(drawing):
            f, asked, answer = _parsed(found["what"].strip())
            column = shift + found.start()
            records.append((column, lane, "invoke", node.strip(), process, f, asked))
            kind = _ENDS.get(found["end"])
            if kind is not None:
                value = answer if kind == "ok" else asked
                end = shift + found.end() - 1
                records.append((end, lane, kind, node.strip(), process, f, value))
            if kind == "info":
                process += len(lanes)
    records.sort(key=lambda record: record[:2])
    operations = [
        Operation(index, column * 1_000_000, process, kind, f, value, node=node)
        for index, (column, _, kind, node, process, f, value) in enumerate(records)
    ]
    return History(operations, Header(**header))


def _parsed(what: str) -> tuple[str, Any, Any]:
    """f, value as invoked, value if ok."""
    if what[0] == "r":
        return "read", None, _value(what[1:])
    if what[0] == "w":
        return "write", _value(what[1:]), _value(what[1:])
    old, new = what[1:].split(">")
    change = [_value(old), _value(new)]
    return "cas", change, change


def _value(text: str) -> int | None:
    return None if text == "_" else int(text)
