"""Small random histories for the checkers of one thing each, with all that users' files hold.

Answers are mostly those of a store, and now and then any other: of the future, of one's own later
write, of failed and passing writes, of nobody; repeated and internal reads; completions of unknown
outcome that carry reads; operations of no model; answers of another shape or to another question;
records without an invocation; declared initial states.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any

from harness.history.history import History
from harness.history.operation import Header, Operation

ENDS = ("ok",) * 7 + ("info", "fail", "never")
PROCESSES = 3


@dataclass
class Done:
    """One operation: its records' positions (``begin`` -1: not recorded), and what it was."""

    process: int
    f: str
    asked: Any
    answer: Any
    end: str
    begin: int = -1
    finish: int = -1
    is_known: bool = False
    """Whether its completion tells the answer, whatever its outcome."""
    counts: bool = False
    """Whether what it tells to have read counts."""

    @property
    def ok(self) -> bool:
        """Whether it certainly happened."""
        return self.end == "ok"

    @property
    def may(self) -> bool:
        """Whether it may have happened."""
        return self.end != "fail"

    @property
    def over(self) -> float:
        """When it was certainly over; never, if nobody knows what became of it."""
        return self.finish if self.end in ("ok", "fail") else float("inf")


@dataclass
class Case:
    """A history with the operations that it was made of; ``odd`` if no verdict may stand on it."""

    history: History
    done: list[Done] = field(default_factory=list)
    odd: bool = False


Fill = Callable[[Random, list[Done]], None]


def woven(random: Random, done: list[Done], fill: Fill, **header: Any) -> Case:
    """Records of ``done`` in a random order that each process keeps; ``fill`` gives answers first.

    Now and then a completion stands alone, its invocation not recorded.
    """
    waiting: dict[int, list[Done]] = {}
    for each in done:
        waiting.setdefault(each.process, []).append(each)
    open_now: dict[int, Done] = {}
    events: list[tuple[str, Done]] = []
    numbers = list(range(PROCESSES))
    bare = random.random() < 0.1
    while waiting or open_now:
        process = random.choice(sorted({*waiting, *open_now}))
        if process in open_now:
            each = open_now.pop(process)
            each.finish = len(events)
            if each.end != "never":
                events.append(("end", each))
            if each.end in ("info", "never"):
                numbers[process] += PROCESSES
        else:
            each = waiting[process].pop(0)
            each.process = numbers[process]
            if not waiting[process]:
                del waiting[process]
            if bare and random.random() < 0.4 and each.end == "ok":
                each.begin, each.finish = -1, len(events)
                events.append(("end", each))
            else:
                each.begin = len(events)
                events.append(("begin", each))
                open_now[process] = each
    fill(random, done)
    return Case(History(_records(random, events), Header(**header)), done)


def _records(random: Random, events: list[tuple[str, Done]]) -> list[Operation]:
    records = []
    for at, (kind, each) in enumerate(events):
        if kind == "begin":
            records.append(Operation(at, at, each.process, "invoke", each.f, each.asked))
            continue
        each.is_known = each.ok or random.random() < 0.5
        value = each.answer if each.is_known else each.asked
        records.append(Operation(at, at, each.process, each.end, each.f, value))
    return records


def registers(random: Random, *, most_steps: int = 3, once: bool = False) -> Case:
    """Transactions over registers x and y; each write has a value of its own (``once``: a key)."""
    keys = "xy" if not once else "xyz"
    start = random.choice((None, None, None, {"x": 0}, 0))
    initial = {key: start.get(key) if isinstance(start, dict) else start for key in keys}
    done: list[Done] = []
    written: dict[str, list[Any]] = {key: [] for key in keys}
    fresh = random.choice((True, True, True, False))
    for number in range(random.randint(2, 5)):
        steps: list[list[Any]] = []
        reads_only = random.random() < 0.5
        for _ in range(random.randint(1, most_steps)):
            key = random.choice(keys)
            if once and (steps and steps[0][0] == "w"):
                break
            may_write = not reads_only and not (once and (steps or written[key]))
            if may_write and random.random() < 0.7:
                value: Any = len(written[key]) + 1
                if not fresh and random.random() < 0.2:
                    value = random.choice([initial[key], 1])
                written[key].append(value)
                steps.append(["w", key, value])
            else:
                steps.append(["r", key, None])
        done.append(Done(random.randrange(PROCESSES), "txn", steps, None, random.choice(ENDS)))
        del number
    wrong = random.choice((0.0, 0.1, 0.5))
    case = woven(random, done, _answer_registers(keys, initial, written, wrong), initial=start)
    return _spoiled(random, case)


