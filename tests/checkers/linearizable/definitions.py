"""What linearizable means, written anew and from records alone: slow and obvious.

An object is a class: ``first(initial)`` is its state at first, ``asked`` and ``answered`` read what
the records say, ``after`` gives the states that an operation may leave. :func:`verdict` tries every
order. It shares no code with the checkers.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from harness.history.operation import Operation

UNKNOWN = "unknown"
NOT_KNOWN = "the answer is not known"
SILENT = "says nothing"


class Refused(Exception):
    """A record that the object cannot have."""


def same(value: Any) -> str:
    """Text that is equal exactly for equal JSON; 1.0 is 1."""
    return json.dumps(_plain(value), sort_keys=True)


def _plain(value: Any) -> Any:
    if isinstance(value, float) and value == int(value):
        return int(value)
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value


@dataclass(frozen=True)
class Done:
    """One operation: from ``begin`` to ``end`` (none: it may happen whenever, or never)."""

    begin: int
    end: int | None
    f: str
    asked: Any
    answer: Any
    process: int


class Register:
    fs = ("read", "write", "cas")

    def __init__(self, nil_is_unknown: bool) -> None:
        self.nil_is_unknown = nil_is_unknown

    def first(self, initial: Any) -> Any:
        return same(initial)

    def read(self, done: Done) -> Done | None:
        """``done`` as the object takes it; ``None`` if it says nothing."""
        known = done.answer is not NOT_KNOWN
        if done.f == "read":
            is_silent = not known or (done.answer is None and self.nil_is_unknown)
            return None if is_silent else done
        asked = done.asked
        if asked is None and known:
            asked = done.answer  # also of one whose outcome is unknown
        if done.f == "cas" and not (isinstance(asked, list) and len(asked) == 2):
            raise Refused
        return Done(done.begin, done.end, done.f, asked, done.answer, done.process)

    def could_be_wrong(self, done: Done) -> bool:
        return done.end is not None and done.f in ("read", "cas")

    def after(self, state: Any, done: Done) -> Iterator[Any]:
        if done.f == "read":
            if same(done.answer) == state:
                yield state
        elif done.f == "write":
            yield same(done.asked)
        elif same(done.asked[0]) == state:
            yield same(done.asked[1])


class PlainRegister(Register):
    fs = ("read", "write")


class Lock:
    fs = ("acquire", "release")
    least = 2

    def first(self, initial: Any) -> Any:
        if initial in (None, False):
            return (None, 0, None)
        if initial is not True:
            raise Refused
        return ("anybody", 1, None)

    def read(self, done: Done) -> Done | None:
        if done.answer is False and done.end is not None:
            raise Refused
        return done

    def could_be_wrong(self, done: Done) -> bool:
        return done.end is not None

    def check_all(self, every: Sequence[Done], initial: Any) -> None:
        if len({same(done.asked) for done in every if done.f == "acquire"}) > 1:
            raise Refused

    def after(self, state: Any, done: Done) -> Iterator[Any]:
        holder, _, _ = state
        if done.f == "acquire" and holder is None:
            yield ("anybody", 1, None)
        if done.f == "release" and holder is not None:
            yield (None, 0, None)


class OwnedLock(Lock):
    def first(self, initial: Any) -> Any:
        if initial is None or initial is False:
            return (None, 0, None)
        if not isinstance(initial, int) or initial is True:
            raise Refused
        return (initial, 1, None)

    def after(self, state: Any, done: Done) -> Iterator[Any]:
        holder, _, _ = state
        if done.f == "acquire" and holder is None:
            yield (done.process, 1, None)
        if done.f == "release" and holder == done.process:
            yield (None, 0, None)


class ReentrantLock(OwnedLock):
    def after(self, state: Any, done: Done) -> Iterator[Any]:
        holder, times, _ = state
        if done.f == "acquire" and holder in (None, done.process):
            yield (done.process, times + 1, None)
        if done.f == "release" and holder == done.process:
            yield (done.process if times > 1 else None, times - 1, None)


class FencedLock(OwnedLock):
    def read(self, done: Done) -> Done | None:
        said = None if done.answer is NOT_KNOWN else done.answer
        is_number = isinstance(said, int | float) and not isinstance(said, bool)
        if done.f == "acquire" and said is not None and not is_number:
            raise Refused
        return super().read(done)

    def after(self, state: Any, done: Done) -> Iterator[Any]:
        holder, _, fence = state
        if done.f == "release":
            if holder == done.process:
                yield (None, 0, fence)
            return
        said = None if done.answer is NOT_KNOWN else done.answer
        if holder is None and (said is None or fence is None or said > fence):
            yield (done.process, 1, said if said is not None else fence)


class GrowingSet:
    fs = ("add", "remove", "contains", "read")

    def first(self, initial: Any) -> Any:
        if initial is not None and not isinstance(initial, list):
            raise Refused
        return frozenset(map(same, initial or []))

    def read(self, done: Done) -> Done | None:
        known, answer = done.end is not None, done.answer
        if done.f in ("read", "contains") and (not known or answer is None):
            return None
        if done.f == "read" and not isinstance(answer, list):
            raise Refused
        if done.f == "contains" and not isinstance(answer, bool):
            raise Refused
        if done.f in ("add", "remove") and done.asked is None and answer not in (None, NOT_KNOWN):
            raise Refused
        return done

    def could_be_wrong(self, done: Done) -> bool:
        return done.f in ("read", "contains")

    def after(self, state: Any, done: Done) -> Iterator[Any]:
        if done.f == "add":
            yield state | {same(done.asked)}
        elif done.f == "remove":
            yield state - {same(done.asked)}
        elif done.f == "contains":
            if (same(done.asked) in state) is done.answer:
                yield state
        elif frozenset(map(same, done.answer)) == state:
            yield state


class Queue:
    fs = ("enqueue", "dequeue")
    takes = "dequeue"

    def first(self, initial: Any) -> Any:
        if initial is not None and not isinstance(initial, list):
            raise Refused
        return tuple(map(same, initial or []))

    def read(self, done: Done) -> Done | None:
        if done.f != self.takes and done.asked is None:
            raise Refused
        return done

    def could_be_wrong(self, done: Done) -> bool:
        return done.end is not None and done.f == self.takes

    def out(self, state: tuple[str, ...]) -> Iterator[tuple[str, tuple[str, ...]]]:
        """What may come out next, and what is left."""
        yield state[0], state[1:]

    def after(self, state: Any, done: Done) -> Iterator[Any]:
        if done.f != self.takes:
            yield (*state, same(done.asked))
        elif not state:
            if done.answer in (None, NOT_KNOWN):
                yield state
        else:
            for item, left in self.out(state):
                if done.answer is NOT_KNOWN or (
                    done.answer is not None and same(done.answer) == item
                ):
                    yield left


class Stack(Queue):
    fs = ("push", "pop")
    takes = "pop"

    def out(self, state: tuple[str, ...]) -> Iterator[tuple[str, tuple[str, ...]]]:
        yield state[-1], state[:-1]


class Bag(Queue):
    def out(self, state: tuple[str, ...]) -> Iterator[tuple[str, tuple[str, ...]]]:
        for place, item in enumerate(state):
            yield item, state[:place] + state[place + 1 :]


class Counter:
    fs = ("add", "increment", "decrement", "read")

    def first(self, initial: Any) -> Any:
        return 0 if initial is None else self._whole(initial)

    def _whole(self, value: Any) -> int:
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if not is_number or value != int(value):
            raise Refused
        return int(value)

    def read(self, done: Done) -> Done | None:
        if done.f == "read":
            if done.end is None or done.answer is None:
                return None
            if isinstance(done.answer, bool) or not isinstance(done.answer, int | float):
                raise Refused
            return done
        asked = done.asked
        if asked is None and (done.f != "add" or done.answer in (None, NOT_KNOWN)):
            asked = 1
        return Done(done.begin, done.end, done.f, self._whole(asked), done.answer, done.process)

    def could_be_wrong(self, done: Done) -> bool:
        return done.f == "read"

    def after(self, state: Any, done: Done) -> Iterator[Any]:
        if done.f != "read":
            yield state + (-done.asked if done.f == "decrement" else done.asked)
        elif done.answer == state:
            yield state


class Map:
    """One key of it."""

    fs = ("get", "put", "append")

    def __init__(self, nil_is_unknown: bool) -> None:
        self.nil_is_unknown = nil_is_unknown

    def first(self, initial: Any) -> Any:
        return same(initial if initial is not None else "")

    def read(self, done: Done) -> Done | None:
        if done.f == "get":
            is_silent = done.answer is None and self.nil_is_unknown
            return None if done.end is None or is_silent else done
        if done.f == "append" and not isinstance(done.asked, str):
            raise Refused
        if done.f == "put" and done.asked is None and done.answer not in (None, NOT_KNOWN):
            raise Refused
        return done

    def check_all(self, every: Sequence[Done], initial: Any) -> None:
        held = [done.asked for done in every if done.f == "put"]
        held += [initial] if initial is not None else []
        if any(done.f == "append" for done in every) and {type(v) for v in held} - {str}:
            raise Refused

    def could_be_wrong(self, done: Done) -> bool:
        return done.f == "get"

    def after(self, state: Any, done: Done) -> Iterator[Any]:
        if done.f == "put":
            yield same("" if done.asked is None else done.asked)
        elif done.f == "append":
            yield same(json.loads(state) + done.asked)
        elif same("" if done.answer is None else done.answer) == state:
            yield state


class Registers:
    fs = ("txn", "read", "write")

    def __init__(self, nil_is_unknown: bool) -> None:
        self.nil_is_unknown = nil_is_unknown

    def first(self, initial: Any) -> Any:
        self.every = None if isinstance(initial, dict) else initial
        given = initial if isinstance(initial, dict) else {}
        self.given = {key: same(value) for key, value in given.items()}
        return frozenset()

    def _parts(self, value: Any) -> list[list[Any]]:
        if not isinstance(value, list):
            raise Refused
        for part in value:
            if not isinstance(part, list) or len(part) != 3 or part[0] not in ("r", "w"):
                raise Refused
        return value

    def read(self, done: Done) -> Done | None:
        """Asked: ``[f, key, value, whether the value must hold]`` of each micro-operation."""
        said = None if done.answer is NOT_KNOWN else done.answer
        parts = self._parts(done.asked if done.asked is not None else said)
        found = [[f, key, None if f == "r" else value, False] for f, key, value in parts]
        if said is not None:
            shown = self._parts(said)
            if [self._question(part) for part in shown] != [self._question(p) for p in parts]:
                raise Refused
            for part, mine, seen in zip(found, parts, shown, strict=True):
                is_new = done.end is not None or (mine[2] is None and seen[2] is not None)
                part[2:] = [seen[2], is_new] if part[0] == "r" else part[2:]
        if self.nil_is_unknown:
            found = [part if part[2] is not None else [*part[:3], False] for part in found]
        if all(part[0] == "r" for part in found) and not (
            done.end is not None and any(part[3] for part in found)
        ):
            return None
        return Done(done.begin, done.end, done.f, found, done.answer, done.process)

    def _question(self, part: list[Any]) -> str:
        return same([part[0], part[1], None if part[0] == "r" else part[2]])

    def could_be_wrong(self, done: Done) -> bool:
        return done.end is not None and any(part[0] == "r" and part[3] for part in done.asked)

    def after(self, state: Any, done: Done) -> Iterator[Any]:
        held = dict(state)
        for f, key, value, must in done.asked:
            if f == "w":
                held[same(key)] = same(value)
            else:
                at_first = self.given.get(str(key), same(self.every))
                if must and held.get(same(key), at_first) != same(value):
                    return
        yield frozenset(held.items())


OBJECTS: dict[str, Any] = {
    "register": PlainRegister,
    "cas-register": Register,
    "mutex": Lock,
    "owner-mutex": OwnedLock,
    "reentrant-mutex": ReentrantLock,
    "fenced-mutex": FencedLock,
    "linearizable-set": GrowingSet,
    "fifo-queue": Queue,
    "unordered-queue": Bag,
    "stack": Stack,
    "linearizable-counter": Counter,
    "kv": Map,
    "multi-register": Registers,
}


def made(model: str, nil_is_unknown: bool = False) -> Any:
    """The object of that name."""
    kind = OBJECTS[model]
    return kind(nil_is_unknown) if kind.__init__ is not object.__init__ else kind()


def verdict(
    model: str, operations: Sequence[Operation], initial: Any = None, *, is_foreign: bool = False
) -> Any:
    """``True``, ``False`` or ``"unknown"``. In others' histories an initial value silences nil."""
    thing = made(model, is_foreign and initial is not None)
    try:
        done = [one for one in taken_in(thing, operations) if one is not None]
        state = thing.first(initial)
        getattr(thing, "check_all", lambda every, initial: None)(done, initial)
    except Refused:
        return UNKNOWN
    if not has_order(thing, done, state):
        return False
    tested = sum(map(thing.could_be_wrong, done))
    return True if tested >= getattr(thing, "least", 1) else UNKNOWN


