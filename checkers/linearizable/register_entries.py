"""From a history to what a register search needs: one list of entries a key.

An :class:`Entry` is a client operation reduced to what a register cares about: the interval in
which it took effect, the value that it *saw* (a read, the old value of a compare-and-set) and
the value that it *made* (a write, the new value of a compare-and-set). Values are small
integers, 0 being the initial value, so that the searches work on plain integers.

The interval is in positions of the history: A precedes B exactly if A's completion record
comes before B's invoke record. Times serve display only.

What is left out, and why that is sound (an order of the full history exists exactly if one of
the rest exists):

- ``fail``: it did not happen;
- reads without an answer: they constrain nothing;
- operations without an answer that nobody needs, see :func:`without_idle_infos`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from checkers.linearizable.register_models import CAS, READ, WRITE, Model
from checkers.proof.shapes import is_pair
from harness.history.history import History
from harness.history.operation import FAIL, INVOKE, OK, Operation
from harness.history.values import exact, key_text, kind_name
from harness.verdict.wording import shown

NEVER: Final = 1 << 62
"""The completion of an operation whose outcome nobody knows: it may happen at any later time."""
BEFORE_ALL: Final = -1
"""The invocation of an operation whose invoke record is missing: the widest interval there is."""
NOTHING: Final = -1
INITIAL: Final = 0


class Unjudgeable(Exception):
    """The history does not fit the model; the message names the operation.

    ``settle`` says what would help, where that is known.
    """

    def __init__(self, message: str, settle: str = "") -> None:
        super().__init__(message)
        self.settle = settle


@dataclass(frozen=True, slots=True)
class Entry:
    """One operation on one key.

    ``at`` is the position of its first record and names it. ``invoke`` and ``complete`` are
    positions, ``complete`` is :data:`NEVER` if the outcome is unknown. ``seen`` and ``made``
    are value numbers or :data:`NOTHING`.
    """

    at: int
    invoke: int
    complete: int
    seen: int
    made: int

    @property
    def is_read(self) -> bool:
        """Whether it only looks."""
        return self.made == NOTHING

    @property
    def is_open(self) -> bool:
        """Whether nobody knows if it happened."""
        return self.complete == NEVER


@dataclass
class KeyHistory:
    """All that happened to one key. ``values[n]`` is the value numbered ``n``.

    ``refused`` are changes that failed: they play no part in any order, but a read of a value
    that one of them tried to make deserves the remark.
    """

    key: Any
    values: list[Any]
    entries: list[Entry] = field(default_factory=list)
    refused: list[Entry] = field(default_factory=list)
    _numbers: dict[Any, int] = field(default_factory=dict)

    def number(self, value: Any) -> int:
        """The number of ``value``, given at its first sight."""
        name = json_name(value)
        if not self._numbers:
            self._numbers[json_name(self.values[INITIAL])] = INITIAL
        number = self._numbers.setdefault(name, len(self.values))
        if number == len(self.values):
            self.values.append(value)
        return number


def json_name(value: Any) -> Any:
    """Something hashable that equals exactly for equal JSON: 1 and 1.0 do, 1 and true do not."""
    kind = type(value)
    if kind is int or kind is str or value is None:
        return value
    if kind is float and value.is_integer():
        return int(value)
    text = exact(value)
    if ".0" in text and kind in (list, tuple, dict):
        text = exact(_without_floats(value))
    return (kind_name(value), text)


def _without_floats(value: Any) -> Any:
    """``value`` with whole numbers as integers."""
    if isinstance(value, list | tuple):
        return [_without_floats(item) for item in value]
    if isinstance(value, dict):
        return {key: _without_floats(item) for key, item in value.items()}
    return int(value) if isinstance(value, float) and value.is_integer() else value


def by_key(
    history: History,
    model: Model,
    *,
    independent: bool,
    initial: Any = None,
    nil_read_is_unknown: bool = False,
    only: Collection[Any] | None = None,
) -> list[KeyHistory]:
    """The entries of each key, in order of first sight; one key ``None`` if not independent.

    ``initial`` is the value before any operation; if independent and a mapping, by key.
    With ``nil_read_is_unknown`` a read of ``None`` says nothing (Knossos' models).
    With ``only`` keys of these names (:func:`json_name`) alone.
    Raises :class:`Unjudgeable` for an operation that the model does not have, and where what was
    written is told by answers alone, one of which is missing.
    """
    silent: Operation | None = None
    is_told = False
    keys: dict[Any, KeyHistory] = {}
    pairs = history.pairs
    operations = history.operations
    for position, operation in enumerate(operations):
        if not operation.is_client:
            continue
        pair = pairs[position]
        if operation.type == INVOKE:
            completion = operations[pair] if pair >= 0 else None
            entry = _Raw(operation, completion, position, position, pair)
        elif pair < 0 and operation.type == OK:
            entry = _Raw(operation, operation, position, BEFORE_ALL, position)
        else:
            continue
        key, value, answer = entry.split(independent)
        name = json_name(key)
        if only is not None and name not in only:
            continue
        home = keys.get(name)
        if home is None:
            home = keys[name] = KeyHistory(key, [initial_of(initial, key, independent)])
        if value is None and operation.f != READ and not completion_is(entry.completion, FAIL):
            if answer is None and not completion_is(entry.completion, OK):
                silent = operation
            is_told = is_told or (answer is not None and completion_is(entry.completion, OK))
        if completion_is(entry.completion, FAIL):
            if operation.f in model.functions:
                refused = _refused(entry, value, answer, model, home)
                home.refused += [refused] if refused is not None else []
            continue
        made = _entry(entry, value, answer, model, home, nil_read_is_unknown)
        if made is not None:
            home.entries.append(made)
    if silent is not None and is_told:
        raise Unjudgeable(f"{where(silent)} does not say its value, nor does an answer")
    return list(keys.values())


def completion_is(completion: Operation | None, kind: str) -> bool:
    """Whether there is a completion and it is of ``kind``."""
    return completion is not None and completion.type == kind


def until(entries: Iterable[Entry], position: int) -> list[Entry]:
    """The history up to and including the record at ``position``: later answers are unknown."""
    return [
        entry if entry.complete <= position else replace(entry, complete=NEVER)
        for entry in entries
        if entry.invoke <= position
    ]


def without_idle_infos(entries: Sequence[Entry]) -> list[Entry]:
    """``entries`` without those of unknown outcome that no order needs.

    Dropped are reads, operations that change nothing, and operations that make a value which
    no needed operation sees. Needed are all with an answer, and those of unknown outcome that
    make a value which a needed one sees (the least such set). Sound: take any order, remove
    what is not needed; whatever a needed operation saw was made by a needed one, so the last
    change before it stays the last.
    """
    open_makers: dict[int, list[Entry]] = {}
    needed_values: list[int] = []
    kept: set[int] = set()
    for entry in entries:
        if not entry.is_open:
            kept.add(entry.at)
            needed_values.append(entry.seen)
        elif not entry.is_read and entry.seen != entry.made:
            open_makers.setdefault(entry.made, []).append(entry)
    while needed_values:
        for entry in open_makers.pop(needed_values.pop(), ()):
            kept.add(entry.at)
            needed_values.append(entry.seen)
    return [entry for entry in entries if entry.at in kept]


@dataclass(frozen=True, slots=True)
class _Raw:
    """An operation with its completion, before its values are understood."""

    operation: Operation
    completion: Operation | None
    at: int
    invoke: int
    complete: int

    def split(self, independent: bool) -> tuple[Any, Any, Any]:
        """Key, value as invoked, value as answered."""
        value = self.operation.value
        answer = self.completion.value if self.completion is not None else None
        if not independent:
            return None, value, answer
        pair = value if is_pair(value) else answer
        if not is_pair(pair):
            raise not_keyed(self.operation, value)
        if is_pair(answer):
            if self.operation.f == READ and json_name(answer[0]) != json_name(pair[0]):
                raise other_key(self.operation, answer)
            answer = answer[1]
        return pair[0], value[1] if is_pair(value) else value, answer


def where(operation: Operation) -> str:
    """``operation 7 (read by process 2)``."""
    return f"operation {operation.index} ({operation.f} by process {operation.process})"


def not_keyed(operation: Operation, value: Any) -> Unjudgeable:
    """What is said of a value without a key."""
    return Unjudgeable(
        f"{where(operation)} has the value {shown(value)}, not [key, value],"
        " although its keys are independent"
    )


def other_key(operation: Operation, answer: Any) -> Unjudgeable:
    """What is said of an answer for another key than was asked for."""
    return Unjudgeable(f"{where(operation)} is answered {shown(answer)}, which is of another key")


def foreign(operation: Operation, model: str, functions: Collection[str]) -> Unjudgeable:
    """What is said of an operation that the model does not have."""
    f, known = operation.f, ", ".join(sorted(functions))
    return Unjudgeable(
        f"{where(operation)} is not an operation of the model {model}, which has {known}",
        f"give a model that has {f}, or name it as the model does ({known}) if it is one of these,"
        f" or leave it out with --ignore-f {f}",
    )


def initial_of(initial: Any, key: Any, independent: bool) -> Any:
    """The value of ``key`` before any operation; see :func:`by_key`."""
    if independent and isinstance(initial, Mapping):
        by_text = initial.get(key_text(key))
        return by_text if isinstance(key, list | dict) else initial.get(key, by_text)
    return initial


def _refused(raw: _Raw, value: Any, answer: Any, model: Model, home: KeyHistory) -> Entry | None:
    """A change that failed, if it can be told what it tried."""
    try:
        return _entry(raw, value, answer, model, home, nil_read_is_unknown=True)
    except Unjudgeable:
        return None


def _entry(
    raw: _Raw, value: Any, answer: Any, model: Model, home: KeyHistory, nil_read_is_unknown: bool
) -> Entry | None:
    """The entry, or ``None`` if it says nothing."""
    known = completion_is(raw.completion, OK)
    complete = raw.complete if known else NEVER
    f = raw.operation.f
    if f not in model.functions:
        raise foreign(raw.operation, model.name, model.functions)
    if f == READ:
        if not known or (answer is None and nil_read_is_unknown):
            return None
        return Entry(raw.at, raw.invoke, complete, home.number(answer), NOTHING)
    asked = value if value is not None or answer is None else answer
    if f == WRITE:
        return Entry(raw.at, raw.invoke, complete, NOTHING, home.number(asked))
    assert f == CAS
    if not is_pair(asked):
        raise Unjudgeable(f"{where(raw.operation)} has the value {shown(asked)}, not [old, new]")
    return Entry(raw.at, raw.invoke, complete, home.number(asked[0]), home.number(asked[1]))
