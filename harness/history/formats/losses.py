"""What a format cannot say of a history: refused by name, or left out where the user says so.

Formats of other tools know transactions in sessions and little else. :class:`Losses` goes over a
history once for a :class:`Target` and either refuses the first thing that would be lost, or counts
it (``--lossy``). What a verdict never rests on (who ran it, errors, names of nodes) is no loss.

Never are facts bent: a value that would come to mean something else is a loss as well, such as a
written 0 where 0 stands for the initial state.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from harness.errors import HistoryError
from harness.history.history import History
from harness.history.intakes import is_timed
from harness.history.operation import INFO, INVOKE, OK, Operation, is_transaction
from harness.history.rules import describe
from harness.history.values import exact
from harness.wording import shown as in_words

HINT: Final = "--lossy leaves out what cannot be said, and tells how much"
_READS: Final = frozenset(("r", "read"))
_WRITES: Final = frozenset(("w", "write"))
_LARGEST: Final = (1 << 64) - 1
_SMALLEST: Final = -(10**18)

Row = tuple[bool, Any, Any]
"""Whether it writes (or appends), key, and value; the value of a read of nothing is ``None``."""


@dataclass(frozen=True, kw_only=True)
class Target:
    """What a format can say: ``initial`` is the number that stands for the initial state.

    ``keeps_nil``: a read of nothing has a word of its own. ``keeps_aborted``: a transaction may
    have failed. ``reserved`` are numbers that no value may be.
    """

    name: str
    initial: int | None
    keeps_aborted: bool
    keeps_nil: bool = False
    reserved: frozenset[int] = frozenset()


@dataclass
class Flat:
    """Transactions in the order of their completions: session, whether it happened, and rows."""

    session: list[int] = field(default_factory=list)
    happened: list[bool] = field(default_factory=list)
    rows: list[list[Row]] = field(default_factory=list)

    def add(self, session: int, rows: list[Row], *, happened: bool = True) -> None:
        """One more transaction."""
        self.session.append(session)
        self.happened.append(happened)
        self.rows.append(rows)

    def by_session(self) -> list[list[int]]:
        """The transactions of each session, the sessions by their numbers."""
        found: dict[int, list[int]] = {}
        for number, session in enumerate(self.session):
            found.setdefault(session, []).append(number)
        return [found[session] for session in sorted(found)]


@dataclass
class Losses:
    """Refuses what cannot be said, or, where ``may_drop``, counts it in ``dropped``."""

    may_drop: bool = False
    dropped: Counter[str] = field(default_factory=Counter)

    def lose(self, target: str, what: str, where: str, count: int = 1) -> None:
        """``count`` of ``what`` cannot be said in ``target``; ``where`` names the first."""
        if not self.may_drop:
            raise HistoryError(f"{target} cannot say {what}: {where}", HINT)
        self.dropped[what] += count

    def transactions(self, history: History, target: Target) -> Flat:
        """The reads and writes of ``history`` as ``target`` can say them."""
        self._of_all(history, target)
        found = self._settled(_gathered(history, target, _WRITES, "reads and writes"), target)
        _name_by_numbers(found, target, self)
        if not target.keeps_nil:
            self._without_nil(found, target)
        return found

    def lists(self, history: History, target: Target) -> Flat:
        """The appends and reads of lists of ``history``."""
        self._of_all(history, target)
        appends = frozenset(("append",))
        found = self._settled(_gathered(history, target, appends, "appends and reads"), target)
        _check_lists(found, target)
        return found

    def of_order(self, history: History, target: str) -> None:
        """What is lost of a history as a whole by a format that has an order and no header."""
        if not is_timed(history.header):
            raise HistoryError(
                f"{target} cannot say a history without times: the order of its lines would be"
                " taken for what came before what"
            )
        self._of_header(history, target)

    def _of_header(self, history: History, target: str) -> None:
        header = history.header
        for fact, told in (
            ("a claim", header.claims),
            ("a declared initial state", header.initial is not None),
            ("that writes may be lost", header.not_durable),
        ):
            if told:
                self.lose(target, fact, f"{in_words(header.initial if told is True else told)}")

    def _of_all(self, history: History, target: Target) -> None:
        """What is lost of a history as a whole."""
        header = history.header
        if header.independent:
            raise HistoryError(f"{target.name} cannot say values of independent keys")
        if is_timed(header) and len(history):
            where = "it knows the order within each session alone"
            self.lose(target.name, "what came before what in real time", where, len(history))
        others = [each for each in history.operations if not each.is_client]
        if others:
            self.lose(target.name, "what no client did", describe(others[0]), len(others))
        self._of_header(history, target.name)

    def _settled(self, all_of_them: Sequence[_Ended], target: Target) -> Flat:
        """Infos are in if somebody read them, else out; aborted ones as the target has it."""
        found = Flat()
        seen = _seen(all_of_them)
        for each in all_of_them:
            if each.kind == INFO:
                what = "an unknown outcome (in if it was read, else out)"
                self.lose(target.name, what, describe(each.operation))
                rows = [row for row in each.rows if row[0]]
                if any((exact(key), exact(value)) in seen for _, key, value in rows):
                    found.add(each.session, rows)
            elif each.kind == OK:
                found.add(each.session, each.rows)
            elif target.keeps_aborted:
                rows = [row for row in each.rows if row[0]]
                if rows:
                    found.add(each.session, rows, happened=False)
            else:
                self.lose(target.name, "an aborted transaction", describe(each.operation))
        return found

    def _without_nil(self, found: Flat, target: Target) -> None:
        """Put what stands for the initial state in the place of nil."""
        nil = {key for rows in found.rows for writes, key, value in rows
               if not writes and value is None}  # fmt: skip
        if not nil:
            return
        initial = target.initial
        if initial is None:
            some = f"key {next(iter(nil))}; a transaction that writes it is put first"
            self.lose(target.name, "a read of the initial state", some, len(nil))
            initial = 1 + max(value or 0 for rows in found.rows for _, _, value in rows)
            first: list[Row] = [(True, key, initial) for key in sorted(nil)]
            found.session.insert(0, 1 + max(found.session))
            found.happened.insert(0, True)
            found.rows.insert(0, first)
        for rows in found.rows:
            rows[:] = [
                (writes, key, initial if value is None else value) for writes, key, value in rows
            ]


@dataclass(frozen=True)
class _Ended:
    """One transaction with what became of it; of what is not ``OK`` reads say nothing."""

    operation: Operation
    session: int
    kind: str
    rows: list[Row]


def _gathered(history: History, target: Target, writes: frozenset[str], what: str) -> list[_Ended]:
    """Every transaction, at the place of its completion, or at the end without one."""
    found: list[_Ended] = []
    opened: dict[int, Operation] = {}
    for operation in history.operations:
        if not operation.is_client:
            continue
        assert isinstance(operation.process, int)
        if operation.type == INVOKE:
            opened[operation.process] = operation
            continue
        asked = opened.pop(operation.process, operation)
        value = operation.value if is_transaction(operation.value) else asked.value
        kind = operation.type
        found.append(_Ended(operation, operation.process, kind, _rows(operation, value, target,
                                                                      writes, what)))  # fmt: skip
    for operation in opened.values():
        assert isinstance(operation.process, int)
        rows = _rows(operation, operation.value, target, writes, what)
        found.append(_Ended(operation, operation.process, INFO, rows))
    return found


def _rows(
    operation: Operation, value: Any, target: Target, writes: frozenset[str], what: str
) -> list[Row]:
    rows: list[Row] = []
    parts: Any = value if is_transaction(value) else [()]
    for part in parts:
        if len(part) not in (2, 3) or part[0] not in writes | _READS:
            raise HistoryError(
                f"{target.name} can say transactions of {what} alone, and this is none:"
                f" {describe(operation)}"
            )
        rows.append((part[0] in writes, part[1], part[2] if len(part) > 2 else None))
    return rows


def _seen(all_of_them: Iterable[_Ended]) -> set[tuple[str, str]]:
    """What somebody read who committed, for sure: keys with values, those within lists too."""
    seen = set()
    for each in all_of_them:
        for writes, key, value in each.rows if each.kind == OK else ():
            if not writes:
                named = exact(key)
                seen.add((named, exact(value)))
                items = value if isinstance(value, list) else ()
                seen.update((named, exact(item)) for item in items)
    return seen


def _name_by_numbers(found: Flat, target: Target, losses: Losses) -> None:
    """Give keys and values that are no numbers of the target's numbers, and see that none lies."""
    for place, what in ((1, "a key"), (2, "a value")):
        odd = [row[place] for rows in found.rows for row in rows
               if not _is_told(row, place, target)]  # fmt: skip
        if odd:
            losses.lose(
                target.name, f"{what} that is no number from 0 on", in_words(odd[0]), len(odd)
            )
            _renumber(found, place, target)
    if target.initial is None:
        return
    wrote, nil, met = _of_initial(found, target.initial)
    for keys, what in (
        (met - wrote, f"a read of {target.initial} that nobody wrote"),
        (wrote & nil if not target.keeps_nil else set(), f"a written {target.initial} beside nil"),
    ):
        if keys:
            where = f"key {min(keys)}: {target.initial} stands for the initial state"
            losses.lose(target.name, what, where, len(keys))
            _renumber(found, 2, target)


