"""What a search is given: intervals, kinds of operations, and a machine that says what fits.

Every engine here answers one question: is there an order of the operations, each at one moment of
its interval, that the object allows? What the object is does not matter to it. It sees a
:class:`Machine` whose states and kinds of operations are small integers, and for each operation
its kind and its interval. Two operations are of one kind if they ask and answer the same.

A register with compare-and-set is the machine that the compiled engine knows by heart
(:class:`RegisterMachine`: a kind *sees* a value or not and *makes* one or not); any other object is
known by its transitions, asked for as they are needed
(:mod:`checkers.linearizable.register_models`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from checkers.linearizable.register_entries import INITIAL, NEVER, NOTHING, Entry
from harness.verdict.verdict import Budget

REFUSED: Final = -1
"""What :meth:`Machine.step` answers where the operation does not fit the state."""


class Exhausted(Exception):
    """The search was given up; the message says what ran out.

    ``more_would_help``: it was the number of configurations, which can be raised.
    """

    def __init__(self, message: str, *, more_would_help: bool = False) -> None:
        super().__init__(message)
        self.more_would_help = more_would_help


@dataclass
class Allowance:
    """How many configurations a search may visit, how many bytes it may hold, and until when."""

    configurations: int
    budget: Budget
    visited: int = 0

    def spend(self, visited: int, held_bytes: int) -> None:
        """Count ``visited`` more; :class:`Exhausted` if that was too much."""
        self.visited += visited
        if self.visited > self.configurations:
            raise Exhausted(f"{self.configurations:,} configurations", more_would_help=True)
        if held_bytes > self.budget.bytes:
            raise Exhausted(f"{self.budget.bytes / 2**20:,.0f} MiB of memory")
        if self.budget.expired():
            raise Exhausted(f"{self.budget.seconds:g} s of checker time")


class Machine(Protocol):
    """An object as numbers."""

    @property
    def looks(self) -> Sequence[bool]:
        """For each kind, whether it never changes the state."""
        ...

    @property
    def held_bytes(self) -> int:
        """What the states known so far take, about."""
        ...

    def step(self, state: int, kind: int) -> int:
        """The state after an operation of ``kind``, or :data:`REFUSED`. Pure."""
        ...


@dataclass(frozen=True)
class RegisterMachine:
    """A register: a kind may see a value (it must be held) and may make one; else ``NOTHING``."""

    seen: Sequence[int]
    made: Sequence[int]

    @property
    def looks(self) -> Sequence[bool]:
        """Reads make nothing."""
        return [made == NOTHING for made in self.made]

    @property
    def held_bytes(self) -> int:
        """Its states are numbers already."""
        return 0

    def step(self, state: int, kind: int) -> int:
        """See :class:`Machine`."""
        seen = self.seen[kind]
        if seen not in (NOTHING, state):
            return REFUSED
        made = self.made[kind]
        return state if made == NOTHING else made


@dataclass(frozen=True)
class Problem:
    """Operations in order of invocation, as columns, with the states that may be held at first.

    ``invoke`` and ``complete`` are positions (:data:`~checkers.linearizable.register_entries.NEVER`
    for an unknown outcome), all different but for missing invocations.
    """

    machine: Machine
    kinds: Sequence[int]
    invoke: Sequence[int]
    complete: Sequence[int]
    start: tuple[int, ...] = (INITIAL,)

    def __len__(self) -> int:
        return len(self.kinds)

    def until(self, position: int) -> Problem:
        """Up to and including the record at ``position``, of what had been answered by then.

        Operations still open there have their answers all the same, so this serves only to find
        the first prefix without an order of a problem that has none: none of them is needed.
        """
        chosen = [i for i, invoke in enumerate(self.invoke) if invoke <= position]
        ends = [self.complete[i] if self.complete[i] <= position else NEVER for i in chosen]
        kinds, begins = [self.kinds[i] for i in chosen], [self.invoke[i] for i in chosen]
        return Problem(self.machine, kinds, begins, ends, self.start)

    def events(self) -> list[int]:
        """Each operation ``i`` twice, as ``i`` where invoked and ``~i`` where answered."""
        events = [(position, i, i) for i, position in enumerate(self.invoke)]
        events += [(end, i, ~i) for i, end in enumerate(self.complete) if end != NEVER]
        events.sort()
        return [event for _, _, event in events]


@dataclass(frozen=True)
class Stuck:
    """No order lets operation ``late`` have its answer; ``states`` are all that were possible."""

    late: int
    states: frozenset[int]


def register_problem(entries: Sequence[Entry], start: Iterable[int] = (INITIAL,)) -> Problem:
    """The problem of ``entries``, whose values are the states."""
    kinds: dict[tuple[int, int], int] = {}
    of_kind = [kinds.setdefault((entry.seen, entry.made), len(kinds)) for entry in entries]
    machine = RegisterMachine([seen for seen, _ in kinds], [made for _, made in kinds])
    return Problem(
        machine,
        of_kind,
        [entry.invoke for entry in entries],
        [entry.complete for entry in entries],
        tuple(start),
    )
