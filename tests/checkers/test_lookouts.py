"""Lookouts: what they tell while a run goes on is what their checkers say in the end."""

from __future__ import annotations

import random
from collections.abc import Iterable
from typing import Any

import pytest

from checkers.isolation.list_append.checker import ListAppend
from checkers.linearizable import Linearizable
from checkers.objects.bank import Bank
from checkers.objects.unique_ids import UniqueIds
from harness.history.history import History
from harness.history.operation import FAIL, INFO, INVOKE, OK, Header, Operation
from harness.verdict.lookout import KeepsLookout, Sighting
from harness.verdict.record import Record
from harness.verdict.verdict import Budget

Line = tuple[int, str, str, Any]


def operations(lines: Iterable[Line]) -> list[Operation]:
    """Records of (process, type, f, value), in this order."""
    return [Operation(at, at * 1000, *line) for at, line in enumerate(lines)]


def first(checker: Any, header: Header, lines: Iterable[Line]) -> Sighting | None:
    """The first sighting in a history."""
    assert isinstance(checker, KeepsLookout)
    lookout = checker.lookout(header)
    assert lookout is not None
    found = (lookout.see(operation) for operation in operations(lines))
    return next((sighting for sighting in found if sighting is not None), None)


def register(header: Header, *lines: Line) -> Sighting | None:
    return first(Linearizable({}), header, lines)


PLAIN = Header(model="cas-register")


def done(process: int, f: str, asked: Any, answer: Any = None, type_: str = OK) -> list[Line]:
    """A call that nothing ran beside."""
    answer = asked if answer is None else answer
    return [(process, INVOKE, f, asked), (process, type_, f, answer)]


def test_an_acknowledged_write_that_is_gone_is_seen_at_once() -> None:
    lines = [*done(0, "write", 1), *done(0, "write", 2), *done(1, "read", None, 1)]
    found = register(PLAIN, *lines)
    assert found is not None
    assert (found.kind, found.index) == ("stale-read", 5)
    assert "read found 1" in found.message


def test_a_read_that_goes_back_is_seen_even_if_no_write_was_acknowledged() -> None:
    lines = [
        *done(0, "write", 1),
        (2, INVOKE, "write", 2),
        *done(1, "read", None, 2),
        *done(3, "read", None, 1),
    ]
    found = register(PLAIN, *lines)
    assert found is not None
    assert found.kind == "stale-read"


def test_a_value_that_nobody_wrote_is_seen() -> None:
    found = register(PLAIN, *done(0, "write", 1), *done(1, "read", None, 7))
    assert found is not None
    assert found.kind == "nonlinearizable"


def test_what_may_still_take_effect_explains_a_read() -> None:
    unknown = [(0, INVOKE, "write", 1), (0, INFO, "write", 1)]
    lines = [*unknown, *done(1, "write", 2), *done(2, "read", None, 1), *done(2, "read", None, 1)]
    assert register(PLAIN, *lines) is None


def test_a_write_that_failed_explains_nothing() -> None:
    found = register(PLAIN, *done(0, "write", 1, type_=FAIL), *done(2, "read", None, 1))
    assert found is not None


def test_keys_are_apart() -> None:
    keyed = Header(model="cas-register", independent=True)
    lines = [
        *done(0, "write", [1, 5]),
        *done(1, "write", [2, 6]),
        *done(1, "read", [1, None], [1, 5]),
    ]
    assert register(keyed, *lines) is None
    assert register(keyed, *lines, *done(1, "read", [2, None], [2, 5])) is not None


def test_of_what_is_not_understood_nothing_is_told() -> None:
    odd = [(0, INVOKE, "cas", 3), (0, OK, "cas", 3)]
    assert register(PLAIN, *odd, *done(1, "read", None, 9)) is None


@pytest.mark.parametrize(
    "header",
    [
        Header(model="fifo-queue"),
        Header(model="register", initial=3),
        Header(model="register", not_durable="fsync=off"),
    ],
)
def test_there_is_no_lookout_where_nothing_could_be_told(header: Header) -> None:
    assert Linearizable({}).lookout(header) is None


