"""Final reads: asked again until they are answered and the nodes agree, and of the right keys."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from harness.generator import Context, clients, each_thread, invoke, lift, on_threads, time_limit
from harness.generator.simulate import Client, simulate
from harness.history.faults import FOREVER_NS, recorded_faults
from harness.history.ledger import LedgerEntry
from harness.history.operation import Operation
from harness.judge.final_reads import is_final_read
from harness.run.final import FinalReads
from harness.run.final_phase import KeyTimes, bounded, filled, span_ns

MS = 10**6


def asked(
    answer: Callable[[int, int, Operation], tuple[str, Any]],
    generator: Any,
    *,
    concurrency: int = 3,
    limit_s: float = 30.0,
) -> list[Operation]:
    """The history of the final reads where ``answer(thread, nth, invocation)`` says what comes."""
    counts: dict[tuple[int, str], int] = {}

    def client(context: Context, invocation: Operation) -> Operation:
        thread = context.thread_of(invocation.process)
        key = (thread, str(invocation.value))
        counts[key] = counts.get(key, 0) + 1
        kind, value = answer(thread, counts[key], invocation)
        return msgspec.structs.replace(
            invocation, type=kind, value=value, time=invocation.time + MS
        )

    made: Client = client
    gen = time_limit(limit_s, clients(FinalReads().around(generator)))
    return simulate(gen, made, concurrency=concurrency)


def on_every_node(*reads: Operation) -> Any:
    return on_threads(range(3), each_thread(list(reads)))


def oks(history: list[Operation], thread: int) -> list[Any]:
    return [o.value for o in history if o.type == "ok" and o.process % 3 == thread]  # type: ignore[operator]


def test_a_read_that_failed_is_asked_again_on_its_node_until_it_is_answered() -> None:
    def answer(thread: int, nth: int, invocation: Operation) -> tuple[str, Any]:
        if thread == 1 and nth < 5:
            return ("fail", "info")[nth % 2], invocation.value
        return "ok", [invocation.value[0], 7]

    history = asked(answer, on_every_node(invoke("read", [0, None]), invoke("read", [1, None])))
    assert [len(oks(history, thread)) for thread in range(3)] == [2, 2, 2]
    tries = [o for o in history if o.type == "invoke" and o.process % 3 == 1]  # type: ignore[operator]
    assert len(tries) == 10
    assert history[-1].time < 10 * 10**9


def test_a_read_of_any_thread_is_asked_again() -> None:
    def answer(thread: int, nth: int, invocation: Operation) -> tuple[str, Any]:
        return ("ok" if nth == 2 else "fail"), invocation.value

    txn = invoke("txn", [["r", 3, None], ["r", 4, None]])
    history = asked(answer, lift([txn]))
    assert [o.type for o in history] == ["invoke", "fail", "invoke", "ok"]


def test_a_node_that_never_answers_is_asked_until_the_phase_ends() -> None:
    def answer(thread: int, nth: int, invocation: Operation) -> tuple[str, Any]:
        return ("fail" if thread == 2 else "ok"), invocation.value

    history = asked(answer, on_every_node(invoke("read")), limit_s=5.0)
    tries = [o for o in history if o.type == "invoke" and o.process % 3 == 2]  # type: ignore[operator]
    assert 5 < len(tries) < 20
    assert max(o.time for o in tries) > 3 * 10**9


def test_nodes_are_asked_again_until_they_agree() -> None:
    def answer(thread: int, nth: int, invocation: Operation) -> tuple[str, Any]:
        lagging = thread == 0 and nth < 4
        return "ok", [0, [1, 2] if lagging else [1, 3, 2] if thread else [1, 2, 3]]

    history = asked(answer, on_every_node(invoke("read", [0, None])))
    assert oks(history, 0)[-2:] == [[0, [1, 2]], [0, [1, 2, 3]]]
    assert len(oks(history, 1)) == 4


def test_nodes_that_agree_at_once_are_asked_once() -> None:
    history = asked(lambda thread, nth, o: ("ok", [0, 5]), on_every_node(invoke("read", [0, None])))
    assert len(history) == 6


def test_writes_are_never_asked_again() -> None:
    both = on_every_node(invoke("write", [0, 1]), invoke("txn", [["r", 1, None], ["w", 1, 2]]))
    history = asked(lambda thread, nth, o: ("fail", o.value), both)
    assert len(history) == 12


def test_what_is_a_final_read() -> None:
    reads = [invoke("read"), invoke("final-poll", [["poll"]]), invoke("txn", [["r", 1, None]])]
    assert all(map(is_final_read, reads))
    others = [invoke("write", 1), invoke("txn", [["append", 1, 1]]), invoke("add", 1)]
    assert not any(map(is_final_read, others))


def test_keys_that_were_open_under_a_fault_or_just_before_are_found() -> None:
    times = KeyTimes(lambda operation: [operation.value[0]])
    for key, start_ms in enumerate(range(0, 10_000, 1000)):
        for at_ms in (start_ms, start_ms + 400):
            times.note(Operation(-1, at_ms * MS, 0, "invoke", "read", [key, None]))
    assert times.open_during([(3_100 * MS, 5_100 * MS)]) == [2, 3, 4, 5]
    assert times.open_during([(3_100 * MS, 3_200 * MS), (8_000 * MS, 2**62)])[-2:] == [8, 9]
    assert times.open_during([]) == []


def test_too_many_keys_are_thinned_out_evenly_to_the_last() -> None:
    assert bounded([1, 2, 3], 3) == [1, 2, 3]
    assert bounded(list(range(10)), 4) == [1, 4, 6, 9]


def test_what_room_there_is_goes_to_keys_that_met_no_fault() -> None:
    assert filled([5, 6], range(8), 4) == [2, 5, 6, 7]
    assert filled([5, 6], range(8), 2) == [5, 6]
    assert filled([], range(3), 4) == [0, 1, 2]


@pytest.mark.parametrize(
    ("event", "span"),
    [("done", (2, 7)), ("failed", (2, 7)), ("refused", None), (None, (2, FOREVER_NS))],
)
def test_an_action_is_under_way_until_its_end_is_told(
    event: str | None, span: tuple[int, int] | None
) -> None:
    steps = [LedgerEntry(1, "admin", ["n1"], "intend", 2, {"momentary": True})]
    steps += [LedgerEntry(1, "admin", ["n1"], event, 7, {})] if event else []
    (action,) = recorded_faults(steps)
    assert span_ns(action) == span
