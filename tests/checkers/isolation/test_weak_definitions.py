"""The checkers of one thing each against their definitions, on small random histories.

``WEAK_ROUNDS`` in the environment sets how many of each there are.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable
from random import Random
from typing import Any

import pytest

from checkers.isolation.causal import Causal
from checkers.isolation.causal_reverse import CausalReverse
from checkers.isolation.g2 import G2
from checkers.isolation.long_fork import LongFork
from checkers.isolation.monotonic import Monotonic
from checkers.isolation.predicates.checker import PredicateReads
from checkers.isolation.sequential import Sequential
from checkers.isolation.torn import Torn
from checkers.isolation.write_skew import WriteSkew
from checkers.objects.comments import Comments
from checkers.objects.insert_order import InsertOrder
from checkers.objects.session_monotonic import SessionMonotonic
from checkers.proof.findings import NOTHING_JUDGED
from harness.verdict.record import Record
from harness.verdict.verdict import UNKNOWN, Budget
from tests.checkers.isolation import weak_definitions as defined
from tests.checkers.isolation.weak_cases import Case, registers, rows
from tests.checkers.objects import weak_objects as objects

ROUNDS = int(os.environ.get("WEAK_ROUNDS", "250"))
FIRST = int(os.environ.get("WEAK_FIRST", "0"))
Expected = tuple[bool | None, bool | None]
"""Whether it must be false, and whether it may be; ``None`` where the two are one."""


def expected_of_registers(case: Case, wrong: Callable[..., bool], may: Callable[..., bool]) -> Any:
    """Whether the answer must be false, and whether it may be."""
    start = defined.started_with(case.history.header.initial)
    if case.odd or defined.ambiguous(case.done, start):
        return None
    defined.count_reads(case.done, start)
    is_odd = bool(defined.odd_reads(case.done, start))
    return is_odd or wrong(case.done, start), is_odd or may(case.done, start)


def causal(random: Random) -> tuple[Any, Case, Any]:
    case = registers(random, most_steps=1)
    diverges = lambda done, start: not defined.is_convergent(done, start)  # noqa: E731
    return Causal({}), case, expected_of_registers(case, diverges, diverges)


def torn(random: Random) -> tuple[Any, Case, Any]:
    case = registers(random)
    no_view = lambda done, start: not defined.has_a_view(done, start)  # noqa: E731
    return Torn({}), case, expected_of_registers(case, defined.torn, no_view)


def skew(random: Random) -> tuple[Any, Case, Any]:
    case = registers(random)
    no_order = lambda done, start: not defined.registers_have_an_order(done, start, "")  # noqa: E731
    return WriteSkew({}), case, expected_of_registers(case, defined.skew, no_order)


def fork(random: Random) -> tuple[Any, Case, Any]:
    case = registers(random, once=True)
    return LongFork({}), case, expected_of_registers(case, defined.fork, defined.fork)


def predicates(random: Random) -> tuple[Any, Case, Any]:
    case = rows(random)
    model, kept = random.choice(
        (
            ("serializable", ""),
            ("strong-session-serializable", "process"),
            ("strict-serializable", "realtime"),
        )
    )
    first = case.history.header.initial or {}
    is_wrong = not defined.rows_have_an_order(case.done, first, kept)
    return PredicateReads({"claims": [model]}), case, None if case.odd else (is_wrong, is_wrong)


def of_objects(checker: Any, drawn: Callable[[Random], Any]) -> Any:
    """A case of one object, with its checker."""

    def case(random: Random) -> tuple[Any, Case, Any]:
        return checker({}), *drawn(random)

    case.__name__ = drawn.__name__
    return case


FAMILY = (
    causal,
    torn,
    skew,
    fork,
    predicates,
    of_objects(CausalReverse, objects.reversals),
    of_objects(Comments, objects.comments),
    of_objects(InsertOrder, objects.parts),
    of_objects(Sequential, objects.counters),
    of_objects(SessionMonotonic, objects.rising),
    of_objects(Monotonic, objects.tables),
    of_objects(G2, objects.pairs),
)


@pytest.mark.parametrize("drawn", FAMILY, ids=lambda drawn: str(drawn.__name__))
def test_the_answer_is_what_the_definition_says(drawn: Any) -> None:
    said = Counter[Any]()
    for seed in range(FIRST, FIRST + ROUNDS):
        checker, case, expected = drawn(Random(seed))
        verdict = checker.check(Record(history=case.history), Budget.start(60))
        told = (seed, verdict, [str(each) for each in case.history], case.history.header)
        if expected is None:
            assert verdict.valid is not True, told
        else:
            must, may = expected
            assert verdict.valid is False or not must, told
            assert verdict.valid is not False or may, told
            said["invalid"] += verdict.valid is False
            is_untested = "nothing of this" in verdict.why or NOTHING_JUDGED in verdict.stats
            said["undecided"] += verdict.valid == UNKNOWN and not is_untested
        said[verdict.valid] += 1
    print(drawn.__name__, dict(said))
    assert said["undecided"] == 0, said
    assert min(said[True], said["invalid"]) > ROUNDS / 20, said