def _of_initial(found: Flat, initial: int) -> tuple[set[Any], set[Any], set[Any]]:
    """Keys to which the initial number was written, of which nil was read, or that number."""
    wrote, nil, met = set(), set(), set()
    for happened, rows in zip(found.happened, found.rows, strict=True):
        for writes, key, value in rows if happened else ():
            if writes and value == initial:
                wrote.add(key)
            elif not writes and value is None:
                nil.add(key)
            elif not writes and value == initial:
                met.add(key)
    return wrote, nil, met


def _is_told(row: Row, place: int, target: Target) -> bool:
    item = row[place]
    if item is None and place == 2 and not row[0]:
        return True
    is_number = type(item) is int and 0 <= item < _LARGEST
    return is_number and (place == 1 or item not in target.reserved)


def _renumber(found: Flat, place: int, target: Target) -> None:
    """Numbers from 1 on for all keys, or all values, equal ones for equal ones."""
    numbers: dict[str, int] = {}
    for rows in found.rows:
        for at, row in enumerate(rows):
            item = row[place]
            if item is None and place == 2:
                continue
            number = numbers.setdefault(exact(item), len(numbers) + 1)
            assert number not in target.reserved
            rows[at] = (row[0], number, row[2]) if place == 1 else (row[0], row[1], number)


def _check_lists(found: Flat, target: Target) -> None:
    """Refuse keys and elements that are no numbers: lists are not renamed."""
    for rows in found.rows:
        for at, (appends, key, value) in enumerate(rows):
            told = [value] if appends else value if value is not None else []
            if not isinstance(told, list) or not all(map(_is_small, [key, *told])):
                raise HistoryError(
                    f"{target.name} cannot say {in_words(key)} or {in_words(value)}:"
                    " expected whole numbers"
                )
            rows[at] = (appends, key, value if appends else told)


def _is_small(item: Any) -> bool:
    return type(item) is int and _SMALLEST < item < -_SMALLEST


def facts_told(dropped: Mapping[str, int]) -> list[str]:
    """A sentence for each kind of thing that was left out."""
    return [f"left out or renamed: {what} ({count} of them)" for what, count in dropped.items()]
