"""Random histories of every object: acted out on the model itself, or answered blindly.

Acted out, each operation acts once inside its interval, so there is an order by construction.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random
from typing import Any

from checkers.linearizable.object_entries import Part as CallPart
from checkers.linearizable.object_entries import Timed
from checkers.linearizable.object_models import INCONSISTENT, OBJECTS, Call, Sequential
from checkers.linearizable.register_entries import NEVER
from checkers.linearizable.search_problem import REFUSED, Problem

ASK: dict[str, Callable[[Random, int], tuple[str, Any]]] = {
    "mutex": lambda r, n: (r.choice(["acquire", "release"]), None),
    "owner-mutex": lambda r, n: (r.choice(["acquire", "release"]), None),
    "reentrant-mutex": lambda r, n: (r.choice(["acquire", "release"]), None),
    "fenced-mutex": lambda r, n: (r.choice(["acquire", "release"]), None),
    "linearizable-set": lambda r, n: r.choice(
        [("add", n % 4)] * 2 + [("remove", n % 3), ("contains", n % 5), ("read", None)]
    ),
    "fifo-queue": lambda r, n: r.choice([("enqueue", n % 3), ("dequeue", None)]),
    "unordered-queue": lambda r, n: r.choice([("enqueue", n % 3), ("dequeue", None)]),
    "stack": lambda r, n: r.choice([("push", n % 3), ("pop", None)]),
    "linearizable-counter": lambda r, n: r.choice(
        [("add", r.randrange(3)), ("decrement", 1), ("read", None), ("read", None)]
    ),
    "kv": lambda r, n: r.choice(
        [("get", None), ("get", None), ("put", r.choice("ab")), ("append", r.choice("ab"))]
    ),
    "multi-register": lambda r, n: (
        "txn",
        [[r.choice("rw"), r.choice("xy"), r.randrange(2)] for _ in range(r.randint(1, 2))],
    ),
}
"""A question of each model, ``n`` being how many there were."""

ANSWERS: dict[str, Sequence[Any]] = {
    "dequeue": (None, 0, 1, 2),
    "pop": (None, 0, 1, 2),
    "read": (0, 1, 2),
    "get": ("", "a", "b", "ab", "aa"),
    "contains": (True, False),
    "acquire": (1, 2, 3),
}


def answer_of(model: Sequential, state: Any, call: Call, random: Random) -> Call | None:
    """``call`` answered as the model would in ``state``; ``None`` if it would refuse."""
    if call.f == "txn":
        held, said = dict(state), []
        for f, key, value in call.value:
            if f == "w":
                held[key] = value
            said.append([f, key, held.get(key) if f == "r" else value])
        return call._replace(answer=said, is_known=True)
    choices = list(ANSWERS.get(call.f, (call.value,)))
    if model.name == "linearizable-set" and call.f == "read":
        choices = [sorted(state)]
    elif (model.name == "linearizable-counter" and call.f == "read") or call.f == "get":
        choices = [state]
    elif model.name == "fenced-mutex" and call.f == "acquire":
        choices = [((state or (None, None))[1] or 0) + random.randint(1, 2)]
    elif call.f == "acquire":
        choices = [None]
    for answer in choices:
        answered = call._replace(answer=answer, is_known=True)
        if model.step(state, answered) is not INCONSISTENT:
            return answered
    return None


def acted_out(random: Random, model: Sequential, *, size: int, unknown: float) -> list[Timed]:
    """A history with an order by construction."""
    state, position, begun, process = model.start(None), 0, 0, 0
    waiting: list[tuple[int, Call]] = []
    acted: list[tuple[int, Call]] = []
    done: list[Timed] = []
    while begun < size or waiting or acted:
        chance = random.random()
        if begun < size and len(waiting) + len(acted) < 4 and chance < 0.4:
            f, value = ASK[model.name](random, begun)
            owner = random.randrange(3) if model.owned else process
            waiting.append((position, Call(f, value, None, False, owner)))
            process, begun, position = process + 1, begun + 1, position + 1
        elif waiting and chance < 0.7:
            at, call = waiting.pop(random.randrange(len(waiting)))
            if random.random() < unknown / 2:
                done.append(Timed(at, at, NEVER, call))
                continue
            answered = answer_of(model, state, call, random)
            if answered is None:
                continue  # it failed
            if random.random() < unknown:
                reached = model.step(state, call)
                state = state if reached is INCONSISTENT else reached
                done.append(Timed(at, at, NEVER, call))
                continue
            state = model.step(state, answered)
            acted.append((at, answered))
        elif acted:
            at, call = acted.pop(random.randrange(len(acted)))
            done.append(Timed(at, at, position, call))
            position += 1
    return _without_open_looks(model, done)


def _without_open_looks(model: Sequential, calls: list[Timed]) -> list[Timed]:
    kept = [c for c in calls if c.call.is_known or not model.looks(c.call)]
    return sorted(kept, key=lambda timed: timed.at)


def with_one_answer_changed(random: Random, calls: Sequence[Timed]) -> list[Timed]:
    """``calls`` with one answer replaced by another one that may occur."""
    told = [c for c in calls if c.call.is_known and c.call.f in ANSWERS]
    if not told:
        return list(calls)
    victim = random.choice(told)
    if isinstance(victim.call.answer, list):
        answer: Any = sorted({*victim.call.answer} ^ {random.randrange(4)})
    else:
        answer = random.choice([a for a in ANSWERS[victim.call.f] if a != victim.call.answer])
    changed = Timed(victim.at, victim.invoke, victim.complete, victim.call._replace(answer=answer))
    return [changed if c is victim else c for c in calls]


def part(name: str, calls: list[Timed]) -> CallPart:
    """The calls as one part of the model of that name."""
    return CallPart(None, OBJECTS[name], None, calls)


def has_order(problem: Problem) -> bool:
    """Try every order, one operation after the other: the definition, spelled out."""
    return _search(problem, frozenset(), problem.start[0])


def _search(problem: Problem, done: frozenset[int], state: int) -> bool:
    left = [i for i in range(len(problem)) if i not in done]
    bound = min((problem.complete[i] for i in left), default=NEVER)
    if bound == NEVER:
        return True
    for i in left:
        if problem.invoke[i] < bound:
            reached = problem.machine.step(state, problem.kinds[i])
            if reached != REFUSED and _search(problem, done | {i}, reached):
                return True
    return False