def has_order(thing: Any, done: Sequence[Done], state: Any) -> bool:
    """Whether some order of ``done`` fits, by trying every one."""
    dead: set[tuple[frozenset[int], Any]] = set()

    def search(past: frozenset[int], state: Any) -> bool:
        left = [n for n in range(len(done)) if n not in past]
        ends = [end for n in left if (end := done[n].end) is not None]
        if not ends:
            return True
        if (past, state) in dead:
            return False
        dead.add((past, state))
        return any(
            search(past | {n}, reached)
            for n in left
            if done[n].begin < min(ends)
            for reached in thing.after(state, done[n])
        )

    return search(frozenset(), state)


def taken_in(thing: Any, operations: Sequence[Operation]) -> Iterator[Done | None]:
    """Each operation that may have happened, as ``thing`` takes it."""
    begun: dict[Any, tuple[int, Operation]] = {}
    silent = told = False
    found: list[tuple[int, Operation, tuple[int, Operation] | None]] = []
    for place, operation in enumerate(operations):
        if operation.type == "invoke":
            if operation.process in begun:  # where a test left out the completion
                found.append((*begun[operation.process], None))
            begun[operation.process] = (place, operation)
        else:
            begin, invoked = begun.pop(operation.process)
            found.append((begin, invoked, (place, operation)))
    found += [(begin, invoked, None) for begin, invoked in begun.values()]
    for begin, invoked, end_and_completion in sorted(found, key=lambda each: each[0]):
        place, completion = end_and_completion or (None, None)
        kind = completion.type if completion is not None else "info"
        answer = completion.value if completion is not None else None
        is_silent = invoked.f in ("write", "cas") and invoked.value is None and kind != "fail"
        if isinstance(thing, Register) and is_silent:
            silent = silent or (kind != "ok" and answer is None)
            told = told or (kind == "ok" and answer is not None)
            if silent and told:
                raise Refused
        if kind == "fail" and completion is not None:
            if invoked.f not in ("dequeue", "pop") or getattr(thing, "takes", "") != invoked.f:
                continue
            if completion.error not in ("empty", ":empty", ["empty", "it is"]):
                continue
            kind, answer = "ok", None  # it found nothing, which is an answer
        if invoked.f not in thing.fs:
            raise Refused
        if kind != "ok":  # what it says counts for a write that was asked without a value, say
            is_heard = isinstance(thing, Registers | Register) and invoked.f != "read"
            is_heard = is_heard or isinstance(thing, Registers)
            answer = answer if is_heard and answer is not None else NOT_KNOWN
        end = place if kind == "ok" else None
        asked, process = invoked.value, int(invoked.process)
        yield thing.read(Done(begin, end, invoked.f, asked, answer, process))
