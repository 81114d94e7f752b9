"""What ``polygraph check --self-test`` tries beside the examples of the catalogue.

For every checker at least one clean history, which it must not accuse, and longer simulated ones
with one answer made wrong, which it must find. (A checker that never accuses, like ``stats``, has
a clean one alone.)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from typing import Any, Final

from checkers.explained import simulated as store
from checkers.explained.entries import (
    Named,
    elle_registers,
    lists,
    register,
    registers,
    run,
    script,
)
from checkers.isolation.causal import Causal
from checkers.isolation.causal_reverse import CausalReverse
from checkers.isolation.g2 import G2
from checkers.isolation.list_append.checker import ListAppend
from checkers.isolation.long_fork import LongFork
from checkers.isolation.monotonic import Monotonic
from checkers.isolation.predicates.checker import PredicateReads
from checkers.isolation.sequential import Sequential
from checkers.isolation.torn import Torn
from checkers.isolation.write_skew import WriteSkew
from checkers.linearizable import CHECKERS as LINEARIZABLE
from checkers.linearizable import Linearizable
from checkers.log import Log
from checkers.objects.bank import Bank
from checkers.objects.comments import Comments
from checkers.objects.counter import Counter
from checkers.objects.insert_order import InsertOrder
from checkers.objects.lock import Lock
from checkers.objects.queue import Queue
from checkers.objects.session_monotonic import SessionMonotonic
from checkers.objects.set_full import SetFull
from checkers.objects.sets import Set
from checkers.objects.total_queue import TotalQueue
from checkers.objects.unique_ids import UniqueIds
from checkers.objects.watch import Watch
from checkers.run.agreement import Agreement
from checkers.run.crash import Crash
from checkers.run.logs import Logs
from checkers.run.no_recovery import NoRecovery
from checkers.run.stats import Stats
from checkers.run.unhandled_exceptions import UnhandledExceptions
from harness.history.history import History
from harness.verdict.explanation import Example
from harness.verdict.record import Record

NOWHERE: Final = 10**15
"""A value that nobody writes."""
_SERIAL: Final = "p: [wx1 wy1]          [rx2 ry1]\nq:           [rx1 wx2]"
_STRICT: Final = ("strict-serializable",)


class _Model:
    """A checker by the name of a model of linearizability."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __call__(self, options: Mapping[str, Any]) -> Any:
        """The checker of that name."""
        return LINEARIZABLE[self.name](options)


def _run(**parts: Any) -> Callable[[Path], Record]:
    return lambda folder: Record(history=History(()), **parts)


def _model(name: str, good: str, bad: str, **header: Any) -> tuple[Example, Example]:
    model = _Model(name)
    return (
        script(model, good, header=header),
        script(model, bad, "nonlinearizable", header=header),
    )


_OF_MODELS: Final = (
    *_model("register", "0 write 1\n1 read = 1", "0 write 1\n1 read = 2"),
    *_model("cas-register", "0 write 1\n1 cas [1, 2]\n0 read = 2", "0 write 1\n1 cas [3, 2]"),
    *_model("mutex", "0 acquire\n0 release\n1 acquire", "0 acquire\n1 acquire"),
    *_model("unordered-queue", "0 enqueue 1\n1 dequeue = 1", "1 dequeue = 1\n0 enqueue 1"),
    *_model(
        "fifo-queue",
        "0 enqueue 1\n0 enqueue 2\n1 dequeue = 1",
        "0 enqueue 1\n0 enqueue 2\n1 dequeue = 2",
    ),
    *_model("stack", "0 push 1\n0 push 2\n1 pop = 2", "0 push 1\n0 push 2\n1 pop = 1"),
    *_model("linearizable-set", "0 add 1\n1 read = [1]", "0 add 1\n1 read = [2]"),
    *_model("linearizable-counter", "0 add 2\n1 read = 2", "0 add 2\n1 read = 3"),
    *_model(
        "kv",
        '0 put ["k", "a"]\n0 append ["k", "b"]\n1 get ["k", null] = ["k", "ab"]',
        '0 put ["k", "a"]\n0 append ["k", "b"]\n1 get ["k", null] = ["k", "b"]',
        independent=True,
    ),
    *_model(
        "multi-register",
        '0 txn [["w", "x", 1], ["w", "y", 1]]\n1 txn [["r", "x", null]] = [["r", "x", 1]]',
        '0 txn [["w", "x", 1], ["w", "y", 1]]\n1 txn [["r", "x", null]] = [["r", "x", 2]]',
    ),
    *_model("owner-mutex", "0 acquire\n0 release", "0 acquire\n1 release"),
    *_model(
        "reentrant-mutex",
        "0 acquire\n0 acquire\n0 release\n0 release\n1 acquire",
        "0 acquire\n0 acquire\n0 release\n1 acquire",
    ),
    *_model(
        "fenced-mutex",
        "0 acquire = 1\n0 release\n1 acquire = 2",
        "0 acquire = 2\n0 release\n1 acquire = 1",
    ),
)

