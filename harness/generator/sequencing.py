"""Combinators that order operations: what comes first, how often, and when the next may begin.

Names and meaning are those of jepsen.generator: ``once limit repeat cycle phases then
synchronize concat until_ok flip_flop log sleep``. Given ``None`` (nothing to wrap), each gives
the exhausted generator ``NOTHING``, except ``synchronize``, which may wait on purpose.
"""

from __future__ import annotations

from collections.abc import Callable

from harness.generator.context import Context
from harness.generator.core import (
    LOG,
    NOTHING,
    PENDING,
    SLEEP,
    Combinator,
    Generator,
    Liftable,
    Step,
    Wrapper,
    bind,
    bind_all,
)
from harness.generator.leaves import Sequenced, Template, fill_in, lift, waiting
from harness.generator.streams import split
from harness.history.operation import FAIL, INFO, OK, Operation, Process


class Limit(Wrapper, frozen=True, gc=False):
    """See :func:`limit`."""

    remaining: int

    def op(self, context: Context) -> Step:
        """From the inner generator, while some remain."""
        if self.remaining <= 0:
            return None
        step = self.gen.op(context)
        if step is None or step is PENDING:
            return step
        return step[0], Limit(step[1], self.remaining - 1)

    def around(self, gen: Generator) -> Generator:
        """The same limit."""
        return Limit(gen, self.remaining)


def limit(n: int, gen: Liftable) -> Generator:
    """At most ``n`` operations of ``gen``."""
    inner = lift(gen)
    return NOTHING if inner is NOTHING or n <= 0 else Limit(inner, n)


def once(gen: Liftable) -> Generator:
    """One operation of ``gen``."""
    return limit(1, gen)


class Forever(Combinator, frozen=True, gc=False):
    """One template without end: its own successor, so that nothing is made but the operation."""

    template: Operation

    def op(self, context: Context) -> Step:
        """The operation, if a thread is free."""
        operation = fill_in(self.template, context)
        return waiting(context) if operation is PENDING else (operation, self)


class Repeat(Wrapper, frozen=True, gc=False):
    """See :func:`repeat`. ``emitted`` counts, for a new stream each time."""

    remaining: int
    stream: int = 0
    emitted: int = 0

    def op(self, context: Context) -> Step:
        """The inner generator's operation; the inner generator stays as it is."""
        if self.remaining == 0:
            return None
        step = bind(self.gen, split(self.stream, self.emitted)).op(context)
        if step is None or step is PENDING:
            return step
        left = self.remaining - 1 if self.remaining > 0 else -1
        return step[0], Repeat(self.gen, left, self.stream, self.emitted + 1)

    def around(self, gen: Generator) -> Generator:
        """The same count."""
        return Repeat(gen, self.remaining, self.stream, self.emitted)

    def bound(self, stream: int) -> Generator:
        """The inner generator is bound anew for every operation, so that each may differ."""
        return Repeat(self.gen, self.remaining, stream, self.emitted)


def repeat(gen: Liftable, n: int | None = None) -> Generator:
    """The first operation of ``gen`` again and again (``n`` times).

    The state of ``gen`` does not advance: of a list, its first element is repeated. What is
    drawn at random is drawn anew each time.
    """
    inner = lift(gen)
    if n is None and isinstance(inner, Template):
        return Forever(inner.template)
    return NOTHING if inner is NOTHING or n == 0 else Repeat(inner, -1 if n is None else n)


class Cycle(Combinator, frozen=True, gc=False):
    """See :func:`cycle`."""

    original: Generator
    current: Generator
    remaining: int
    stream: int = 0
    round: int = 0

    def op(self, context: Context) -> Step:
        """From the present round, or the next one if this is exhausted.

        A round that is empty from its start ends the whole: it would for ever be empty.
        """
        if self.remaining == 0:
            return None
        step = self.current.op(context)
        if step is PENDING:
            return PENDING
        if step is None:
            return self._next_round(context)
        return step[0], Cycle(self.original, step[1], self.remaining, self.stream, self.round)

    def _next_round(self, context: Context) -> Step:
        left = self.remaining - 1 if self.remaining > 0 else -1
        if left == 0:
            return None
        number = self.round + 1
        fresh = bind(self.original, split(self.stream, number))
        step = fresh.op(context)
        if step is None or step is PENDING:
            return step
        return step[0], Cycle(self.original, step[1], left, self.stream, number)

    def update(self, context: Context, event: Operation) -> Generator:
        """Passed on to the present round; the next one starts from the original."""
        current = self.current.update(context, event)
        if current is self.current:
            return self
        return Cycle(self.original, current, self.remaining, self.stream, self.round)

    def bound(self, stream: int) -> Generator:
        """Round i is child i."""
        current = bind(self.current, split(stream, self.round))
        return Cycle(self.original, current, self.remaining, stream, self.round)


