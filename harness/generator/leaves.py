"""Leaves of the generator tree, and how ordinary Python values become generators.

========================  ======================================================================
value                     as a generator
========================  ======================================================================
``None``                  exhausted
``Operation``             emitted once, with a free process and the present time filled in
list, tuple, iterable     one after the other; each element is lifted in its turn
callable                  called for every operation, with the context if it takes an argument;
                          gives a template, any other liftable value (emitted to its end before
                          the next call), or ``None`` when it is exhausted
``Future``                pending until it has a result, then that result
========================  ======================================================================
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from typing import Any, Protocol

from harness.errors import UsageError
from harness.generator.context import Context, in_turn
from harness.generator.core import (
    NOTHING,
    PENDING,
    Combinator,
    Generator,
    Liftable,
    Nothing,
    Pending,
    Step,
    bind,
)
from harness.generator.streams import Random, split
from harness.history.operation import INFO, INVOKE, NEMESIS, Operation
from harness.wording import shown


def lift(value: Liftable) -> Generator:
    """``value`` as a generator (see the table above); ``UsageError`` if it cannot be one."""
    if value is None:
        return NOTHING
    if isinstance(value, Operation):
        return Template(value)
    if isinstance(value, Generator):
        return value
    if isinstance(value, (list, tuple)):
        return Sequenced(tuple(value)) if value else NOTHING
    if isinstance(value, Future):
        return Promise(value)
    if callable(value):
        return Function(_taking_context(value))
    if isinstance(value, Iterable) and not isinstance(value, (str, bytes)):
        return Sequenced(Remembered(value))
    raise UsageError(
        f"{shown(value)} is not a generator",
        "an Operation (see invoke), a list, a callable or a generator",
    )


def waiting(context: Context) -> Pending | None:
    """What a leaf says while no thread is free: ``PENDING``, or ``None`` if there is none at all.

    Else a generator on a set of threads that turned out empty would keep the run from ending.
    """
    return PENDING if context.all else None


def fill_in(template: Operation, context: Context) -> Operation | Pending:
    """``template`` with time and a free process where it has none; ``PENDING`` if none is free.

    What the nemesis does is ``info`` at both ends, so its invocations are, too.
    """
    free = context.free
    if not free:
        return PENDING
    process = template.process
    if process == -1:
        process = context.processes[in_turn(free, context.all, context.rotation)]
    time_ns = template.time if template.time >= 0 else context.time_ns
    kind = template.type
    if process == NEMESIS and kind == INVOKE:
        kind = INFO
    if template.extra is None:
        return Operation(-1, time_ns, process, kind, template.f, template.value)
    return Operation(-1, time_ns, process, kind, template.f, template.value, extra=template.extra)


class Template(Combinator, frozen=True, gc=False):
    """One operation, once."""

    template: Operation

    def op(self, context: Context) -> Step:
        """The operation, if a thread is free."""
        operation = fill_in(self.template, context)
        return waiting(context) if operation is PENDING else (operation, NOTHING)


class Function(Combinator, frozen=True, gc=False):
    """Calls ``fn`` for every operation; see :func:`function`."""

    fn: Callable[[Context], Any]
    stream: int = 0
    position: int = 0

    def op(self, context: Context) -> Step:
        """What ``fn`` gives; nothing is asked of it while no thread is free."""
        if not context.free:
            return waiting(context)
        made = self.fn(context.with_random(Random(self.stream, self.position)))
        after = Function(self.fn, self.stream, self.position + 1)
        if made.__class__ is Operation:
            operation = fill_in(made, context)
            return PENDING if operation is PENDING else (operation, after)
        if made is None:
            return None
        if isinstance(made, Pending):
            return PENDING
        inner: Generator = bind(lift(made), split(self.stream, self.position))
        rest: Generator = Sequenced((inner, after), 0, inner, self.stream)
        return rest.op(context)

    def bound(self, stream: int) -> Generator:
        """The function draws from ``stream``."""
        return Function(self.fn, stream, self.position)


def function(fn: Callable[[Context], Any]) -> Generator:
    """A generator that calls ``fn(context)`` for every operation until it gives ``None``.

    ``fn`` must be pure but for ``context.random``, which is this leaf's own deterministic
    stream (``below(n)``, ``random()``, ``choice(items)``).
    """
    return Function(_taking_context(fn))


def _taking_context(fn: Callable[..., Any]) -> Callable[[Context], Any]:
    try:
        takes_context = bool(inspect.signature(fn).parameters)
    except (TypeError, ValueError):
        takes_context = True
    return fn if takes_context else lambda _context: fn()


class Indexed(Protocol):
    """What is asked for by place, until there is an ``IndexError``."""

    def __getitem__(self, index: int, /) -> Any:
        """What is at ``index``; the same whenever it is asked."""
        ...


class Sequenced(Combinator, frozen=True, gc=False):
    """One generator after another; only the present one sees updates."""

    items: Indexed
    index: int = 0
    current: Generator | None = None
    stream: int = 0

    def op(self, context: Context) -> Step:
        """From the present generator, or else from the first after it that is not exhausted."""
        index, current = self.index, self.current
        while True:
            if current is None:
                current = self._lifted(index)
                if current is None:
                    return None
            step = current.op(context)
            if step is not None:
                break
            index, current = index + 1, None
        if step is PENDING:
            return PENDING
        operation, after = step
        if isinstance(self.items, tuple) and index + 1 == len(self.items):
            return operation, after  # else functions that return generators would nest for ever
        if after.__class__ is Nothing:
            return operation, Sequenced(self.items, index + 1, None, self.stream)
        return operation, Sequenced(self.items, index, after, self.stream)

    def _lifted(self, index: int) -> Generator | None:
        try:
            item = self.items[index]
        except IndexError:
            return None
        return bind(lift(item), split(self.stream, index))

    def update(self, context: Context, event: Operation) -> Generator:
        """Passed on to the present generator."""
        current = self.current if self.current is not None else self._lifted(self.index)
        if current is None:
            return NOTHING
        after = current.update(context, event)
        if after is current:
            return self
        return Sequenced(self.items, self.index, after, self.stream)

    def bound(self, stream: int) -> Generator:
        """Element i is child i."""
        current = None if self.current is None else bind(self.current, split(stream, self.index))
        return Sequenced(self.items, self.index, current, stream)


class Remembered(Sequence[Any]):
    """An iterable, perhaps endless, read as far as it was asked for and never read twice.

    It keeps what it read, because an earlier generator of a run may be asked again.
    """

    __slots__ = ("_read", "_rest")

    def __init__(self, source: Iterable[Any]) -> None:
        self._rest: Iterator[Any] = iter(source)
        self._read: list[Any] = []

    def __getitem__(self, index: Any) -> Any:
        while len(self._read) <= index:
            try:
                self._read.append(next(self._rest))
            except StopIteration:
                raise IndexError(index) from None
        return self._read[index]

    def __len__(self) -> int:
        return len(self._read)


class Promise(Combinator, frozen=True, gc=False):
    """Pending until ``future`` has a result, then that."""

    future: Future[Any]
    stream: int = 0

    def op(self, context: Context) -> Step:
        """From the result, as soon as there is one."""
        if not self.future.done():
            return PENDING
        return bind(lift(self.future.result()), self.stream).op(context)

    def bound(self, stream: int) -> Generator:
        """What it will become draws from ``stream``."""
        return Promise(self.future, stream)


class Deferred(Combinator, frozen=True, gc=False):
    """See :func:`deferred`."""

    fn: Callable[[Context], Any]
    made: list[Generator]
    stream: int = 0

    def op(self, context: Context) -> Step:
        """From what the function gives, which is asked once."""
        if not self.made:
            made = self.fn(context.with_random(Random(self.stream)))
            self.made.append(bind(lift(made), split(self.stream, 0)))
        return self.made[0].op(context)

    def bound(self, stream: int) -> Generator:
        """What it will become draws from ``stream``."""
        return Deferred(self.fn, [], stream)


def deferred(fn: Callable[[Context], Any]) -> Generator:
    """The generator that ``fn(context)`` gives, called once and not before its turn has come."""
    return Deferred(_taking_context(fn), [])
