"""How operations are told in a proof: T1, T2, ... with their records, and why one precedes another.

The form is Elle's: first the operations ("Let: T1 = ..."), then the steps ("Then: T1 < T2,
because ..."), the last of which ends in the contradiction.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from msgspec import structs

from checkers.linearizable.register_entries import NOTHING, Entry, KeyHistory
from checkers.linearizable.zones import START
from checkers.proof.words import all_of, moment, one_of, operation_line
from harness.history.calls import is_measured
from harness.history.history import History
from harness.history.operation import Operation
from harness.history.values import told


def show(value: Any) -> str:
    """``value`` as JSON, ``nil`` for the value of an absent key."""
    if value is None:
        return "nil"
    return told(value)


@dataclass
class Narrator:
    """Knows the operations behind entries, and numbers those that a proof mentions.

    ``cast`` is put in order of invocation; :data:`START` may be in it and is not numbered.
    """

    history: History
    home: KeyHistory
    cast: Sequence[Entry]

    def __post_init__(self) -> None:
        originals = {entry.at: entry for entry in (*self.home.entries, *self.home.refused)}
        people = {entry.at: originals[entry.at] for entry in self.cast if entry.at in originals}
        self.people = sorted(people.values(), key=lambda entry: (entry.invoke, entry.at))
        self.names = {entry.at: f"T{n}" for n, entry in enumerate(self.people, 1)}
        self.names[START.at] = "the start"

    def name(self, entry: Entry) -> str:
        """``T3``."""
        return self.names[entry.at]

    def value(self, number: int) -> str:
        """The value numbered ``number``."""
        return show(self.home.values[number])

    def values(self, numbers: Iterable[int]) -> str:
        """``1, 2 or 3``, in a fixed order."""
        return one_of(sorted(self.value(number) for number in numbers))

    def listed_values(self, numbers: Iterable[int]) -> str:
        """``1, 2 and 3``, in the order given."""
        return all_of([self.value(number) for number in numbers])

    def deed(self, entry: Entry) -> str:
        """``read 5``, ``wrote 5`` or ``replaced 4 by 5``."""
        if entry.is_read:
            return f"read {self.value(entry.seen)}"
        if entry.seen == NOTHING:
            return f"wrote {self.value(entry.made)}"
        return f"replaced {self.value(entry.seen)} by {self.value(entry.made)}"

    def origin(self, value: int, maker: Entry) -> str:
        """Where ``value``, which was made once, came from."""
        if maker.at == START.at:
            return f"{self.value(value)} was the value at the start, which nobody had written again"
        return f"only {self.name(maker)} had written {self.value(value)}"

    def before(self, first: Entry, second: Entry) -> str:
        """``T1 < T2, because ...``, from the records."""
        if first.at == START.at:
            return f"the start is before {self.name(second)}"
        answer = _answered(self._completion(first))
        call = moment(self._invocation(second))
        return (
            f"{self.name(first)} < {self.name(second)}, because {self.name(first)} was answered"
            f" ({answer}) before {self.name(second)} was invoked ({call}{self._gap(first, second)})"
        )

    def before_all(self, first: Entry, others: Sequence[Entry]) -> str:
        """``T1 < T2, T3``, from the records."""
        if len(others) == 1:
            return self.before(first, others[0])
        names = ", ".join(map(self.name, others))
        answer = _answered(self._completion(first))
        return f"{self.name(first)} < {names}, all invoked after its answer ({answer})"

    def introduction(self) -> list[str]:
        """One line for each operation: what, who, where, when."""
        return [f"{self.name(entry)} = {self._describe(entry)}" for entry in self.people]

    def witness(self) -> tuple[int, ...]:
        """Index of the completion (or of the invocation, if there is none) of each operation."""
        return tuple(sorted(self.index(entry) for entry in self.people))

    def index(self, entry: Entry) -> int:
        """Index of the completion of ``entry``, or of its invocation if there is none."""
        return (self._completion(entry) or self._invocation(entry)).index

    def record(self, position: int) -> str:
        """``index 12, 1.210 s``."""
        return moment(self._operation(position))

    def span_ns(self, entries: Sequence[Entry]) -> tuple[int, int]:
        """Time of the first invocation and of the last answer among ``entries``."""
        calls = [self._invocation(entry).time for entry in entries]
        answers = [self._completion(entry) for entry in entries]
        return min(calls), max([*calls, *(answer.time for answer in answers if answer)])

    def _invocation(self, entry: Entry) -> Operation:
        return self._operation(entry.at)

    def _completion(self, entry: Entry) -> Operation | None:
        if entry.invoke < 0:
            return self._operation(entry.at)
        pair = self.history.pairs[entry.at]
        return self._operation(pair) if pair >= 0 else None

    def _operation(self, position: int) -> Operation:
        """The record there; one that has no index is known by its position."""
        found = self.history.operations[position]
        return found if found.index >= 0 else structs.replace(found, index=position)

    def _describe(self, entry: Entry) -> str:
        return operation_line(self._call(entry), self._invocation(entry), self._completion(entry))

    def _call(self, entry: Entry) -> str:
        if entry.is_read:
            return f"read -> {self.value(entry.seen)}"
        if entry.seen == NOTHING:
            return f"write {self.value(entry.made)}"
        return f"compare-and-set {self.value(entry.seen)} -> {self.value(entry.made)}"

    def _gap(self, first: Entry, second: Entry) -> str:
        answer, call = self._completion(first), self._invocation(second)
        if answer is None or answer.time < 0 or call.time <= answer.time:
            return ""
        if not is_measured(call.time, call.index):
            return ""
        return f", {(call.time - answer.time) / 1e6:.1f} ms later"


def _answered(completion: Operation | None) -> str:
    return "never" if completion is None else moment(completion)
