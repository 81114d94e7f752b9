"""Small random histories of lists: mostly plausible, some broken in every way known.

Reads of one's own future, own appends turned round or not read back, second reads that differ,
infos that tell (all or a part of) what they did and read, reads from failed ones.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

from msgspec import structs

from harness.history.history import History
from harness.history.operation import Header, Operation


def random_history(rng: Random, count: int, keys: str = "xy", longest: int = 3) -> History:
    """``count`` transactions of three processes on a store that now and then misbehaves."""
    spans = _spans(rng, count)
    lists: dict[str, list[int]] = {key: [] for key in keys}
    old: list[dict[str, list[int]]] = [{key: [] for key in keys}]
    counter = 0
    chaos = rng.choice((0.0, 0.2, 0.5))
    records: list[tuple[float, Operation]] = []
    retired = [0, 0, 0]
    for lane, begin, end in spans:
        process = lane + 3 * retired[lane]
        view = rng.choice(old) if rng.random() < chaos else old[-1]
        view = {key: list(items) for key, items in view.items()}
        answer: list[list[Any]] = []
        for _ in range(rng.randint(1, longest)):
            key = rng.choice(keys)
            if rng.random() < 0.5:
                counter += 1
                answer.append(["append", key, counter])
                view[key].append(counter)
            else:
                answer.append(["r", key, _seen(rng, view[key], counter, chaos)])
            if rng.random() < chaos / 4:  # it goes on in another state of the store
                view = {key: list(items) for key, items in rng.choice([*old, lists]).items()}
        if rng.random() < chaos / 4:
            _look_ahead(rng, answer)
        status = rng.choice(("ok",) * 8 + ("info", "info", "fail"))
        if status == "ok" or (status == "info" and rng.random() < 0.5) or rng.random() < chaos / 4:
            done = [step for step in answer if step[0] == "append"]
            if rng.random() < chaos / 4:
                rng.shuffle(done)
            for _, key, value in done:
                lists[key].append(value)
            old.append({key: list(items) for key, items in lists.items()})
        retired[lane] += status == "info"
        asked = [[f, key, None if f == "r" else value] for f, key, value in answer]
        value = answer if status == "ok" else _told(rng, asked, answer)
        records.append((begin, Operation(0, 0, process, "invoke", "txn", asked)))
        records.append((end, Operation(0, 0, process, status, "txn", value)))
    records.sort(key=lambda record: record[0])
    return _numbered([operation for _, operation in records])


def _numbered(operations: list[Operation], header: Header | None = None) -> History:
    return History(
        [structs.replace(one, index=n, time=n * 1000) for n, one in enumerate(operations)],
        header or Header(),
    )


def _told(rng: Random, asked: list[Any], answer: list[Any]) -> Any:
    """What a completion that is not ok repeats: what was asked, all or some answers, nothing."""
    some = [rng.choice(pair) for pair in zip(asked, answer, strict=True)]
    cut = answer[: rng.randint(1, len(answer))]
    return rng.choice((asked, asked, answer, answer, some, cut, None))


def _look_ahead(rng: Random, answer: list[list[Any]]) -> None:
    """Let some read show an append that comes after it in its own transaction."""
    ahead = [
        (at, value)
        for at, (f, key, _) in enumerate(answer)
        if f == "r"
        for g, other, value in answer[at:]
        if g == "append" and other == key
    ]
    if ahead:
        at, value = rng.choice(ahead)
        answer[at][2] = [*answer[at][2], value]


def _seen(rng: Random, items: list[int], counter: int, chaos: float) -> list[int]:
    """What a read shows: now and then too little, in a wrong order, or too much."""
    if rng.random() >= chaos / 2:
        return list(items)
    seen = list(items)
    flaw = rng.choice(("short", "short", "swapped", "alien", "twice", "gap"))
    if flaw == "short" and seen:
        return seen[: rng.randrange(len(seen))]
    if flaw == "swapped" and len(seen) > 1:
        seen[-1], seen[-2] = seen[-2], seen[-1]
    if flaw == "alien" and counter:
        alien = rng.randint(1, counter)
        return seen if alien in seen else [*seen, alien]
    if flaw == "twice" and seen and rng.random() < 0.2:
        seen.append(seen[0])
    if flaw == "gap" and seen:
        del seen[rng.randrange(len(seen))]
    return seen


def _spans(rng: Random, count: int) -> list[tuple[int, float, float]]:
    """(lane, begin, end) in order of end; the transactions of a lane follow one another."""
    free = [0.0, 0.0, 0.0]
    spans = []
    for _ in range(count):
        lane = rng.randrange(3)
        begin = free[lane] + rng.random()
        end = begin + rng.random() * 2
        free[lane] = end + 0.001
        spans.append((lane, begin, end))
    return sorted(spans, key=lambda span: span[2])


def _changed(history: History, change: Callable[[Operation], Any]) -> list[Operation]:
    return [structs.replace(one, value=change(one)) for one in history.operations]


def completions_alone(history: History) -> History:
    """``history`` without a single invocation."""
    return _numbered([one for one in history.operations if one.type != "invoke"])


def with_nested_lists(history: History) -> History:
    """Each value v as the list ``[v, [v]]``: another value, and nothing else is."""

    def nested(one: Operation) -> Any:
        return one.value and [
            [f, k, v and [[n, [n]] for n in v] if f == "r" else [v, [v]]] for f, k, v in one.value
        ]

    return History(_changed(history, nested), history.header)


def with_initial(history: History, initial: dict[str, list[Any]]) -> History:
    """``history`` on lists that began as ``initial``, which its header says."""

    def longer(one: Operation) -> Any:
        if one.type == "invoke" or one.value is None:
            return one.value
        return [
            [f, k, [*initial.get(k, []), *v] if f == "r" and v is not None else v]
            for f, k, v in one.value
        ]

    return History(_changed(history, longer), Header(initial=initial))


def with_an_odd_answer(history: History, rng: Random, odd: Any) -> tuple[History, History] | None:
    """``history`` with one ok read answered ``odd``, and with that one known to nobody.

    The second has the reader twice: as an ``info`` that told nothing, and as an ``ok`` one without
    the read, which says as much of what happened as there is to say.
    """
    places = [
        (at, n)
        for at, one in enumerate(history.operations)
        if one.type == "ok"
        for n, step in enumerate(one.value)
        if step[0] == "r"
    ]
    if not places:
        return None
    at, n = rng.choice(places)
    answer = [list(step) for step in history.operations[at].value]
    answer[n][2] = odd
    given = list(history.operations)
    given[at] = structs.replace(given[at], value=answer)
    start = history.pairs[at]
    without = list(history.operations)
    for place in (start, at):
        rest = [step for m, step in enumerate(without[place].value) if m != n]
        without[place] = structs.replace(without[place], value=rest)
    return History(given), History(without)


def with_another_answer(history: History, rng: Random) -> History | None:
    """``history`` with one ok answer that is not the one to what was asked."""
    places = [at for at, one in enumerate(history.operations) if one.type == "ok"]
    if not places:
        return None
    at = rng.choice(places)
    answer = [list(step) for step in history.operations[at].value]
    n = rng.randrange(len(answer))
    f, key, value = answer[n]
    answer[n] = rng.choice(
        (
            [f, key + "'", value],
            ["append", key, 1000] if f == "r" else ["r", key, [value]],
            [f, key, value] if f == "r" else [f, key, 1000],
        )
    )
    kind = rng.choice(("change", "drop", "add", "turn"))
    if kind == "drop":
        del answer[n]
    elif kind == "add":
        answer.append(["append", key, 1000])
    elif kind == "turn":
        answer = [list(step) for step in history.operations[at].value][::-1]
    operations = list(history.operations)
    operations[at] = structs.replace(operations[at], value=answer)
    asked = [[f, k, None if f == "r" else v] for f, k, v in operations[history.pairs[at]].value]
    told = [[f, k, None if f == "r" else v] for f, k, v in answer]
    return History(operations) if asked != told and answer else None
