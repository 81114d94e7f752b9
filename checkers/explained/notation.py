"""Small histories as text: what the examples of the catalogue are written in, and tests too.

*Lanes*: one line a process, time from left to right.

    p: [ax1 ry  ]        [rx12]
    q:     [ax2 ry3 ?

``[`` is an invocation, ``]`` its ok, ``?`` an info, ``!`` a fail; an operation that is cut off by
the end of its line is never answered. Records are ordered by column, then by line; a column is a
millisecond. After ? the line goes on as a new process. What stands inside the brackets depends on
the words: :func:`register`, :func:`lists` or :func:`registers`.

*Scripts*: one line a record or a whole operation, in the order of the records; see
:func:`scripted`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any, Final

from harness.history.history import History
from harness.history.operation import Header, Operation

Words = Callable[[str], tuple[str, Any, Any]]
"""What stands in brackets, as f, value as asked and value as answered if ok."""

_OPERATION: Final = re.compile(r"\[(?P<what>[^\]?!\[]*)(?P<end>[\]?!]|$)")
_ENDS: Final = {"]": "ok", "?": "info", "!": "fail"}
_RETIRED: Final = 100


def lanes(text: str, words: Words, **header: Any) -> History:
    """The history that ``text`` draws; the name of a line is the node."""
    records: list[tuple[int, int, str, str, int, str, Any]] = []
    lines = [line for line in text.splitlines() if line.strip()]
    for lane, line in enumerate(lines):
        name, _, drawing = line.partition(":")
        shift, process, node = len(name) + 1, lane, name.strip()
        for found in _OPERATION.finditer(drawing):
            f, asked, answer = words(found["what"].strip())
            records.append((shift + found.start(), lane, "invoke", node, process, f, asked))
            kind = _ENDS.get(found["end"])
            if kind is not None:
                value, end = answer if kind == "ok" else asked, shift + found.end() - 1
                records.append((end, lane, kind, node, process, f, value))
            if kind == "info":
                process += len(lines)
    records.sort(key=lambda record: record[:2])
    operations = [
        Operation(index, column * 1_000_000, process, kind, f, value, node=node)
        for index, (column, _, kind, node, process, f, value) in enumerate(records)
    ]
    return History(operations, Header(**header))


def register(what: str) -> tuple[str, Any, Any]:
    """``w1`` writes 1, ``r1`` reads 1, ``c1>2`` replaces 1 by 2; ``_`` is nil."""
    if what[0] == "r":
        return "read", None, _value(what[1:])
    if what[0] == "w":
        return "write", _value(what[1:]), _value(what[1:])
    old, new = what[1:].split(">")
    change = [_value(old), _value(new)]
    return "cas", change, change


def lists(what: str) -> tuple[str, Any, Any]:
    """``ax1`` appends 1 to x, ``rx12`` reads [1, 2], ``rx`` the empty list and ``rx_`` nil."""
    answer = [_list_step(word) for word in what.split()]
    return "txn", [[f, key, None if f == "r" else value] for f, key, value in answer], answer


def registers(what: str) -> tuple[str, Any, Any]:
    """``wx1`` writes 1 to x, ``rx2`` reads 2 and ``rx_`` nil."""
    answer = [[word[0], word[1], _value(word[2:])] for word in what.split()]
    return "txn", [[f, key, None if f == "r" else value] for f, key, value in answer], answer


def _list_step(word: str) -> list[Any]:
    f, key, rest = word[0], word[1], word[2:]
    if f == "a":
        return ["append", key, int(rest)]
    return ["r", key, None if rest == "_" else [int(digit) for digit in rest]]


def _value(text: str) -> int | None:
    return None if text == "_" else int(text)


class _Script:
    def __init__(self) -> None:
        self.operations: list[Operation] = []
        self.numbers: dict[int, int] = {}
        self.open: dict[int, tuple[str, Any]] = {}

    def add(self, line: str) -> None:
        who, rest = line.split(maxsplit=1)
        process = int(who)
        if rest.startswith("+ "):
            self.invoke(process, *_asked(rest[2:]))
        elif rest.startswith("- "):
            kind, _, value = rest[2:].partition(" ")
            text, _, error = value.partition("#")
            asked = self.open[process][1]
            answer = json.loads(text) if text.strip() else asked
            self.complete(process, kind, answer, json.loads(error) if error else None)
        elif rest[-1] in "!?":
            self.invoke(process, *_asked(rest[:-1]))
            kind = "fail" if rest[-1] == "!" else "info"
            self.complete(process, kind, self.open[process][1])
        else:
            asked_text, _, answer_text = rest.partition(" = ")
            self.invoke(process, *_asked(asked_text))
            answer = json.loads(answer_text) if answer_text else self.open[process][1]
            self.complete(process, "ok", answer)

    def invoke(self, process: int, f: str, value: Any) -> None:
        self.open[process] = (f, value)
        self.record(process, "invoke", f, value)

    def complete(self, process: int, kind: str, value: Any, error: Any = None) -> None:
        f, _ = self.open.pop(process)
        self.record(process, kind, f, value, error)
        if kind == "info":
            self.numbers[process] = self.numbers.get(process, process) + _RETIRED

    def record(self, process: int, kind: str, f: str, value: Any, error: Any = None) -> None:
        at = len(self.operations)
        number = self.numbers.get(process, process)
        time_ns = at * 1_000_000
        self.operations.append(Operation(at, time_ns, number, kind, f, value, error))


def _asked(text: str) -> tuple[str, Any]:
    f, _, value = text.strip().partition(" ")
    return f, json.loads(value) if value.strip() else None


def scripted(text: str, **header: Any) -> History:
    """The history that a script tells; values are JSON, each record takes a millisecond.

    ``0 add 1`` is invoked and acknowledged at once, ``0 read = [1]`` asks for nothing and is
    answered [1], ``0 add 1 !`` failed, ``0 add 1 ?`` is never known (the process is retired and
    goes on under a new number); ``0 + add 1`` is only invoked, and ``0 - ok VALUE``, ``0 - fail``
    or ``0 - info`` completes it, with an error after ``#``.
    """
    script = _Script()
    for line in text.splitlines():
        if line.strip():
            script.add(line.strip())
    return History(script.operations, Header(**header))
