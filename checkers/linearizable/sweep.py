"""The frontier, compiled: the search of :mod:`checkers.linearizable.frontier` through numba.

The same reductions and the same answers, 50 to 100 times as fast. A configuration takes a word of
64 bits for each 64 operations open at once, so their number is not limited. This module owns the
memory: the loop (:mod:`checkers.linearizable.sweep_kernel`) comes back for more room, for
transitions of an object that it does not know by heart, and every so often for a look at the
clock, so that the allowance is kept to wherever it is.

Needs the extra ``fast``. First use compiles for some seconds; the result is cached on disk.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np

from checkers.linearizable import sweep_kernel as kernel
from checkers.linearizable import sweep_space as register
from checkers.linearizable.register_entries import NEVER, NOTHING
from checkers.linearizable.search_problem import (
    Allowance,
    Problem,
    RegisterMachine,
    Stuck,
)

SLICE: Final = 100_000
"""Configurations between two looks at the clock."""
_ROOM: Final = 1 << 10
_BIT: Final = 64


def first_stuck(problem: Problem, allowance: Allowance) -> Stuck | None:
    """The first completion that no order allows, or ``None`` if there is an order.

    Exact. Raises :class:`~checkers.linearizable.search_problem.Exhausted`.
    """
    return _Sweep(problem, allowance).run()


class _Sweep:
    def __init__(self, problem: Problem, allowance: Allowance) -> None:
        self.problem = problem
        self.allowance = allowance
        self.counted = 0
        machine = problem.machine
        self.is_register = isinstance(machine, RegisterMachine)
        events = _events(problem)
        self.words = max(1, -(-_most_open(events) // _BIT))
        self.known = 0
        values = [machine.made, machine.seen] if isinstance(machine, RegisterMachine) else []
        self.states = 1 + max(max(row, default=0) for row in [problem.start, *values])
        self.space = self._space(events)
        self._start()

    def run(self) -> Stuck | None:
        """Go on until it is decided; see :func:`first_stuck`."""
        needs: dict[int, Callable[[], None]] = {
            kernel.SLICE: lambda: None,
            kernel.GROW: self._grow,
            kernel.GROW_ROWS: self._grow_rows,
            kernel.NEED: self._learn,
        }
        r = self.space.r
        while True:
            r[register.SLICE_END] = r[register.VISITED] + SLICE
            code = kernel.go(self.space)
            self._spend()
            if code == kernel.DONE:
                return None
            if code == kernel.STUCK:
                states = self.space.state[: r[register.SIZE]]
                late = ~int(self.space.events[r[register.EVENT]])
                return Stuck(late, frozenset(np.unique(states).tolist()))
            needs[code]()

    def _spend(self) -> None:
        visited = int(self.space.r[register.VISITED])
        self.allowance.spend(visited - self.counted, self._bytes())
        self.counted = visited

    def _bytes(self, more: int = 0) -> int:
        held: int = sum(array.nbytes for array in self.space)
        return held + more + self.problem.machine.held_bytes

    def _space(self, events: Any) -> register.Space:
        problem, machine, words = self.problem, self.problem.machine, self.words
        operations, slots = len(problem), words * _BIT
        complete = np.asarray(problem.complete, np.int64)
        rank = np.empty(operations, np.int64)
        rank[np.lexsort((np.arange(operations), complete))] = np.arange(operations)
        kinds = len(machine.looks)
        nothing = [NOTHING] * kinds
        seen = machine.seen if isinstance(machine, RegisterMachine) else nothing
        made = machine.made if isinstance(machine, RegisterMachine) else nothing
        rows = self.states if self.is_register else 16
        return register.Space(
            r=np.zeros(register.REGISTERS, np.int64),
            events=events,
            kind=np.asarray(problem.kinds, np.int64),
            rank=rank,
            slot=np.zeros(operations, np.int64),
            is_unknown=complete == NEVER,
            seen=np.asarray(seen, np.int64),
            made=np.asarray(made, np.int64),
            looks=np.asarray(machine.looks, np.bool_),
            active=np.zeros(slots, np.int64),
            looking=np.zeros(slots, np.int64),
            free=np.arange(slots, dtype=np.int64)[::-1].copy(),
            holder=np.zeros(slots, np.int64),
            block=np.zeros((slots, words), np.uint64),
            sizes=np.zeros(slots + 2, np.int64),
            **{name: np.zeros(words, np.uint64) for name in _ROWS_OF_BITS},
            **self._lists(_ROOM),
            **_tables(_ROOM),
            fit=np.zeros((rows, words), np.uint64),
            row_of=np.zeros(self.states, np.int64),
            row_version=np.full(self.states, -1, np.int64),
            rows=np.zeros((0 if self.is_register else rows, slots), np.int64),
            known_keys=np.zeros(_ROOM, np.int64),
            known_states=np.zeros(_ROOM, np.int64),
        )

    def _lists(self, room: int) -> dict[str, Any]:
        return {
            "front": np.zeros((room, self.words), np.uint64),
            "front_state": np.zeros(room, np.int64),
            "work": np.zeros((room, self.words), np.uint64),
            "state": np.zeros(room, np.int64),
            "results": np.zeros(room, np.int32),
            "order": np.zeros(room, np.int32),
            "chain": np.zeros(room, np.int32),
        }

    def _start(self) -> None:
        p = self.space
        p.r[register.WORDS] = self.words
        p.r[register.IS_REGISTER] = self.is_register
        p.r[register.FREE] = self.words * _BIT
        p.r[register.FRONT_SIZE] = len(self.problem.start)
        while len(self.problem.start) >= len(self.space.front_state):
            self._grow()
        self.space.front_state[: len(self.problem.start)] = self.problem.start

    def _grow(self) -> None:
        """Twice the room for configurations."""
        old, room = self.space, 2 * len(self.space.state)
        lists, tables = self._lists(room), _tables(room)
        more = sum(array.nbytes for array in (*lists.values(), *tables.values()))
        if self._bytes(more) > self.allowance.budget.bytes:
            self.allowance.spend(0, self._bytes(more))
        for name, array in lists.items():
            array[: room // 2] = getattr(old, name)
        self.space = old._replace(**lists, **tables)
        register.readmit(self.space)

    def _grow_rows(self) -> None:
        """Twice the room for rows of transitions."""
        p, rows = self.space, 2 * len(self.space.rows)
        fit = np.zeros((rows, self.words), np.uint64)
        nexts = np.zeros((rows, p.rows.shape[1]), np.int64)
        fit[: rows // 2], nexts[: rows // 2] = p.fit, p.rows
        self.space = p._replace(fit=fit, rows=nexts)

    def _learn(self) -> None:
        """Ask the machine for the transitions of one state by all open operations."""
        p, machine = self.space, self.problem.machine
        state = int(p.r[register.WANTED])
        slots = [*p.active[: p.r[register.ACTIVE]], *p.looking[: p.r[register.LOOKING]]]
        for kind in {int(p.kind[p.holder[slot]]) for slot in slots}:
            reached = machine.step(state, kind)
            self._make_room_for(reached)
            kernel.learn(self.space, state, kind, reached)
            self.known += 1

    def _make_room_for(self, state: int) -> None:
        p = self.space
        if state >= len(p.row_of):
            more = np.full(max(state + 1, 2 * len(p.row_of)) - len(p.row_of), -1, np.int64)
            p = p._replace(
                row_of=np.concatenate([p.row_of, more]),
                row_version=np.concatenate([p.row_version, more]),
            )
        if 2 * self.known >= len(p.known_keys):
            old = p
            size = 4 * len(p.known_keys)
            keys, states = np.zeros(size, np.int64), np.zeros(size, np.int64)
            p = p._replace(known_keys=keys, known_states=states)
            for at in np.flatnonzero(old.known_keys):
                key, reached = int(old.known_keys[at]) - 1, int(old.known_states[at])
                kernel.learn(p, *divmod(key, len(p.looks)), reached)
        self.space = p


_ROWS_OF_BITS: Final = ("unknown_bits", "look_bits", "fixed", "costs", "done_looks")


def _tables(room: int) -> dict[str, Any]:
    """Empty hash tables, at most a quarter full."""
    return {
        "table": np.zeros(4 * room, np.int32),
        "stamps": np.zeros(4 * room, np.int32),
        "groups": np.zeros(4 * room, np.int32),
        "group_stamps": np.zeros(4 * room, np.int32),
    }


def _events(problem: Problem) -> Any:
    """What :meth:`Problem.events` says, as an array."""
    invoke = np.asarray(problem.invoke, np.int64)
    complete = np.asarray(problem.complete, np.int64)
    answered = np.flatnonzero(complete != NEVER)
    positions = np.concatenate([invoke, complete[answered]])
    numbers = np.concatenate([np.arange(len(invoke)), ~answered])
    return numbers[np.argsort(positions, kind="stable")]


def _most_open(events: Any) -> int:
    """How many operations are open at once, at most."""
    return int(np.cumsum(np.where(events >= 0, 1, -1)).max(initial=0))