_PLANTED: Final = (
    script(
        G2,
        """
        0 + insert [5, [1, null]]
        1 + insert [5, [null, 2]]
        0 - ok
        1 - ok
        """,
        "G2-item",
        header={"independent": True},
    ),
    registers(WriteSkew, "p: [wx1 wy1]\nq: [rx1 ry1 wx2]\nr: [rx1 ry1 wy2]", "write-skew"),
    *(
        elle_registers(drawing, kind, models=model)
        for model, drawing, kind in (
            ("read-atomic", "p: [wx1] [rx1 rx_]", "internal"),
            ("read-committed", "p: [wx1 ry1]\nq: [wy1 rx1]", "G1c"),
            ("consistent-view", "p: [wx1 wy1]\nq: [rx1 ry_]", "G-single-item"),
            ("serializable", "p: [rx_ ry_ wx1]\nq: [rx_ ry_ wy1]", "G2-item"),
            ("strict-serializable", "p: [wx1]\nq:        [rx_]", "G-single-item-realtime"),
        )
    ),
    lists("a: [ax1 ay1]\nb:       [ry1 rx ]\nc: [ax2]\nd:    [rx12]", "G-single-item"),
    register("p: [w1]   [w2          ]\nq:          [r2]  [r1]", "stale-read"),
    register("p: [w1]  [c1>2]\nq:        [c1>3]", "nonlinearizable"),
    register("p: [w1]  [w2!\nq:            [r2]", "nonlinearizable"),
)

_CLEAN: Final = (
    lists(
        "a: [ax1 ry ]      [rx12 ay1]\nb:         [ax2 ]           [rx12 ry1]", models=_STRICT[0]
    ),
    elle_registers(_SERIAL, models=_STRICT[0]),
    *(registers(checker, _SERIAL) for checker in (Torn, WriteSkew, Causal)),
    registers(LongFork, "p: [wx1]\nq:       [wy1]\nr:   [rx1 ry_]     [rx1 ry1]"),
    script(
        PredicateReads,
        '0 txn [["insert", "1", 5]]\n1 txn [["rp", "true"]] = [["rp", "true", {"1": 5}]]',
    ),
    script(G2, "0 insert [5, [1, null]]\n1 insert [5, [null, 2]] !", header={"independent": True}),
    script(CausalReverse, "0 write 7\n1 write 8\n2 read = [7, 8]"),
    script(Comments, "0 write 1\n0 write 2\n1 read = [1, 2]"),
    script(InsertOrder, '0 read 1 = [1, [null, "b", "a"]]'),
    script(SessionMonotonic, "0 inc = 1\n1 inc = 2\n0 read = 2"),
    script(Sequential, '0 read ["x", null] = ["x", 4]\n0 inc ["x", null] = ["x", 5]'),
    script(Monotonic, "0 add [0, null] = [0, 1]\n1 add [1, null] = [1, 2]"),
    script(Set, "0 add 1\n1 add 2 ?\n1 read = [1]"),
    script(SetFull, "0 add 1\n1 read = [1]\n1 read = [1]", claims=("linearizable",)),
    script(Counter, "0 add 5\n1 add -2 ?\n0 read = 5\n0 read = 3"),
    script(Queue, "0 enqueue 1\n0 enqueue 2\n1 dequeue = 2"),
    script(TotalQueue, "0 enqueue 1\n0 enqueue 2\n1 dequeue = 1\n1 drain = [2]"),
    script(UniqueIds, "0 generate = 7\n1 generate = 8"),
    script(Lock, "0 acquire = 1\n0 release\n1 acquire = 2\n1 release"),
    script(
        Watch,
        '0 write "a" = ["a", 2]\n1 watch 0 = {"after": 0, "to": 2, "events": [[2, "a"]]}',
    ),
    script(
        Log,
        '0 send [["send", "x", 1]] = [["send", "x", [0, 1]]]\n'
        '2 poll [["poll"]] = [["poll", {"x": [[0, 1]]}]]',
    ),
    script(
        Bank,
        '0 transfer {"from": 0, "to": 1, "amount": 5}\n1 read = {"0": 5, "1": 15}',
        header={"initial": {"0": 10, "1": 10}},
    ),
    script(Linearizable, "0 write 1\n1 read = 1"),
    script(Stats, "0 write 1\n1 read = 1"),
    script(UnhandledExceptions, "0 write 1\n1 read ?"),
    run(Crash, "no process ended", _run(run={"exits": []}, logs=[])),
    run(
        Logs,
        "no log at all",
        _run(logs=[]),
        log_patterns={"panic": ["^panic: "]},
    ),
    run(NoRecovery, "ready after 2 s", _run(run={"recovery": {"ready": True, "seconds": 2.0}})),
    run(
        Agreement,
        "n1 and n2 hold x = 1",
        _run(states={"states": {"n1": {"x": 1}, "n2": {"x": 1}}, "unread": {}}),
    ),
)