def random_history(rng: random.Random) -> list[Line]:
    """Calls of three processes that overlap, with answers that are often wrong."""
    lines: list[Line] = []
    open_: dict[int, tuple[str, Any]] = {}
    process_of = {0: 0, 1: 1, 2: 2}
    for _ in range(rng.randrange(6, 18)):
        thread = rng.randrange(3)
        process = process_of[thread]
        if thread not in open_:
            f = rng.choice(["read", "read", "write", "cas"])
            pair = [rng.randrange(3), rng.randrange(3)]
            value = {"read": None, "write": rng.randrange(3), "cas": pair}[f]
            open_[thread] = (f, value)
            lines.append((process, INVOKE, f, value))
            continue
        f, value = open_.pop(thread)
        type_ = rng.choice([OK, OK, OK, FAIL, INFO])
        answer = rng.choice([None, 0, 1, 2]) if f == "read" and type_ == OK else value
        lines.append((process, type_, f, answer))
        if type_ == INFO:
            process_of[thread] += 3
    return lines


def test_what_is_told_of_registers_is_never_linearizable() -> None:
    rng, told, broken = random.Random(14), 0, 0
    for _ in range(2000):
        lines = random_history(rng)
        record = Record(history=History(operations(lines), PLAIN))
        valid = Linearizable({}).check(record, Budget.start(60)).valid
        sighting = register(PLAIN, *lines)
        assert sighting is None or valid is False, lines
        told, broken = told + (sighting is not None), broken + (valid is False)
    assert told > 200
    assert told <= broken


def test_a_wrong_total_is_seen_at_once() -> None:
    header = Header(initial={"0": 10, "1": 10})
    sound = done(0, "read", None, {"0": 4, "1": 16})
    assert first(Bank({}), header, sound) is None
    found = first(Bank({}), header, [*sound, *done(0, "read", None, {"0": 4, "1": 15})])
    assert found is not None
    assert (found.kind, found.index) == ("wrong-total", 3)
    assert "adds up to 19, not to 20" in found.message


def test_a_bank_whose_total_nobody_knows_has_no_lookout() -> None:
    assert Bank({}).lookout(Header()) is None


def test_an_id_given_twice_is_seen() -> None:
    lines = [*done(0, "generate", None, 4), *done(1, "generate", None, 5)]
    assert first(UniqueIds({}), Header(), lines) is None
    found = first(UniqueIds({}), Header(), [*lines, *done(2, "generate", None, 4)])
    assert found is not None
    assert "given by record 1 too" in found.message


def read(process: int, items: list[int]) -> list[Line]:
    return done(process, "txn", [["r", "x", None]], [["r", "x", items]])


def test_lists_that_do_not_begin_alike_are_seen_and_judged_so() -> None:
    appends = [line for at in (1, 2, 3) for line in done(0, "txn", [["append", "x", at]])]
    assert (
        first(ListAppend({}), Header(), [*appends, *read(1, [1, 2]), *read(2, [1, 2, 3])]) is None
    )
    lines = [*appends, *read(1, [1, 2]), *read(2, [1, 3, 2]), *read(2, [1])]
    found = first(ListAppend({}), Header(), lines)
    assert found is not None
    assert (found.kind, found.index) == ("incompatible-order", 9)
    verdict = ListAppend({}).check(Record(history=History(operations(lines))), Budget.start(60))
    assert verdict.valid is False
    assert "incompatible-order" in verdict.anomalies


def test_what_a_transaction_appended_itself_is_left_to_the_checker() -> None:
    own = done(
        1, "txn", [["append", "x", 9], ["r", "x", None]], [["append", "x", 9], ["r", "x", [9]]]
    )
    assert first(ListAppend({}), Header(), [*read(0, [1, 2]), *own]) is None


def test_appends_made_of_a_get_and_a_put_have_no_lookout() -> None:
    assert ListAppend({}).lookout(Header(options={"appends": "get-and-put"})) is None