def cycle(gen: Liftable, n: int | None = None) -> Generator:
    """``gen`` to its end, then from its beginning again, for ever or ``n`` times in all."""
    inner = lift(gen)
    if inner is NOTHING or n == 0:
        return NOTHING
    return Cycle(inner, inner, -1 if n is None else n)


class Synchronize(Wrapper, frozen=True, gc=False):
    """See :func:`synchronize`."""

    def op(self, context: Context) -> Step:
        """Pending until every thread of the context is free; then it is the inner generator."""
        return self.gen.op(context) if context.free == context.all else PENDING

    def around(self, gen: Generator) -> Generator:
        """Still waiting."""
        return Synchronize(gen)


def synchronize(gen: Liftable) -> Generator:
    """``gen``, begun only once every thread is free (``None``: a mere barrier)."""
    return Synchronize(lift(gen))


def phases(*gens: Liftable) -> Generator:
    """Each generator to its end, with a barrier before each: the next waits for all threads."""
    return concat(*(synchronize(gen) for gen in gens if gen is not None))


def then(first: Liftable, second: Liftable) -> Generator:
    """``first``, a barrier, then ``second``. (Jepsen's takes them the other way round.)"""
    if first is None or second is None:
        return lift(second if first is None else first)
    return concat(first, synchronize(second))


def concat(*gens: Liftable) -> Generator:
    """Each generator to its end, one after the other, without barriers."""
    lifted = tuple(lift(gen) for gen in gens if gen is not None)
    if len(lifted) < 2:
        return lifted[0] if lifted else NOTHING
    return Sequenced(lifted)


class UntilOk(Wrapper, frozen=True, gc=False):
    """See :func:`until_ok`. ``active`` are the processes whose operations are open."""

    done: bool = False
    active: frozenset[Process] = frozenset()
    is_enough: Callable[[Operation], bool] | None = None

    def op(self, context: Context) -> Step:
        """From the inner generator, until one of its operations was ok."""
        if self.done:
            return None
        step = self.gen.op(context)
        if step is None or step is PENDING:
            return step
        return step[0], UntilOk(step[1], False, self.active | {step[0].process}, self.is_enough)

    def update(self, context: Context, event: Operation) -> Generator:
        """An ok of an operation of ours ends it."""
        gen = self.gen.update(context, event)
        if event.type not in (OK, FAIL, INFO) or event.process not in self.active:
            return self if gen is self.gen else self.around(gen)
        is_it = event.type == OK and (self.is_enough is None or self.is_enough(event))
        return UntilOk(gen, self.done or is_it, self.active - {event.process}, self.is_enough)

    def around(self, gen: Generator) -> Generator:
        """The same state."""
        return UntilOk(gen, self.done, self.active, self.is_enough)


def until_ok(gen: Liftable, is_enough: Callable[[Operation], bool] | None = None) -> Generator:
    """Operations of ``gen`` until one completes with ok (that is enough, where that is asked)."""
    inner = lift(gen)
    return NOTHING if inner is NOTHING else UntilOk(inner, is_enough=is_enough)


class FlipFlop(Combinator, frozen=True, gc=False):
    """See :func:`flip_flop`."""

    gens: tuple[Generator, ...]
    turn: int = 0

    def op(self, context: Context) -> Step:
        """From the generator whose turn it is."""
        step = self.gens[self.turn].op(context)
        if step is None or step is PENDING:
            return step
        gens = (*self.gens[: self.turn], step[1], *self.gens[self.turn + 1 :])
        return step[0], FlipFlop(gens, (self.turn + 1) % len(gens))

    def bound(self, stream: int) -> Generator:
        """Each is a child."""
        return FlipFlop(bind_all(self.gens, stream), self.turn)


def flip_flop(*gens: Liftable) -> Generator:
    """An operation of the first, one of the second, and so on in turn; ends with any of them.

    Updates are ignored.
    """
    return FlipFlop(tuple(lift(gen) for gen in gens)) if gens else NOTHING


def log(message: str) -> Generator:
    """Prints ``message`` once, when its turn comes; nothing is recorded."""
    return Template(Operation(-1, -1, -1, LOG, LOG, message))


def sleep(dt_s: float) -> Generator:
    """Keeps the one thread that takes it idle for ``dt_s`` seconds; nothing is recorded."""
    return Template(Operation(-1, -1, -1, SLEEP, SLEEP, dt_s))
