"""The final phase: reads after recovery, asked until each was answered and the nodes agree.

What a run must show is what is left *after* the faults. So the final phase is run by new
processes with new clients, and a read that was refused, lost or timed out is asked again, as a
new operation of another process, until it is answered or the phase ends: a node whose first
answer is an error is no node that was read. Reads that several threads were given (one a node)
are asked again, too, while their answers differ, for a node that lags behind is not one that lost
something: *lost* is what every last read lacks. What was never answered makes the run unknown
(:mod:`harness.judge.health`).

The generator here keeps its state in one place that only *events* change, each recorded once, so
that asking it has no effect, as with any other. Cost: a comparison of all answers whenever nothing
is open.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from harness.generator import PENDING, Context, Generator, Step
from harness.generator.context import threads_in
from harness.generator.core import NS_PER_S, Wrapper
from harness.history.operation import INVOKE, OK, Operation
from harness.judge.final_reads import is_final_read, read_key

_FIRST_PAUSE_S: Final = 0.1
_LONGEST_PAUSE_S: Final = 1.0
_COMPARED: Final = frozenset({"read", "get", "final-poll", "txn"})


@dataclass
class Asked:
    """One read of one thread: its invocation, and what became of it so far."""

    template: Operation
    tries: int = 0
    due_ns: int = -1
    """When it is asked (again); -1 while it is under way, or answered."""
    answer: str | None = None


@dataclass
class FinalReads:
    """What was asked and answered by thread. Changed by events alone."""

    asked: dict[int, dict[tuple[str, str], Asked]] = field(default_factory=dict)
    _open: dict[int, Asked] = field(default_factory=dict)

    def around(self, generator: Generator) -> Generator:
        """``generator``, and what of its reads must be asked again, until all is well."""
        return _Insisting(generator, self)

    @property
    def is_settled(self) -> bool:
        """Whether nothing is under way or to be asked again."""
        waiting = (read for reads in self.asked.values() for read in reads.values())
        return not self._open and all(read.due_ns < 0 for read in waiting)

    def next_due(self, context: Context) -> tuple[int, int, Operation] | None:
        """When the next read of a free thread is to be asked again, by which thread, and what."""
        waiting = [
            (max(read.due_ns, context.time_ns), thread, read.template)
            for thread in threads_in(context.free)
            for read in self.asked.get(thread, {}).values()
            if read.due_ns >= 0
        ]
        return min(waiting, key=lambda each: each[:2], default=None)

    def begin(self, thread: int, operation: Operation) -> None:
        """A read was invoked."""
        key = read_key(operation)
        read = self.asked.setdefault(thread, {}).setdefault(key, Asked(operation))
        read.due_ns, read.tries = -1, read.tries + 1
        self._open[thread] = read

    def end(self, thread: int, completion: Operation) -> None:
        """What this thread does was completed; where nothing is open, the nodes are compared."""
        read = self._open.pop(thread, None)
        if read is None:
            return
        if completion.type == OK:
            read.answer, read.tries = _canonical(completion.value), 0
        else:
            read.due_ns = completion.time + _pause_ns(read.tries)
        if self.is_settled:
            self._ask_where_answers_differ(completion.time)

    def _ask_where_answers_differ(self, now_ns: int) -> None:
        """A node may lag behind the others; one that is alone has nobody to agree with."""
        by_key: dict[tuple[str, str], list[Asked]] = {}
        for reads in self.asked.values():
            for key, read in reads.items():
                if key[0] in _COMPARED:
                    by_key.setdefault(key, []).append(read)
        for of_one in by_key.values():
            if len({read.answer for read in of_one}) > 1:
                for read in of_one:
                    read.due_ns = now_ns + _pause_ns(5)


class _Insisting(Wrapper, frozen=True, gc=False):
    """See :meth:`FinalReads.around`."""

    reads: FinalReads

    def op(self, context: Context) -> Step:
        """A read that is due again, else the next operation of the inner generator."""
        due = self.reads.next_due(context)
        if due is not None and due[0] <= context.time_ns:
            return self._again(context, *due)
        step = self.gen.op(context)
        if step is not None:
            return step if step is PENDING else (step[0], _Insisting(step[1], self.reads))
        if due is not None:
            return self._again(context, *due)
        return None if self.reads.is_settled else PENDING

    def _again(self, context: Context, time_ns: int, thread: int, asked: Operation) -> Step:
        process = context.processes[thread]
        again = Operation(-1, time_ns, process, INVOKE, asked.f, asked.value, extra=asked.extra)
        return again, self

    def update(self, context: Context, event: Operation) -> Generator:
        """Notes reads and their ends."""
        thread = context.thread_of(event.process)
        if event.type != INVOKE:
            self.reads.end(thread, event)
        elif is_final_read(event):
            self.reads.begin(thread, event)
        gen = self.gen.update(context, event)
        return self if gen is self.gen else _Insisting(gen, self.reads)


def _pause_ns(tries: int) -> int:
    pause_s: float = min(_LONGEST_PAUSE_S, _FIRST_PAUSE_S * 2 ** min(tries - 1, 10))
    return round(pause_s * NS_PER_S)


def _canonical(value: Any) -> str:
    """An answer as text, the same for lists in another order: many answers are sets."""
    return json.dumps(_ordered(value), sort_keys=True, default=str)


def _ordered(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _ordered(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return sorted(
            (_ordered(inner) for inner in value),
            key=lambda each: json.dumps(each, sort_keys=True, default=str),
        )
    return value