def _answer_registers(
    keys: str, initial: dict[str, Any], written: dict[str, list[Any]], wrong: float
) -> Fill:
    def fill(random: Random, done: list[Done]) -> None:
        state = dict(initial)
        moments = [(random.uniform(each.begin, each.finish), n) for n, each in enumerate(done)]
        for _, number in sorted(moments):
            each = done[number]
            view = dict(state)
            each.answer = []
            for f, key, value in each.asked:
                if f == "r":
                    value = view[key]
                    if random.random() < wrong:
                        value = random.choice([initial[key], None, *written[key], 99])
                    each.answer.append(["r", key, value])
                else:
                    view[key] = value
                    each.answer.append(["w", key, value])
            if each.ok or (each.may and random.random() < 0.5):
                state = view

    return fill


def _spoiled(random: Random, case: Case) -> Case:
    """Now and then an operation of no model, or an answer that does not answer."""
    luck = random.random()
    if luck > 0.12:
        return case
    operations = list(case.history)
    last = operations[-1].index + 1
    if luck < 0.04:
        steps = random.choice([[["cas", "x", 1]], [["append", "x", 7]], "x", [["r", "x"], 3]])
        operations.append(Operation(last, last, 50, "invoke", "txn", steps))
        if random.random() < 0.5:
            operations.append(Operation(last + 1, last + 1, 50, "ok", "txn", steps))
    else:
        pairs = case.history.pairs
        able = [
            n
            for n, each in enumerate(operations)
            if each.type == "ok" and pairs[n] >= 0 and each.value
        ]
        if not able:
            return case
        at = random.choice(able)
        old = operations[at]
        steps = [list(step) for step in old.value]
        which = random.randrange(3)
        if which == 0:
            steps[0][1] = "q"
        elif which == 1:
            steps.append(["r", "x", None])
        else:
            steps = "gone"  # type: ignore[assignment]
        operations[at] = Operation(old.index, old.time, old.process, "ok", old.f, steps)
    return Case(History(operations, case.history.header), case.done, odd=True)


def rows(random: Random) -> Case:
    """Transactions over rows that are asked for by conditions."""
    first = random.choice((None, None, {"a": 3}, {}))
    done: list[Done] = []
    conditions: list[Any] = ["true", ["=", 3], ["mod", 2, 0], ["mod", 2, 1]]
    for _ in range(random.randint(2, 4)):
        steps: list[list[Any]] = []
        for _ in range(random.randint(1, 3)):
            row = random.choice("ab")
            kind = random.choice(("rp", "rp", "r", "insert", "w", "delete"))
            if kind == "rp":
                steps.append(["rp", random.choice(conditions), None])
            elif kind == "delete":
                steps.append(["delete", row])
            elif kind == "r":
                steps.append(["r", row, None])
            else:
                steps.append([kind, row, random.choice((1, 2, 3, 4))])
        done.append(Done(random.randrange(PROCESSES), "txn", steps, None, random.choice(ENDS)))
    wrong = random.choice((0.0, 0.1, 0.4))
    case = woven(random, done, _answer_rows(first or {}, wrong), initial=first)
    return _spoiled(random, case) if random.random() < 0.5 else case


def holds(condition: Any, value: Any) -> bool:
    """Whether a row with ``value`` is found."""
    if value is None or condition == "true":
        return value is not None
    if condition[0] == "=":
        return bool(value == condition[1])
    return bool(value % condition[1] == condition[2])


def _answer_rows(first: dict[str, Any], wrong: float) -> Fill:
    def fill(random: Random, done: list[Done]) -> None:
        state = dict(first)
        moments = [(random.uniform(each.begin, each.finish), n) for n, each in enumerate(done)]
        for _, number in sorted(moments):
            each = done[number]
            view, each.answer = dict(state), []
            for step in each.asked:
                answer = list(step)
                seen = dict(view)
                if random.random() < wrong:
                    seen[random.choice("ab")] = random.choice((None, 1, 2, 3, 4))
                if step[0] == "rp":
                    answer[2] = {r: v for r, v in seen.items() if holds(step[1], v)}
                elif step[0] == "r":
                    answer[2] = seen.get(step[1])
                else:
                    view[step[1]] = None if step[0] == "delete" else step[2]
                each.answer.append(answer)
            if each.ok or (each.may and random.random() < 0.5):
                state = view

    return fill
