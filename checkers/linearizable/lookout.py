"""Reads that no register can answer, told as they come.

A read that answers v is impossible if every write of v that began before it ended was certainly
overwritten before it began: something that showed another value (a write that was acknowledged, or
a read) began after that write was over, and was over before the read began. Writes that are open,
or whose outcome nobody knows, may take effect at any time, and explain any read of their value. So
this is sound, whatever comes later, and not complete: order that follows from several reads
together is left to the checker. It catches acknowledged writes that are gone, values that come
back, and values that nobody wrote.

Cost: a few lookups a record. Keys that were used least lately are forgotten, and what is forgotten
is never judged again.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any, Final

from checkers.linearizable.register_entries import json_name
from checkers.proof.shapes import is_pair
from harness.history.calls import short
from harness.history.operation import FAIL, INVOKE, OK, Operation, Process
from harness.verdict.lookout import Sighting, sighting
from harness.verdict.wording import shown

MOST_KEYS: Final = 10_000
MOST_FORGOTTEN: Final = 500_000
NEVER_ENDS: Final = 1 << 62
_BEFORE_ALL: Final = -1
_NOTHING: Final = (_BEFORE_ALL - 1, None)
READ, WRITE, CAS = "read", "write", "cas"

Shown = tuple[int, Any]
"""When something that showed a value began, and which."""


@dataclass(slots=True)
class _Key:
    """What is known of one register.

    ``ends`` says of each value when the last write of it ended, :data:`NEVER_ENDS` while one may
    still take effect. ``latest`` is the latest beginning among what is over and showed a value,
    ``other`` the latest among those that showed another value than that.
    """

    ends: dict[Any, int] = field(default_factory=lambda: {None: _BEFORE_ALL})
    open: dict[Any, int] = field(default_factory=dict)
    latest: Shown = _NOTHING
    other: Shown = _NOTHING

    def show(self, began: int, value: Any) -> None:
        """Something that began then showed ``value``, and is over."""
        if value == self.latest[1]:
            self.latest = max(self.latest, (began, value), key=_when)
        elif began > self.latest[0]:
            self.latest, self.other = (began, value), self.latest
        elif began > self.other[0]:
            self.other = (began, value)


def _when(shown: Shown) -> int:
    return shown[0]


@dataclass(frozen=True, slots=True)
class _Call:
    """An open call: what it asks, when it began, and what its register had shown by then."""

    key: Any
    f: str
    expected: Any
    written: Any
    began: int
    latest: Shown
    other: Shown

    def overwritten(self, value: Any) -> Shown:
        """The latest that was over when this began, and showed another value."""
        return self.other if self.latest[1] == value else self.latest


class RegisterLookout:
    """Looks out over registers that hold nil at first; ``independent``: by key.

    Of a key with an operation that it does not understand nothing more is told.
    """

    def __init__(self, *, independent: bool) -> None:
        self.independent = independent
        self.is_over = False
        """Whether too much was forgotten to go on."""
        self._keys: OrderedDict[Any, _Key] = OrderedDict()
        self._forgotten: set[int] = set()
        self._calls: dict[Process, _Call] = {}

    def see(self, operation: Operation) -> Sighting | None:
        """Take in the next record."""
        if self.is_over or not operation.is_client or operation.f not in (READ, WRITE, CAS):
            return None
        if operation.type == INVOKE:
            self._begin(operation)
            return None
        call = self._calls.pop(operation.process, None)
        key = None if call is None else self._keys.get(call.key)
        if call is None or key is None:
            return None
        if operation.type == OK:
            return self._end(key, call, operation)
        if operation.type == FAIL and call.f != READ:
            _close(key, call.written, ended=None)
        return None

    def _begin(self, operation: Operation) -> None:
        if self.independent and not is_pair(operation.value):
            self._end_all()
            return
        name, value = self._parts(operation.value)
        key = self._key(name)
        if key is None:
            return
        is_odd = (
            value is None if operation.f == WRITE else operation.f == CAS and not is_pair(value)
        )
        if is_odd:  # what is written stands in no invocation
            self._forget(name)
            return
        written = json_name(value[1] if operation.f == CAS else value)
        expected = value[0] if operation.f == CAS else None
        call = _Call(name, operation.f, expected, written, operation.index, key.latest, key.other)
        self._calls[operation.process] = call
        if call.f != READ:
            key.open[written] = key.open.get(written, 0) + 1

    def _end(self, key: _Key, call: _Call, operation: Operation) -> Sighting | None:
        if call.f == READ:
            is_keyed = not self.independent or is_pair(operation.value)
            if not is_keyed:
                return None
            return self._read(key, call, self._parts(operation.value)[1], operation)
        found = self._read(key, call, call.expected, operation) if call.f == CAS else None
        _close(key, call.written, ended=operation.index)
        key.show(call.began, call.written)
        return found

    def _read(self, key: _Key, call: _Call, answer: Any, operation: Operation) -> Sighting | None:
        value = json_name(answer)
        ended = NEVER_ENDS if key.open.get(value) else key.ends.get(value)
        over = call.overwritten(value)
        if ended is not None and ended >= over[0]:
            if call.f == READ:
                key.show(call.began, value)
            return None
        return _told(call, answer, ended, over, operation, independent=self.independent)

    def _parts(self, value: Any) -> tuple[Any, Any]:
        return (json_name(value[0]), value[1]) if self.independent else (None, value)

    def _key(self, name: Any) -> _Key | None:
        """What is known of a key; ``None`` where something was forgotten."""
        found = self._keys.get(name)
        if found is not None:
            self._keys.move_to_end(name)
            return found
        if hash(name) in self._forgotten:
            return None
        if len(self._keys) >= MOST_KEYS:
            self._forget(next(iter(self._keys)))
        if self.is_over:
            return None
        found = self._keys[name] = _Key()
        return found

    def _forget(self, name: Any) -> None:
        self._keys.pop(name, None)
        self._forgotten.add(hash(name))
        if len(self._forgotten) > MOST_FORGOTTEN:
            self._end_all()

    def _end_all(self) -> None:
        self.is_over = True
        self._keys.clear()
        self._calls.clear()
        self._forgotten.clear()


def _close(key: _Key, value: Any, *, ended: int | None) -> None:
    """A write of ``value`` is over; ``None`` says that it never happened."""
    left = key.open.get(value, 0) - 1
    if left > 0:
        key.open[value] = left
    else:
        key.open.pop(value, None)
    if ended is not None:
        key.ends[value] = max(key.ends.get(value, _BEFORE_ALL), ended)


def _told(
    call: _Call,
    answer: Any,
    ended: int | None,
    over: Shown,
    operation: Operation,
    *,
    independent: bool,
) -> Sighting:
    where = f" of key {short(call.key)}" if independent else ""
    found = f"{call.f}{where} found {short(answer)}"
    if ended is None:
        return sighting("nonlinearizable", operation, f"{found}, which nobody had written")
    text = (
        f"{found}, which had been replaced before it began: by then the register had shown"
        f" {shown(over[1])} (record {over[0]})"
    )
    return sighting("stale-read", operation, text)
