"""Lists that were appended to by a get and a put: what the system did is a register's history.

A system without an append of its own reads a list, and puts the longer one back. Two such appends
may both build on one list, so that one of them is gone. Then the order in a list is not that in
which its writers wrote, and what seems to follow from it (writes that are interleaved, two orders
of one key) is no doing of the system. What it did: each put has a value of its own, the list that
ends in what was appended; each read shows one put; and the list that a put stood on tells what its
transaction had got before. That history is judged as one of registers, and says what is broken:
that an update was lost, or worse.

Where that finds nothing and the lists do contradict themselves: a claim that forbids lost updates
is broken all the same, for with it nothing undoes an append; which weaker ones are, nobody knows.
Where the claim allows them it is unknown.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from msgspec import structs

from checkers.elle.options import Options
from checkers.isolation.rw_register.checker import RwRegister
from harness.history.calls import name
from harness.history.operation import OK
from harness.verdict.record import Record
from harness.verdict.verdict import UNKNOWN, Budget, Verdict

APPENDS: Final = "appends"
"""The header's option that tells how the workload appended."""
GET_AND_PUT: Final = "get-and-put"
LOST: Final = "lost-update"
SETTLE: Final = (
    "an `append` of the system's transactions, one statement that appends; or a claim that forbids"
    " lost updates"
)


def are_registers(record: Record) -> bool:
    """Whether lists are to be judged so."""
    return record.header.options.get(APPENDS) == GET_AND_PUT


def forbids_lost_updates(options: Options) -> bool:
    """Whether a put that undoes another breaks what is asked for."""
    return LOST in options.prohibited


def judged_as_registers(
    lists: Verdict, asked: Options, options: Mapping[str, Any], record: Record, budget: Budget
) -> Verdict:
    """The verdict on puts, where the one on ``lists`` is not that they are valid."""
    if lists.valid is True or (lists.valid is UNKNOWN and forbids_lost_updates(asked)):
        return lists
    puts = RwRegister(options).check(_as_puts(record), budget)
    if puts.valid is False:
        why = f"{puts.why} (each append was a get and a put, so lists were judged as registers)"
        return replace(puts, why=why)
    if forbids_lost_updates(asked):
        why = f"{lists.why} (each append was a get and a put, so that is all that this rules out)"
        return replace(lists, why=why, not_=(), also_not=())
    found = f": {lists.why}" if lists.valid is False else ""
    return Verdict(
        valid=UNKNOWN,
        why="each append was a get and a put, and what was claimed allows that one undoes another,"
        f" so what follows from the order in a list is not the system's doing{found}",
        settle=SETTLE,
        stats=lists.stats,
    )


def _as_puts(record: Record) -> Record:
    """The history with each append as a write, and each read as one of the last element."""
    history = record.history
    below = _stood_on(record)
    operations = [
        structs.replace(one, value=_steps(one.value, below if one.type == OK else {}))
        if one.is_client and isinstance(one.value, list)
        else one
        for one in history.operations
    ]
    asked = {history.pairs[at]: at for at, one in enumerate(operations) if one.type == OK}
    for start, end in asked.items():
        if start >= 0:
            steps = [[f, k, None if f == "r" else v] for f, k, v in operations[end].value or ()]
            operations[start] = structs.replace(operations[start], value=steps)
    return replace(record, history=replace(history, operations=operations, prepared=None))


def _steps(value: list[Any], below: Mapping[Any, Any]) -> list[Any]:
    steps: list[Any] = []
    for f, key, item in value:
        if f != "append":
            steps.append(["r", key, item[-1] if isinstance(item, list) and item else None])
            continue
        mine = (name(key), name(item))
        if mine in below:
            steps.append(["r", key, below[mine]])
        steps.append(["w", key, item])
    return steps


def _stood_on(record: Record) -> dict[Any, Any]:
    """For each put of which a read tells: what stood at the end of the list that it made longer.

    Left out where reads disagree, or where it can be no list.
    """
    found: dict[Any, Any] = {}
    odd: set[Any] = set()
    for one in record.history.operations:
        if one.type != OK or not one.is_client or not isinstance(one.value, list):
            continue
        for f, key, items in one.value:
            if f == "append" or not isinstance(items, list):
                continue
            for place, item in enumerate(items):
                mine, before = (name(key), name(item)), items[place - 1] if place else None
                if name(found.setdefault(mine, before)) != name(before):
                    odd.add(mine)
    return {mine: before for mine, before in found.items() if mine not in odd}
