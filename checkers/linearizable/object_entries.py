"""From a history to what a search over any object needs: the calls of each part, as a problem.

As :mod:`checkers.linearizable.register_entries` does for registers, for the objects of
:mod:`checkers.linearizable.object_models`: intervals in positions of the history, ``fail`` left
out, looks without an answer left out, each call as the model takes it
(:mod:`checkers.linearizable.object_answers`), so that only completions answer. An object that is
nothing but independent parts is taken apart, which loses nothing (Herlihy & Wing, 1990).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from sys import getsizeof
from typing import Any, Final

from checkers.linearizable.object_answers import TAKES, Call, Unfit
from checkers.linearizable.object_models import GARBAGE, INCONSISTENT, Sequential
from checkers.linearizable.register_entries import (
    BEFORE_ALL,
    NEVER,
    Unjudgeable,
    foreign,
    initial_of,
    json_name,
    not_keyed,
    other_key,
    where,
)
from checkers.linearizable.search_problem import REFUSED, Problem
from checkers.proof.independence import LOOKS
from checkers.proof.shapes import is_pair
from harness.history.calls import said_empty
from harness.history.history import History
from harness.history.operation import FAIL, INVOKE, OK, Operation
from harness.history.values import told

_BYTES_PER_STATE: Final = 500
"""Its places in tables, and those of the steps from it."""
_ANSWERED: Final = LOOKS | {"contains", "txn"}
"""Operations whose answers matter; those of changes are ignored."""


@dataclass(frozen=True, slots=True)
class Timed:
    """A call with its interval; ``at`` is the position of its first record and names it."""

    at: int
    invoke: int
    complete: int
    call: Call

    @property
    def is_open(self) -> bool:
        """Whether nobody knows if it happened."""
        return self.complete == NEVER


@dataclass
class Part:
    """What happened to one object, in order of invocation."""

    key: Any
    model: Sequential
    initial: Any
    calls: list[Timed] = field(default_factory=list)


def parts_of(
    history: History,
    model: Sequential,
    *,
    independent: bool,
    initial: Any = None,
    nil_read_is_unknown: bool = False,
) -> list[Part]:
    """The calls on each key, in order of first sight; one key ``None`` if not independent.

    Raises :class:`~checkers.linearizable.register_entries.Unjudgeable` for what the model does not
    have.
    """
    found: dict[Any, Part] = {}
    for position, operation in enumerate(history.operations):
        if not operation.is_client:
            continue
        timed = _timed(history, position, operation, model)
        if timed is None:
            continue
        key = None
        if independent:
            key, timed = _keyed(operation, timed, model)
        part = found.get(json_name(key))
        if part is None:
            part = found[json_name(key)] = Part(key, model, initial_of(initial, key, independent))
            _start_of(part)
        call = _settled(operation, timed.call, model, nil_read_is_unknown)
        if call is not None and (call.is_known or not model.looks(call)):
            part.calls.append(timed if call is timed.call else replace(timed, call=call))
    for part in found.values():
        objection = model.objection([timed.call for timed in part.calls], part.initial)
        if objection:
            raise Unjudgeable(objection)
    return [piece for part in found.values() for piece in _pieces(part)]


def _start_of(part: Part) -> None:
    try:
        part.model.start(part.initial)
    except Unfit as error:
        raise Unjudgeable(str(error)) from None


def _settled(
    operation: Operation, call: Call, model: Sequential, nil_is_unknown: bool
) -> Call | None:
    """``call`` as ``model`` takes it; ``None`` if it says nothing."""
    try:
        settled = model.settled(call)
    except Unfit as error:
        raise Unjudgeable(f"{where(operation)} {error}") from None
    return model.nil(settled) if nil_is_unknown and settled is not None else settled


def _timed(
    history: History, position: int, operation: Operation, model: Sequential
) -> Timed | None:
    pair = history.pairs[position]
    completion = history.operations[pair] if pair >= 0 else None
    invoke = position
    if operation.type != INVOKE:
        if pair >= 0 or operation.type != OK:
            return None
        completion, pair, invoke = operation, position, BEFORE_ALL
    is_empty = found_nothing(model, operation, completion)
    if completion is not None and completion.type == FAIL and not is_empty:
        return None
    if model.functions and operation.f not in model.functions:
        raise foreign(operation, model.name, model.functions)
    is_known = is_empty or (completion is not None and completion.type == OK)
    answer = completion.value if completion is not None and not is_empty else None
    if not is_known and not model.hears_unknown:
        answer = None
    call = Call(operation.f, operation.value, answer, is_known, int(operation.process))
    return Timed(position, invoke, pair if is_known else NEVER, call)


def found_nothing(model: Sequential, asked: Operation, completion: Operation | None) -> bool:
    """Whether something that takes out failed with exactly the error ``empty``: an answer."""
    if completion is None or completion.type != FAIL or not model.takes_out:
        return False
    return asked.f in TAKES and said_empty(completion.error)


def _keyed(operation: Operation, timed: Timed, model: Sequential) -> tuple[Any, Timed]:
    """The key, and the call without it."""
    answer = timed.call.answer
    value = timed.call.value if timed.call.value is not None else answer
    if not is_pair(value):
        raise not_keyed(operation, value)
    if is_pair(answer):
        if json_name(answer[0]) != json_name(value[0]):
            if operation.f in _ANSWERED:
                raise other_key(operation, answer)
            answer = [None, None]
        answer = answer[1]
    asked = value[1] if timed.call.value is not None else None
    return value[0], replace(timed, call=timed.call._replace(value=asked, answer=answer))


def _pieces(part: Part) -> list[Part]:
    """``part`` taken apart as its model allows, if every call is about one piece alone."""
    pieces: dict[Any, Part] = {}
    for timed in part.calls:
        name = part.model.split(timed.call.value)
        if name is None:
            return [part]
        key = name if part.key is None else [part.key, name]
        piece = pieces.setdefault(name, Part(key, part.model, part.initial))
        piece.calls.append(timed)
    return list(pieces.values()) or [part]


class StepMachine:
    """A :class:`~checkers.linearizable.search_problem.Machine` out of a model and its calls."""

    def __init__(self, model: Sequential, initial: Any, every: Sequence[Call] = ()) -> None:
        """``every`` are all calls that it will be asked about, if known."""
        self.model = model
        self.fold = model.fold(every) if model.fold is not None else None
        self.calls: list[Call] = []
        self.looks: list[bool] = []
        self._kinds: dict[Any, int] = {}
        start = model.start(initial)
        self.states: list[Any] = [start if self.fold is None else self.fold(start)]
        self._numbers: dict[Any, int] = {self.states[0]: 0}
        self._steps: dict[tuple[int, int], int] = {}
        self.held_bytes = 0

    def kind(self, call: Call) -> int:
        """The kind of ``call``: the same for calls that ask and answer the same."""
        owner = call.process if self.model.owned else 0
        name = (call.f, json_name(call.value), json_name(call.answer), call.is_known, owner)
        kind = self._kinds.setdefault(name, len(self.calls))
        if kind == len(self.calls):
            self.calls.append(call)
            self.looks.append(self.model.looks(call))
        return kind

    def step(self, state: int, kind: int) -> int:
        """See :class:`~checkers.linearizable.search_problem.Machine`."""
        known = self._steps.get((state, kind))
        if known is None:
            known = self._steps[state, kind] = self._step(self.states[state], self.calls[kind])
        return known

    def name(self, state: int) -> str:
        """A state in words."""
        held = self.states[state]
        if held is GARBAGE:
            return " ".join(GARBAGE)
        if isinstance(held, frozenset):
            return told(sorted(held, key=str))
        return told(held) if isinstance(held, tuple) else str(held)

    def _step(self, state: Any, call: Call) -> int:
        reached = self.model.step(state, call)
        if reached is INCONSISTENT:
            return REFUSED
        if self.fold is not None:
            reached = self.fold(reached)
        number = self._numbers.setdefault(reached, len(self.states))
        if number == len(self.states):
            self.states.append(reached)
            self.held_bytes += getsizeof(reached) + _BYTES_PER_STATE
        return number


def problem_of(part: Part, calls: Sequence[Timed] | None = None) -> Problem:
    """``part`` (with other ``calls``, if given) as a problem."""
    calls = part.calls if calls is None else calls
    machine = StepMachine(part.model, part.initial, [timed.call for timed in calls])
    kinds = [machine.kind(timed.call) for timed in calls]
    return Problem(machine, kinds, [c.invoke for c in calls], [c.complete for c in calls])


def until(calls: Sequence[Timed], position: int, model: Sequential) -> list[Timed]:
    """What is known up to and including the record at ``position``: later answers are not."""
    known = []
    for timed in calls:
        if timed.invoke > position:
            continue
        if timed.complete > position:
            timed = forgotten(timed)
            if model.looks(timed.call):
                continue
        known.append(timed)
    return known


def forgotten(timed: Timed) -> Timed:
    """``timed`` as if it had never been answered."""
    return replace(timed, complete=NEVER, call=timed.call._replace(answer=None, is_known=False))
