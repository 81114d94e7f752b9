"""Small random histories of lists: mostly plausible, some broken, with infos and fails."""

from __future__ import annotations

from random import Random
from typing import Any

from harness.history.history import History
from harness.history.operation import Operation


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
        status = rng.choice(("ok",) * 8 + ("info", "info", "fail"))
        if status == "ok" or (status == "info" and rng.random() < 0.5):
            for f, key, value in answer:
                if f == "append":
                    lists[key].append(value)
            old.append({key: list(items) for key, items in lists.items()})
        retired[lane] += status == "info"
        asked = [[f, key, None if f == "r" else value] for f, key, value in answer]
        value = answer if status == "ok" else asked
        records.append((begin, Operation(0, 0, process, "invoke", "txn", asked)))
        records.append((end, Operation(0, 0, process, status, "txn", value)))
    records.sort(key=lambda record: record[0])
    return History(
        [
            Operation(index, index * 1000, found.process, found.type, found.f, found.value)
            for index, (_, found) in enumerate(records)
        ]
    )


def _seen(rng: Random, items: list[int], counter: int, chaos: float) -> list[int]:
    """What a read shows: now and then too little, in a wrong order, or too much."""
    if rng.random() >= chaos / 2:
        return list(items)
    seen = list(items)
    flaw = rng.choice(("short", "short", "swapped", "alien", "twice"))
    if flaw == "short" and seen:
        return seen[: rng.randrange(len(seen))]
    if flaw == "swapped" and len(seen) > 1:
        seen[-1], seen[-2] = seen[-2], seen[-1]
    if flaw == "alien" and counter:
        alien = rng.randint(1, counter)
        return seen if alien in seen else [*seen, alien]
    if flaw == "twice" and seen and rng.random() < 0.2:
        seen.append(seen[0])
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
