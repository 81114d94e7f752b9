"""How the checkers of single objects grow: ten times the operations, how many times the time?

Histories are valid by construction, of 20 processes that work on one object (sets and comments
on a key of 500 operations each, for a read shows all elements), with unanswered operations. Times
are processor time of the check alone, the best of a few rounds; memory is by how much the process
grew at its peak. Near-linear is at most 12.

    python -m benchmarks.single_objects --operations 20000

Prints JSON on its last line.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from random import Random
from typing import Any

from harness.history.history import History
from harness.history.operation import Header, Operation
from harness.judge.apart import collect_seldom
from harness.plugins import Registry
from harness.verdict.record import Record
from harness.verdict.verdict import Budget

PROCESSES = 20
KEY_OPERATIONS = 500
Answers = Callable[[int], tuple[str, Any, Any]]
"""From the number of an operation to f, what is asked and what is answered."""


def history(answers: Answers, count: int, *, keyed: bool, silent: float = 0.01) -> History:
    """``count`` operations that overlap, each doing its work when it is answered."""
    random = Random(7)
    records: list[Operation] = []
    for start in range(0, count, PROCESSES):
        batch = [(n, *answers(n)) for n in range(start, min(count, start + PROCESSES))]
        for half in (0, 1):
            for n, f, asked, answer in batch:
                key, kind = n // KEY_OPERATIONS, "invoke" if half == 0 else "ok"
                if half and f in ("enqueue", "push") and random.random() < silent:
                    continue
                value = asked if half == 0 else answer
                value = [key, value] if keyed else value
                at = len(records)
                records.append(Operation(at, at * 1000, n, kind, f, value))
    return History(records, Header(independent=keyed))


def counter(n: int) -> tuple[str, Any, Any]:
    """A read of what the batches before it added, or an add."""
    before = n // PROCESSES * PROCESSES
    return ("read", None, before // 2) if n % 2 else ("add", 1, 1)


def sets(n: int) -> tuple[str, Any, Any]:
    """A read of all elements that the key holds, or an add."""
    if n % 5:
        return "add", n, n
    start = n // KEY_OPERATIONS * KEY_OPERATIONS
    return "read", None, [m for m in range(start, n // PROCESSES * PROCESSES) if m % 5]


def comments(n: int) -> tuple[str, Any, Any]:
    """As :func:`sets`, by writes."""
    f, asked, answer = sets(n)
    return "write" if f == "add" else f, asked, answer


def queue(n: int) -> tuple[str, Any, Any]:
    """An enqueue, or a dequeue of what was put in before."""
    if n % 2 == 0:
        return "enqueue", n, n
    return "dequeue", None, n - PROCESSES - 1 if n > PROCESSES else None


def stack(n: int) -> tuple[str, Any, Any]:
    """A push, or a pop of what the batch before pushed."""
    f, asked, answer = queue(n)
    return "push" if f == "enqueue" else "pop", asked, answer


def ids(n: int) -> tuple[str, Any, Any]:
    """An id."""
    return "generate", None, n


def log(n: int) -> tuple[str, Any, Any]:
    """A send, or a poll of the batch before."""
    if n % 2 == 0:
        return "send", [["send", "x", n]], [["send", "x", [n, n]]]
    start = n // PROCESSES * PROCESSES
    seen = [[m, m] for m in range(max(0, start - PROCESSES), start, 2)]
    return "poll", [["poll"]], [["poll", {"x": seen}]]


def watch(n: int) -> tuple[str, Any, Any]:
    """A write, or a watch of the batch before."""
    if n % 2 == 0:
        return "write", n, [n, n + 1]
    start = n // PROCESSES * PROCESSES
    after = max(0, start - PROCESSES)
    events = [[m + 1, m] for m in range(after, start, 2)]
    return "watch", None, {"after": after, "to": start, "events": events}


def lock(n: int) -> tuple[str, Any, Any]:
    """One acquire or release a batch; the others ask in vain."""
    return "acquire", None, n


CASES: tuple[tuple[str, Answers, bool], ...] = (
    ("set", sets, True),
    ("set-full", sets, True),
    ("comments", comments, True),
    ("counter", counter, False),
    ("queue", queue, False),
    ("total-queue", queue, False),
    ("fifo-queue", queue, False),
    ("unordered-queue", queue, False),
    ("stack", stack, False),
    ("linearizable-set", sets, True),
    ("unique-ids", ids, False),
    ("log", log, False),
    ("watch", watch, False),
    ("lock", lock, False),
)


def apart(name: str, place: int, count: int, rounds: int) -> tuple[float, float]:
    """:func:`cost` in a process of its own, whose peak is its own."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(cost, name, place, count, rounds).result()


def cost(name: str, place: int, count: int, rounds: int) -> tuple[float, float]:
    """The best processor time of one check, and MB by which the process grew."""
    collect_seldom()  # as where polygraph judges
    _, answers, keyed = CASES[place]
    judged = history(answers, count, keyed=keyed)
    factory = Registry().get("checkers", name)
    before_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    times = []
    for _ in range(rounds):
        record = Record(history=History(judged.operations, judged.header))
        began = time.process_time()
        factory({}).check(record, Budget.start(600))
        times.append(time.process_time() - began)
    grown_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kb
    return min(times), grown_kb / 1024


def main(argv: list[str]) -> int:
    """Measure every checker at two sizes."""
    parser = argparse.ArgumentParser(description="How the checkers of single objects grow.")
    parser.add_argument("--operations", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args(argv)
    found = {}
    for place, (name, _, _) in enumerate(CASES):
        (small_s, small_mb), (large_s, large_mb) = (
            apart(name, place, count, options.rounds)
            for count in (options.operations, 10 * options.operations)
        )
        found[name] = {
            "small_s": round(small_s, 3),
            "large_s": round(large_s, 3),
            "growth": round(large_s / small_s, 1),
            "small_mb": round(small_mb, 1),
            "large_mb": round(large_mb, 1),
        }
        print(name, found[name], file=sys.stderr)
    print(json.dumps({"operations": options.operations, **found}))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
