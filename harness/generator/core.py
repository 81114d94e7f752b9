"""What a generator is.

A generator is an immutable value that tells the dispatcher what to do next, after Jepsen's
jepsen.generator: asked with a *context* (time, free threads) it gives an operation and the
generator that follows it, says that it cannot tell yet, or that it is exhausted. Told of an
*event* (an invocation or a completion that was recorded) it gives the generator that knows of
it. Nothing changes in place, so an operation whose time lies ahead is simply discarded together
with its successor and asked for again later, and ``any_``, ``reserve`` or ``stagger`` can look
at what their parts would do without making them do it. Jepsen's first generators were mutable
queues, and could do none of these right.

A discarded question must cost nothing, so chance is a function too: :func:`bind` walks the
tree once, before a run, and hands every generator that draws a stream of its own, fixed by the
run's seed and the generator's place in the tree (:mod:`harness.generator.streams`).
"""

from __future__ import annotations

from enum import Enum
from typing import Any, Final, Protocol, TypeAlias, runtime_checkable

import msgspec

from harness.generator.context import Context
from harness.generator.streams import split
from harness.history.operation import INVOKE, Operation

SLEEP: Final = "sleep"
"""Type of an operation that keeps its thread busy for ``value`` seconds; never recorded."""
LOG: Final = "log"
"""Type of an operation that prints ``value``; never recorded."""
NS_PER_S: Final = 1_000_000_000


class Pending(Enum):
    """The type of :data:`PENDING`."""

    PENDING = "pending"


PENDING: Final = Pending.PENDING
"""The answer of a generator that has more to come and cannot tell yet what."""


@runtime_checkable
class Generator(Protocol):
    """Immutable: ``op`` and ``update`` return a successor and change nothing."""

    def op(self, context: Context) -> Step:
        """The next operation and the generator after it, ``PENDING``, or ``None`` if exhausted.

        The operation's ``time`` is when to invoke it (not before the context's time), its
        process one that is free in the context. Asking has no effect, however often.
        """
        ...

    def update(self, context: Context, event: Operation) -> Generator:
        """The generator after ``event`` (an invocation or a completion) was recorded."""
        ...


Step: TypeAlias = tuple[Operation, Generator] | Pending | None
"""What ``op`` returns."""

Liftable: TypeAlias = Any
"""Whatever :func:`harness.generator.leaves.lift` makes a generator of."""


class Combinator(msgspec.Struct, frozen=True, gc=False):
    """Base of the built-in generators: ignores updates and needs no chance.

    A frozen struct costs a tenth of a microsecond to make, which is what makes immutable
    generators affordable. Reference cycles are impossible, so none is tracked.
    """

    def op(self, context: Context) -> Step:
        """See :class:`Generator`."""
        raise TypeError(f"{type(self).__name__} does not say what its next operation is")

    def update(self, context: Context, event: Operation) -> Generator:
        """See :class:`Generator`; here, nothing changes."""
        return self

    def bound(self, stream: int) -> Generator:
        """This generator with ``stream`` as its own, and its children's split from it."""
        return self


class Nothing(Combinator, frozen=True, gc=False):
    """The generator that is exhausted from the start."""

    def op(self, context: Context) -> Step:
        """Nothing more."""
        return None


NOTHING: Final = Nothing()


class Wrapper(Combinator, frozen=True, gc=False):
    """A generator round one other; subclasses say how to rebuild themselves round a successor."""

    gen: Generator

    def around(self, gen: Generator) -> Generator:
        """This generator round another inner one."""
        return msgspec.structs.replace(self, gen=gen)

    def update(self, context: Context, event: Operation) -> Generator:
        """Passed on to the inner generator."""
        gen = self.gen.update(context, event)
        return self if gen is self.gen else self.around(gen)

    def bound(self, stream: int) -> Generator:
        """The inner generator is child 0."""
        return self.around(bind(self.gen, split(stream, 0)))


def bind(generator: Generator, stream: int) -> Generator:
    """``generator`` with every draw in it fixed by ``stream`` (a run binds with its seed).

    A generator of a third party takes part by a method ``bound(stream) -> Generator``.
    """
    bound = getattr(generator, "bound", None)
    return generator if bound is None else bound(stream)


def bind_all(generators: tuple[Generator, ...], stream: int) -> tuple[Generator, ...]:
    """Each of several children bound to a stream of its own."""
    return tuple(bind(gen, split(stream, i)) for i, gen in enumerate(generators))


def invoke(f: str, value: Any = None) -> Operation:
    """A template of an operation; the generator gives it a time and a free process."""
    return Operation(-1, -1, -1, INVOKE, f, value)


def seconds(dt: float) -> int:
    """Seconds as whole nanoseconds."""
    return round(dt * NS_PER_S)
