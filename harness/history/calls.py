"""A history as calls: what was asked, what was answered, and when each began and ended.

A :class:`Call` joins the two records of one client operation. *When* is meant in positions of
the history: A precedes B exactly if A's completion record comes before B's invoke record; times
serve display only. A call without a completion, or with ``info``, may take effect at any time
after it began; one that failed certainly never did.

Cost: one pass, 1 us a record.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from harness.history.history import History
from harness.history.operation import FAIL, INFO, INVOKE, OK, Operation
from harness.history.values import exact, kind_name, told

EMPTY: Final = "empty"
"""The error of a dequeue that found nothing, as Jepsen's ``:empty``."""

NEVER: Final = 1 << 62
"""The end of a call whose outcome nobody knows."""
BEFORE_ALL: Final = -1
"""The start of a call whose invoke record is missing: the widest interval there is."""


@dataclass(frozen=True, slots=True)
class Call:
    """One client operation. ``start`` and ``end`` are positions in its history."""

    invocation: Operation
    completion: Operation | None
    start: int
    end: int

    @property
    def f(self) -> str:
        """What was done."""
        return self.invocation.f

    @property
    def process(self) -> Any:
        """Who did it."""
        return self.invocation.process

    @property
    def outcome(self) -> str:
        """``ok``, ``fail`` or ``info``."""
        return self.completion.type if self.completion is not None else INFO

    @property
    def ok(self) -> bool:
        """Whether it certainly happened."""
        return self.completion is not None and self.completion.type == OK

    @property
    def failed(self) -> bool:
        """Whether it certainly did not happen."""
        return self.completion is not None and self.completion.type == FAIL

    @property
    def asked(self) -> Any:
        """The value of the invocation; ``None`` where its record is missing."""
        return None if self.invocation is self.completion else self.invocation.value

    @property
    def answer(self) -> Any:
        """The value of the completion (``None`` if there is none)."""
        return self.completion.value if self.completion is not None else None

    @property
    def value(self) -> Any:
        """The value asked, or the one answered where the invocation did not say."""
        return self.asked if self.asked is not None else self.answer

    @property
    def last(self) -> Operation:
        """The completion, or the invocation where there is none."""
        return self.completion if self.completion is not None else self.invocation

    def precedes(self, other: Call) -> bool:
        """Whether this was over before ``other`` began."""
        return self.end < other.start

    def __str__(self) -> str:
        """``add 5 by process 3 on n1, invoked at index 7, 1.200 s, ok at index 9, 1.300 s``."""
        where = f" on {self.invocation.node}" if self.invocation.node else ""
        end = f"{self.outcome} at {moment(self.completion)}" if self.completion else "not answered"
        begin = f"invoked at {moment(self.invocation)}"
        return f"{self.what} by process {self.process}{where}, {begin}, {end}"

    @property
    def what(self) -> str:
        """``add 5``."""
        return self.f if self.asked is None else f"{self.f} {short(self.asked)}"


def calls(history: History) -> list[Call]:
    """The client calls of ``history``, in order of their invocations."""
    found: list[Call] = []
    pairs, operations = history.pairs, history.operations
    for position, operation in enumerate(operations):
        if not operation.is_client:
            continue
        pair = pairs[position]
        if operation.type == INVOKE:
            completion = operations[pair] if pair >= 0 else None
            known = completion is not None and completion.type != INFO
            found.append(Call(operation, completion, position, pair if known else NEVER))
        elif pair < 0:
            end = NEVER if operation.type == INFO else position
            found.append(Call(operation, operation, BEFORE_ALL, end))
    return found


def of(functions: Iterable[str], found: Iterable[Call]) -> list[Call]:
    """Those of ``found`` whose f is one of ``functions``, in their order."""
    wanted = frozenset(functions)
    return [call for call in found if call.f in wanted]


def is_measured(time_ns: int, index: int) -> bool:
    """Whether the time of the record of that index was measured.

    A reader gives records without times their places in the file. As nanoseconds these are fewer
    than anybody needs to write that many records, so what was measured is always more.
    """
    return time_ns > index


def moment(operation: Operation) -> str:
    """``index 7, 1.200 s``, without the time where it is not known."""
    is_known = is_measured(operation.time, operation.index)
    at = f", {operation.time / 1e9:.3f} s" if is_known else ""
    return f"index {operation.index}{at}"


def short(value: Any, most: int = 160) -> str:
    """``value`` as JSON, with EDN where JSON cannot say it, cut to ``most`` characters."""
    text = told(value)
    return text if len(text) <= most else f"{text[: most - 2]} …"


def name(value: Any) -> Any:
    """Something hashable that equals exactly for equal JSON (in Python ``True == 1 == 1.0``)."""
    kind = type(value)
    if kind is int or kind is str or value is None:
        return value
    return (kind_name(value), exact(value))


def names(values: Iterable[Any]) -> list[Any]:
    """:func:`name` of each; quick where all are integers or strings."""
    listed = list(values)
    if set(map(type, listed)) <= {int, str}:
        return listed
    return [name(value) for value in listed]


def said_empty(error: Any) -> bool:
    """Whether what takes something out failed with exactly the error ``empty``, as Jepsen's do.

    With or without a colon, alone or as the kind of an error with a text. ``Empty reply from
    server`` and ``not empty`` are other errors.
    """
    kind = error[0] if isinstance(error, list | tuple) and error else error
    return isinstance(kind, str) and kind.removeprefix(":") == EMPTY