@dataclass(frozen=True, kw_only=True)
class _Store:
    """A simulated store, the checker that judges it, and how one answer is made wrong."""

    checker: Named
    ask: store.Ask
    apply: store.Apply
    state: Callable[[], Any]
    wrong: store.Wrong
    kinds: tuple[str, ...]
    count: int
    initial: Any = None

    def history(self) -> History:
        """As it should be."""
        return store.simulated(
            self.ask, self.apply, self.state(), count=self.count, seed=1, initial=self.initial
        )

    def examples(self) -> tuple[Example, Example]:
        """As it should be, and with one wrong answer."""
        told = f"{self.count} operations of five processes on a simulated store"
        good = run(self.checker, told, lambda folder: Record(history=self.history()))
        bad = run(
            self.checker,
            f"{told}, one answer made wrong",
            lambda folder: Record(history=store.spoiled(self.history(), self.wrong, seed=2)),
            *self.kinds,
        )
        return good, bad


def _elsewhere(rng: Random, f: str, value: Any) -> Any:
    """A value that was never written, where one was read or taken out."""
    return NOWHERE if f in ("read", "dequeue") and value is not None else None


def _unasked(rng: Random, f: str, value: Any) -> Any:
    """An element that nobody added."""
    return [*value, NOWHERE] if f == "read" else None


def _richer(rng: Random, f: str, value: Any) -> Any:
    """Money out of nowhere."""
    return {**value, "0": value["0"] + 1} if f == "read" else None


def _one_more(rng: Random, f: str, steps: Any) -> Any:
    """An element that nobody appended, at the end of the longest list that was read."""
    reads = [step for step in steps if step[0] == "r" and step[2]]
    if not reads:
        return None
    longest = max(reads, key=lambda step: len(step[2]))
    return [[*step[:2], [*step[2], NOWHERE]] if step is longest else step for step in steps]


_ACCOUNTS: Final = {str(account): 1000 for account in range(4)}
STORES: Final = (
    _Store(
        checker=Linearizable,
        ask=store.register_asks,
        apply=store.register_applies,
        state=dict,
        wrong=_elsewhere,
        kinds=("nonlinearizable",),
        count=2000,
    ),
    _Store(
        checker=ListAppend,
        ask=store.transaction_asks,
        apply=store.list_applies,
        state=dict,
        wrong=_one_more,
        kinds=("incompatible-order", "thin-air"),
        count=300,
    ),
    _Store(
        checker=Bank,
        ask=store.bank_asks,
        apply=store.bank_applies,
        state=lambda: dict(_ACCOUNTS),
        wrong=_richer,
        kinds=("wrong-total",),
        count=1000,
        initial=_ACCOUNTS,
    ),
    _Store(
        checker=Counter,
        ask=store.counter_asks,
        apply=store.counter_applies,
        state=lambda: {"sum": 0},
        wrong=_elsewhere,
        kinds=("too-high",),
        count=1000,
        initial=0,
    ),
    _Store(
        checker=Queue,
        ask=store.queue_asks,
        apply=store.queue_applies,
        state=list,
        wrong=_elsewhere,
        kinds=("unexpected",),
        count=1000,
    ),
    *(
        _Store(
            checker=checker,
            ask=store.set_asks,
            apply=store.set_applies,
            state=list,
            wrong=_unasked,
            kinds=("unexpected",),
            count=300,
        )
        for checker in (Set, SetFull)
    ),
)


def _as_stated(example: Example) -> Example:
    return example if example.expects else replace(example, valid=True)


def trials() -> list[Example]:
    """Every trial, in the order in which they are told."""
    found = [*_CLEAN, *_OF_MODELS, *_PLANTED]
    found += [example for each in STORES for example in each.examples()]
    return [_as_stated(example) for example in found]
