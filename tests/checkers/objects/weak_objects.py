"""Small random histories of sets, counters and rows, and what is wrong with them by definition.

Each function draws a history and gives the checker's options, the case, and whether the answer must
be false, and whether it may be (``None``: no verdict may stand on it, true least of all).
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations, permutations, product
from random import Random
from typing import Any

from harness.history.history import History
from harness.history.operation import Operation
from tests.checkers.isolation.weak_cases import ENDS, PROCESSES, Case, Done, woven
from tests.checkers.isolation.weak_definitions import before, worlds

Drawn = tuple[Case, "tuple[bool, bool] | None"]
STRANGE: tuple[Any, ...] = ("text", 7, {"a": "b"}, True)


def bent(random: Random, case: Case, f: str) -> Case:
    """Now and then one answer of ``f`` is of another shape."""
    able = [n for n, each in enumerate(case.history) if each.type == "ok" and each.f == f]
    if not able or random.random() > 0.08:
        return case
    operations = list(case.history)
    old = operations[random.choice(able)]
    value: Any = random.choice(STRANGE)
    if case.history.header.independent:
        value = [old.value[0], value]
    operations[old.index] = Operation(old.index, old.time, old.process, "ok", f, value)
    return Case(History(operations, case.history.header), case.done, odd=True)


def _asked(random: Random, count: int, ask: Callable[[int], tuple[str, Any]]) -> list[Done]:
    return [
        Done(random.randrange(PROCESSES), *ask(number), None, random.choice(ENDS))
        for number in range(count)
    ]


def _in_order(random: Random, done: list[Done]) -> list[Done]:
    moments = [(random.uniform(each.begin, each.finish), n) for n, each in enumerate(done)]
    return [done[n] for _, n in sorted(moments)]


def values(random: Random, write: str) -> Case:
    """Writes of values of their own, and reads of all of them."""
    kind: Callable[[int], Any] = random.choice((int, int, str, lambda n: [n]))
    first = random.choice((None, None, [], [kind(50), kind(51)]))
    kinds = [kind(n) for n in range(6)]
    ask = lambda n: random.choice([(write, kinds[n]), ("read", None)])  # noqa: E731
    done = _asked(random, random.randint(2, 6), ask)
    wrong = random.choice((0.0, 0.3, 0.7))

    def fill(random: Random, done: list[Done]) -> None:
        state: list[Any] = list(first or [])
        for each in _in_order(random, done):
            each.answer = each.asked
            if each.f == write and (each.ok or (each.may and random.random() < 0.5)):
                state.append(each.asked)
            elif each.f == "read":
                each.answer = list(state)
                if random.random() < wrong:
                    each.answer = [v for v in each.answer if random.random() < 0.7]
                    if random.random() < 0.5:
                        each.answer.append(random.choice([*kinds, kind(99)]))

    return woven(random, done, fill, initial=first)


def _sets(case: Case, write: str) -> tuple[bool, bool, bool]:
    """Whether a value was seen that cannot be: of nobody, failed, early; whether one is missing."""
    first = case.history.header.initial or []
    writes = {
        str(each.asked) + str(type(each.asked)): each for each in case.done if each.f == write
    }
    nobody = impossible = missing = False
    for read in case.done:
        if read.f != "read" or not read.ok:
            continue
        seen = []
        for value in read.answer:
            writer = writes.get(str(value) + str(type(value)))
            if value in first:
                continue
            if writer is None:
                nobody = True
            elif not writer.may or before(read, writer):
                impossible = True
            else:
                seen.append(writer)
        for shown in seen:
            missing = missing or any(value not in read.answer for value in first)
            for other in writes.values():
                if other.ok and before(other, shown) and other.asked not in read.answer:
                    missing = True
    return nobody, impossible, missing


def reversals(random: Random) -> Drawn:
    case = bent(random, values(random, "write"), "read")
    wrong = any(_sets(case, "write"))
    return case, None if case.odd else (wrong, wrong)


def comments(random: Random) -> Drawn:
    case = bent(random, values(random, "write"), "read")
    nobody, impossible, missing = _sets(case, "write")
    is_known = isinstance(case.history.header.initial, list)
    wrong = impossible or missing or (nobody and is_known)
    return case, None if case.odd else (wrong, wrong)


def parts(random: Random) -> Drawn:
    """Keys of two parts, looked for the last one first."""
    ask = lambda n: random.choice([("write", n % 3), ("read", random.randrange(3))])  # noqa: E731
    done = _asked(random, random.randint(2, 6), ask)
    found = ([None, None], [None, "a"], ["b", "a"], ["b", "a"], ["b", None])

    def fill(random: Random, done: list[Done]) -> None:
        for each in done:
            each.answer = each.asked
            if each.f == "read":
                each.answer = [each.asked, list(random.choice(found))]

    case = bent(random, woven(random, done, fill), "read")
    if case.odd:
        return case, None
    must = unsure = False
    for read in case.done:
        if read.f != "read" or not read.ok:
            continue
        shown = read.answer[1]
        must = must or (shown[0] is not None and shown[1] is None)
        writes = [each for each in case.done if each.f == "write"]
        of_key = [each for each in writes if each.asked == read.asked]
        if any(shown) and not any(each.may for each in of_key):
            unsure = unsure or bool(writes)
        elif any(shown) and all(before(read, each) for each in of_key):
            must = True
    return case, None if unsure and not must else (must, must)


def counters(random: Random) -> Drawn:
    """A counter or two, each process of which sees it rise."""
    first = random.choice((None, None, 0, 2))
    ask = lambda n: random.choice([("inc", None), ("read", None)])  # noqa: E731
    done = _asked(random, random.randint(2, 6), ask)
    keys = {n: random.choice("kkj") for n in range(len(done))}
    wrong = random.choice((0.0, 0.2, 0.5))
    for n, each in enumerate(done):
        each.asked = [keys[n], None]

    def fill(random: Random, done: list[Done]) -> None:
        state = dict.fromkeys("kj", first)
        for each in _in_order(random, done):
            key = each.asked[0]
            value = state[key]
            if each.f == "inc":
                value = (value or 0) + 1
                if each.ok or (each.may and random.random() < 0.5):
                    state[key] = value
            if random.random() < wrong:
                value = max((value or 0) + random.choice((-2, -1, 1, 2)), 0)
            each.answer = [key, value]

    case = woven(random, done, fill, initial=first)
    return _with_start(bent(random, case, "read"))


def _with_start(case: Case) -> Drawn:
    if case.odd:
        return case, None
    must = may = False
    for key in "kj":
        told = [each for each in case.done if each.asked[0] == key]
        start = case.history.header.initial
        if start is None and any(each.ok and each.answer[1] is None for each in told):
            start = 0
        must = must or _counter_is_wrong(told, start)
        starts = [start] if start is not None else range(8)
        may = may or not any(_counter_has_an_order(told, at) for at in starts)
    return case, (must, must or may)


def _counter_is_wrong(told: list[Done], start: int | None) -> bool:
    answers = [each for each in told if each.ok]
    for a in answers:
        value = a.answer[1] or 0
        sent = sum(each.f == "inc" and each.may and each.begin < a.finish for each in told)
        if start is not None and not start + (a.f == "inc") <= value <= start + sent:
            return True
        for b in answers:
            later = b.answer[1] or 0
            if a is not b and a.f == b.f == "inc" and value == later:
                return True
            is_next = a.process == b.process and a.finish < b.finish
            if is_next and (later < value or (b.f == "inc" and later == value)):
                return True
    return False


def _counter_has_an_order(told: list[Done], start: int) -> bool:
    for world in worlds(told):
        for order in permutations(world):
            if any(
                b.ok and b.process == a.process and b.finish < a.finish
                for n, a in enumerate(order)
                for b in order[n + 1 :]
            ):
                continue
            value, fits = start, True
            for each in order:
                value += each.f == "inc"
                fits = fits and (not each.ok or (each.answer[1] or 0) == value)
            if fits:
                return True
    return False


def rising(random: Random) -> Drawn:
    """One value that only rises, by whatever it does."""
    first = random.choice((None, None, 0, 2))
    ask = lambda n: random.choice([("inc", None), ("read", None)])  # noqa: E731
    done = _asked(random, random.randint(2, 6), ask)

    def fill(random: Random, done: list[Done]) -> None:
        value = first or 0
        for each in _in_order(random, done):
            value += each.f == "inc"
            each.answer = max(value + (random.random() < 0.15) * random.choice((-1, -2)), 0)

    case = bent(random, woven(random, done, fill, initial=first), "read")
    answers = [each for each in case.done if each.ok]
    wrong = any(first is not None and each.answer < first for each in answers)
    for a in answers:
        for b in answers:
            if a.process == b.process and a.finish < b.finish and b.answer < a.answer:
                wrong = True
            if a is not b and a.f == b.f == "inc" and a.answer == b.answer:
                wrong = True
    number = case.odd and any(
        each.type == "ok" and each.f == "read" and each.value == 7 for each in case.history
    )
    return case, None if case.odd and not number else (wrong and not case.odd, wrong or case.odd)


def tables(random: Random) -> Drawn:
    """Rows 0 and 1; an add puts one more than the greatest into one of them."""
    first = random.choice((None, None, 0, {"0": 1, "1": 0}))
    start = [first, first] if not isinstance(first, dict) else [first["0"], first["1"]]
    ask = lambda n: random.choice([("add", [random.randrange(2), None]), ("read", None)])  # noqa: E731
    done = _asked(random, random.randint(2, 5), ask)
    wrong = random.choice((0.0, 0.15, 0.5))

    def fill(random: Random, done: list[Done]) -> None:
        held = list(start)
        for each in _in_order(random, done):
            lie = random.random() < wrong
            if each.f == "add":
                row = each.asked[0]
                value = 1 + max(old or 0 for old in held) + lie * random.choice((-1, 1))
                each.answer = [row, value]
                if each.ok or (each.may and random.random() < 0.5):
                    held[row] = value
            else:
                seen: list[Any] = list(held)
                if lie:
                    seen[random.randrange(2)] = random.choice((None, 0, 1, 2, 3))
                each.answer = {"0": seen[0], "1": seen[1]}

    case = bent(random, woven(random, done, fill, initial=first), "read")
    if case.odd:
        return case, None
    known = [
        is_told
        or any(each.ok and each.f == "read" and each.answer[str(row)] is None for each in done)
        for row, is_told in enumerate((first is not None, first is not None))
    ]
    must = _table_is_wrong(case.done)
    may = not any(
        _table_has_an_order(case.done, list(at))
        for at in product(*([start[row]] if known[row] else [None, 0, 1, 2, 3] for row in (0, 1)))
    )
    return case, (must, must or may)


def _greatest(each: Done) -> int:
    if each.f == "add":
        return int(each.answer[1])
    return max(each.answer["0"] or 0, each.answer["1"] or 0)


def _table_is_wrong(done: list[Done]) -> bool:
    answers = [each for each in done if each.ok]
    for a in answers:
        for b in answers:
            if a is b:
                continue
            if a.f == b.f == "add" and a.answer[1] == b.answer[1]:
                return True
            if before(a, b) or (a.process == b.process and a.finish < b.finish):
                if _greatest(b) < _greatest(a) + (b.f == "add"):
                    return True
                is_seen = a.f == "add" and b.f == "read"
                if is_seen and (b.answer[str(a.answer[0])] or 0) < a.answer[1]:
                    return True
    reads = [each.answer for each in answers if each.f == "read"]
    return any(
        (a["0"] or 0) < (b["0"] or 0) and (a["1"] or 0) > (b["1"] or 0)
        for a, b in permutations(reads, 2)
    )


def _table_has_an_order(done: list[Done], start: list[Any]) -> bool:
    for world in worlds(done):
        for order in permutations(world):
            if any(
                before(b, a) or (b.ok and b.process == a.process and b.finish < a.finish)
                for n, a in enumerate(order)
                for b in order[n + 1 :]
            ):
                continue
            held, fits = list(start), True
            for each in order:
                if each.f == "add":
                    value = 1 + max(old or 0 for old in held)
                    held[each.asked[0]] = value
                    fits = fits and (not each.ok or each.answer[1] == value)
                else:
                    fits = fits and (not each.ok or each.answer == {"0": held[0], "1": held[1]})
            if fits:
                return True
    return False


def pairs(random: Random) -> Drawn:
    """Inserts that exclude each other, key by key."""
    ask = lambda n: ("insert", [random.randrange(3), random.choice([[n, None], [None, n]])])  # noqa: E731
    done = _asked(random, random.randint(2, 5), ask)

    def fill(random: Random, done: list[Done]) -> None:
        for each in done:
            each.answer = each.asked

    case = bent(random, woven(random, done, fill, independent=True), "insert")
    wrong = any(a.ok and b.ok and a.asked[0] == b.asked[0] for a, b in combinations(case.done, 2))
    return case, None if case.odd else (wrong, wrong)
