"""Transactions over registers as Python objects, for checkers that look at them one by one.

Reads and writes are told apart by name (``r``/``read``, ``w``/``write``). Of each transaction
the *external* reads are kept (the first touch of a key, if that is a read), *every* read of what
it had not itself written last, and the *final* writes (the last to each key): what other
transactions can have to do with. An ``ok`` transaction happened, a ``fail`` one did not, and of an
``info`` one (or one never answered) the writes may have, and its reads prove nothing by
themselves: once a committed transaction read what it wrote last to a key, it is committed as well,
and what its completion tells it to have found counts (nil may only mean that it does not tell).

What is not taken for more than it is:

- A value equals another one only if it is the same JSON (:func:`harness.history.calls.name`):
  ``true`` is not 1, ``"1"`` is not 1, lists and maps are values as well.
- The declared initial state of a key (``-i x=0``, the header's ``initial``; a bare value is that
  of every key) is what nil is elsewhere. Nil read of such a key is a value that nobody wrote. Where
  the initial state was written again, a read of it tells nothing.
- An operation that is no list of such steps is *foreign*: what it did to the registers nobody
  knows. An answer that is not of the steps that were asked (other keys, other writes) tells what
  neither the reads nor the writes of that transaction were.
- An operation whose invocation is not recorded began nobody knows when, and where the file knows
  sessions alone, so did every operation for those of other sessions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from checkers.proof.shapes import is_pair
from checkers.proof.words import shortened
from harness.history.calls import name, short
from harness.history.intakes import is_timed
from harness.history.operation import FAIL, INFO, INVOKE, OK, Header, Operation
from harness.history.values import key_text
from harness.verdict.record import Record
from harness.verdict.steps import OTHER_MODEL
from harness.verdict.verdict import UNKNOWN, Verdict, untested

READS: Final = frozenset(("r", "read"))
WRITES: Final = frozenset(("w", "write"))
_NAMES_READ: Final = ("r", "read")
NOTHING: Final = ("nothing", "null")
"""Nil where the declared initial state is something else."""
UNANSWERED: Final = 1 << 62
"""The end of a transaction that never had an answer."""
Version = tuple[Any, Any]
"""(key, value), both by :func:`harness.history.calls.name`; ``None`` is the initial state."""
Step = tuple[str, Any, Any]


@dataclass(eq=False)
class Registers:
    """One transaction: ``position`` of its completion (or invocation), and what it touched.

    ``begun`` is the position of its invocation, -1 if none was recorded; ``ended`` that of its
    answer, :data:`UNANSWERED` without one.
    """

    position: int
    status: str
    process: Any = None
    begun: int = -1
    ended: int = UNANSWERED
    reads: dict[Any, Any] = field(default_factory=dict)
    seen: dict[Version, None] = field(default_factory=dict)
    """Every read of what it had not itself written last."""
    before_own: dict[Version, None] = field(default_factory=dict)
    """Those of :attr:`seen` that came before it wrote the key itself."""
    writes: dict[Any, Any] = field(default_factory=dict)
    overwritten: list[Version] = field(default_factory=list)
    """(key, value) of writes that the same transaction overwrote."""
    disagreeing: list[tuple[Any, Any, Any]] = field(default_factory=list)
    """(key, value read, value that it had itself read last) where the two differ."""
    unread: list[tuple[Any, Any, Any]] = field(default_factory=list)
    """(key, value read, value that it had itself written last) where the two differ."""
    is_committed: bool = False
    answered: Sequence[Step] = ()
    """Of one whose outcome is unknown, the steps of its completion if they tell of reads."""


@dataclass
class Transactions:
    """The transactions of a history; ``foreign`` operations, by their names; what to doubt.

    ``odd`` says of the first answer that does not answer what was asked where it is; such
    transactions are left out, and ``doubtful`` are the versions that they may have written.
    """

    found: list[Registers] = field(default_factory=list)
    foreign: dict[str, int] = field(default_factory=dict)
    odd: str = ""
    doubtful: list[Version] = field(default_factory=list)

    def refusal(self, checker: str) -> Verdict | None:
        """The answer where nothing can be said: operations of no register, or none at all."""
        if self.foreign:
            return foreign_operations(checker, self.foreign, "reads and writes of registers")
        if not self.found and not self.odd:
            why = f"the history has no transaction that {checker} could judge"
            return untested(why, settle=OTHER_MODEL)
        return None


def foreign_operations(checker: str, foreign: Mapping[str, int], known: str) -> Verdict:
    """Unknown, because operations that may have happened are none of the model."""
    counts = ", ".join(f"{count} {f}" for f, count in sorted(foreign.items()))
    return Verdict(
        valid=UNKNOWN,
        why=f"{checker} does not know what these operations do: {counts} (it knows {known})",
        settle="judge without them (--ignore-f) if they do not touch what the checker judges, or"
        " by a model that knows them",
        stats={"foreign": dict(foreign)},
    )


def register_transactions(record: Record, *, single: bool = False) -> Transactions:
    """Every client transaction of ``record`` over registers, in order of its last record.

    ``single``: each ``read`` or ``write`` beside them is one of one step.
    """
    made = Transactions()
    initial = initial_values(record.header)
    for position, asked, answered in _pairs(record):
        steps = _steps(record.header, asked, answered, single)
        if isinstance(steps, _Foreign):
            if answered.type != FAIL:
                made.foreign[steps.f] = made.foreign.get(steps.f, 0) + 1
        elif isinstance(steps, _Odd):
            made.odd = made.odd or steps.why
            made.doubtful += steps.versions
        elif steps:
            made.found.append(_registers(record, position, steps, initial))
            if (
                answered.type == INFO
                and asked is not None
                and _is_answer(asked.value, answered.value)
            ):
                answer = _micro_steps(answered.index, answered.value, None)
                made.found[-1].answered = answer if isinstance(answer, list) else ()
    _count_what_committed(record, made, initial)
    return made


def _count_what_committed(
    record: Record, transactions: Transactions, initial: Callable[[Any], Any]
) -> None:
    """Count the reads of transactions without an outcome of which a committed one read a write."""
    if not any(each.answered for each in transactions.found):
        return
    known = writers(transactions)
    waiting = [each for each in transactions.found if each.is_committed]
    while waiting:
        for version in waiting.pop().seen:
            source = known.source(version)
            if source is None or source.is_committed or version not in known.possible:
                continue
            source.is_committed = True
            waiting.append(source)
            if source.answered:
                found = _registers(
                    record, source.position, source.answered, initial, committed=True
                )
                source.reads, source.seen, source.before_own = (
                    found.reads,
                    found.seen,
                    found.before_own,
                )
                source.disagreeing, source.unread = found.disagreeing, found.unread


@dataclass(frozen=True)
class _Foreign:
    f: str


@dataclass(frozen=True)
class _Odd:
    why: str
    versions: Sequence[Version] = ()


def _pairs(record: Record) -> Iterator[tuple[int, Operation | None, Operation]]:
    """Position of the last record of each operation, its invocation if recorded, that record."""
    history = record.history
    for position, operation in enumerate(history.operations):
        other = history.pairs[position]
        if not operation.is_client or (operation.type == INVOKE and other >= 0):
            continue
        asked = history.operations[other] if other >= 0 else None
        yield position, operation if operation.type == INVOKE else asked, operation


def _is_list_of_steps(value: Any) -> bool:
    return isinstance(value, list | tuple) and all(
        isinstance(step, list | tuple) and bool(step) and isinstance(step[0], str) for step in value
    )


def _steps(
    header: Header, asked: Operation | None, answered: Operation, single: bool
) -> list[Step] | _Foreign | _Odd:
    """The steps of an operation: of an ok one as it was answered, else as it was asked."""
    if asked is not None and answered.type == OK and _is_answer(asked.value, answered.value):
        return _micro_steps(answered.index, answered.value, None)
    parts = [_parts(header, each, asked, single) for each in (asked, answered) if each is not None]
    if isinstance(parts[0], list) and answered.type != OK:
        return parts[0]
    if isinstance(parts[0], list) and isinstance(parts[-1], _Foreign):
        why = f"the answer at index {answered.index} is no list of steps: {short(answered.value)}"
        return _Odd(why, _written(parts[0]))
    foreign = next((part for part in parts if isinstance(part, _Foreign)), None)
    if foreign is not None:
        return foreign
    first, last = parts[0], parts[-1]
    if answered.type != OK:
        return next((part for part in parts if part is not None), _Foreign(answered.f))
    if isinstance(first, _Odd):
        return first
    if isinstance(last, _Odd):
        return last
    if asked is None or first is None or isinstance(first, _Foreign) or isinstance(last, _Foreign):
        return _Foreign(answered.f) if last is None else last
    if last is None:
        why = f"operation {answered.index} is ok and does not say what it read"
        return _Odd(why, _written(first))
    if _bones(first) == _bones(last):
        return last
    why = (
        f"the answer at index {answered.index} is not of what was asked: {short(answered.value)}"
        f" for {short(asked.value)}"
    )
    return _Odd(why, _written([*first, *last]))


def _is_answer(asked: Any, answered: Any) -> bool:
    """Whether it is plain that both are the same steps but for what was read."""
    if not isinstance(asked, list) or not isinstance(answered, list) or len(asked) != len(answered):
        return False
    return bool(answered) and all(
        isinstance(one, list)
        and isinstance(other, list)
        and len(one) == 3 == len(other)
        and one[0] == other[0]
        and one[1] == other[1]
        and (one[0] in _NAMES_READ or one[2] == other[2])
        for one, other in zip(asked, answered, strict=True)
    )


def _parts(
    header: Header, operation: Operation, asked: Operation | None, single: bool
) -> list[Step] | _Foreign | _Odd | None:
    """The steps that one record tells, ``asked`` its invocation; ``None`` if it tells none."""
    value = operation.value
    f = "read" if operation.f == "read-init" else operation.f
    if _is_list_of_steps(value) and (value or f not in READS | WRITES):
        return _micro_steps(operation.index, value, None)
    if header.independent and is_pair(value) and value[1] and _is_list_of_steps(value[1]):
        return _micro_steps(operation.index, value[1], value[0])
    if not single or f not in READS | WRITES:
        return None if value is None else _Foreign(operation.f)
    if f in WRITES and asked is not None:
        value = asked.value  # what a write is answered is no matter
    key: Any = None
    if header.independent and is_pair(value):
        key, value = value
    elif header.independent:
        if asked is None or not is_pair(asked.value):
            return _Odd(f"operation {operation.index} names no key: {short(value)}")
        key = asked.value[0]
    return [(f, name(key), name(value))]


def _micro_steps(index: int, steps: Sequence[Any], table: Any) -> list[Step] | _Foreign | _Odd:
    """The steps of a transaction; of independent keys each has its own registers."""
    found: list[Step] = []
    for step in steps:
        if step[0] not in READS | WRITES:
            return _Foreign(step[0])
        if len(step) != 3 and not (len(step) == 2 and step[0] in READS):
            return _Odd(f"operation {index} has the step {short(step)}")
        key = step[1] if table is None else [table, step[1]]
        found.append((step[0], name(key), name(step[2] if len(step) == 3 else None)))
    return found


def _bones(steps: Sequence[Step]) -> list[Step]:
    """What an answer must have as it was asked: all but what was read."""
    return [("r", key, None) if f in READS else ("w", key, value) for f, key, value in steps]


def _written(steps: Sequence[Step]) -> list[Version]:
    return [(key, value) for f, key, value in steps if f in WRITES]


def initial_values(header: Header) -> Callable[[Any], Any]:
    """The declared initial state of a key, both by name; ``None`` where nothing is declared."""
    initial = header.initial
    if isinstance(initial, Mapping):
        declared = {str(key): name(value) for key, value in initial.items()}
        return lambda key: declared.get(key_text(key))
    of_all = name(initial)
    return lambda key: of_all


def _registers(
    record: Record,
    position: int,
    steps: Sequence[Step],
    initial: Callable[[Any], Any],
    *,
    committed: bool = False,
) -> Registers:
    """A transaction; ``committed`` takes what is told of its reads though its outcome is not."""
    last = record.history.operations[position]
    status = INFO if last.type == INVOKE else last.type
    found = Registers(position, status, last.process, is_committed=status == OK)
    if is_timed(record.header):
        found.begun = record.history.pairs[position] if last.type != INVOKE else position
        found.ended = position if status in (OK, FAIL) else UNANSWERED
    own: dict[Any, Any] = {}
    for f, key, value in steps:
        if committed and value is None and f in READS:
            continue
        start = initial(key)
        if start is not None:
            value = None if value == start else NOTHING if value is None else value
        if f in READS:
            if status == OK or committed:
                _read(found, own, key, value)
        else:
            if key in found.writes:
                found.overwritten.append((key, found.writes[key]))
            found.writes[key] = value
            own[key] = value
    return found


def _read(found: Registers, own: dict[Any, Any], key: Any, value: Any) -> None:
    if key in found.writes:
        if found.writes[key] != value:
            found.unread.append((key, value, found.writes[key]))
            found.seen[key, value] = None
        return
    if key in own and own[key] != value:
        found.disagreeing.append((key, value, own[key]))
    found.reads.setdefault(key, value)
    found.seen[key, value] = found.before_own[key, value] = None
    own[key] = value


@dataclass
class Writers:
    """Who wrote which value: by (key, value) the transactions, failed ones apart.

    ``possible`` holds final values, ``intermediate`` those that their transaction overwrote.
    """

    possible: dict[Version, Registers] = field(default_factory=dict)
    failed: dict[Version, Registers] = field(default_factory=dict)
    intermediate: dict[Version, Registers] = field(default_factory=dict)
    twice: dict[Version, None] = field(default_factory=dict)
    """(key, value) that more than one transaction may have written: nothing follows from them."""

    def source(self, version: Version) -> Registers | None:
        """Who alone wrote a value, whatever became of it."""
        if version in self.twice or version[1] is None:
            return None
        for table in (self.possible, self.intermediate, self.failed):
            if version in table:
                return table[version]
        return None

    def installed(self, version: Version) -> bool:
        """Whether it is certainly one version that can have been read: a final one, or initial."""
        return version not in self.twice and (version[1] is None or version in self.possible)


def writers(transactions: Transactions) -> Writers:
    """The writers of every value."""
    known = Writers(twice=dict.fromkeys(transactions.doubtful))
    wrote: dict[Version, Registers] = {}
    for transaction in transactions.found:
        final = list(transaction.writes.items())
        for version in (*final, *transaction.overwritten):
            if version[1] is None:  # the initial state, written again
                if transaction.status != FAIL:
                    known.twice[version] = None
            elif wrote.setdefault(version, transaction) is not transaction:
                known.twice[version] = None
        if transaction.status == FAIL:
            known.failed.update(dict.fromkeys((*final, *transaction.overwritten), transaction))
            continue
        known.possible.update((version, transaction) for version in final)
        for version in transaction.overwritten:
            if known.possible.get(version) is not transaction:
                known.intermediate[version] = transaction
    return known


def written_twice_over(known: Writers) -> str:
    """Why nothing is proved: values of which nobody can say who wrote them; empty if none."""
    if not known.twice:
        return ""
    versions = [f"{displayed(value)} to key {displayed(key)}" for key, value in known.twice]
    return f"written more than once, so that reads tell nothing: {shortened(versions)}"


def displayed(named: Any) -> str:
    """What :func:`harness.history.calls.name` gave a name, as JSON."""
    return _inner(named) if isinstance(named, tuple) else short(named, 400)


def _inner(named: Any) -> str:
    return str(named[1]) if isinstance(named, tuple) else short(named)
