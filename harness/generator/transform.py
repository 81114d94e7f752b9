"""Combinators that change or watch what passes: operations, updates, errors.

``map_ f_map filter_ on_update ignore_updates trace validate friendly_exceptions``, with the
meaning of jepsen.generator.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from harness.errors import PolygraphError
from harness.generator.context import Context
from harness.generator.core import (
    LOG,
    NOTHING,
    PENDING,
    SLEEP,
    Generator,
    Liftable,
    Step,
    Wrapper,
    bind,
)
from harness.generator.leaves import lift
from harness.generator.streams import Random, split
from harness.history.operation import INFO, INVOKE, Operation
from harness.wording import named, shown


class GeneratorError(PolygraphError):
    """A generator raised, or gave something that is not an operation; a defect of the workload."""


class Map(Wrapper, frozen=True, gc=False):
    """See :func:`map_`."""

    fn: Callable[[Operation, Context], Operation]
    stream: int = 0
    emitted: int = 0

    def op(self, context: Context) -> Step:
        """The inner operation, transformed."""
        step = self.gen.op(context)
        if step is None or step is PENDING:
            return step
        random = Random(self.stream, self.emitted)
        operation = self.fn(step[0], context.with_random(random))
        return operation, Map(step[1], self.fn, self.stream, self.emitted + 1)

    def around(self, gen: Generator) -> Generator:
        """The same function."""
        return Map(gen, self.fn, self.stream, self.emitted)

    def bound(self, stream: int) -> Generator:
        """The inner generator is child 0; the function draws from ``stream``."""
        return Map(bind(self.gen, split(stream, 0)), self.fn, stream, self.emitted)


def map_(fn: Callable[..., Operation], gen: Liftable) -> Generator:
    """``gen`` with every operation passed through ``fn(operation)`` or ``(operation, context)``."""
    inner = lift(gen)
    if inner is NOTHING:
        return NOTHING
    if len(inspect.signature(fn).parameters) >= 2:
        return Map(inner, fn)
    return Map(inner, lambda operation, _context: fn(operation))


def f_map(names: Mapping[str, str], gen: Liftable) -> Generator:
    """``gen`` with every ``f`` renamed by ``names`` (those not in it stay)."""

    def renamed(operation: Operation) -> Operation:
        return msgspec.structs.replace(operation, f=names.get(operation.f, operation.f))

    return map_(renamed, gen)


class Filter(Wrapper, frozen=True, gc=False):
    """See :func:`filter_`."""

    keeps: Callable[[Operation], bool]

    def op(self, context: Context) -> Step:
        """The next inner operation that is kept; those before it are skipped for good."""
        step = self.gen.op(context)
        while step is not None and step is not PENDING:
            if self.keeps(step[0]):
                return step[0], Filter(step[1], self.keeps)
            step = step[1].op(context)
        return step

    def around(self, gen: Generator) -> Generator:
        """The same predicate."""
        return Filter(gen, self.keeps)


def filter_(keeps: Callable[[Operation], bool], gen: Liftable) -> Generator:
    """The operations of ``gen`` for which ``keeps(operation)`` holds."""
    inner = lift(gen)
    return NOTHING if inner is NOTHING else Filter(inner, keeps)


class OnUpdate(Wrapper, frozen=True, gc=False):
    """See :func:`on_update`."""

    fn: Callable[[Generator, Context, Operation], Liftable]

    def op(self, context: Context) -> Step:
        """From the inner generator."""
        step = self.gen.op(context)
        if step is None or step is PENDING:
            return step
        return step[0], OnUpdate(step[1], self.fn)

    def update(self, context: Context, event: Operation) -> Generator:
        """What the function says."""
        return lift(self.fn(self, context, event))

    def around(self, gen: Generator) -> Generator:
        """The same function."""
        return OnUpdate(gen, self.fn)


def on_update(fn: Callable[[Generator, Context, Operation], Liftable], gen: Liftable) -> Generator:
    """``gen``, and on every event ``fn(this, context, event)`` gives what replaces this.

    ``this.gen`` is the inner generator, which is not updated unless ``fn`` does it.
    """
    return OnUpdate(lift(gen), fn)


class IgnoreUpdates(Wrapper, frozen=True, gc=False):
    """See :func:`ignore_updates`."""

    def op(self, context: Context) -> Step:
        """From the inner generator."""
        step = self.gen.op(context)
        if step is None or step is PENDING:
            return step
        return step[0], IgnoreUpdates(step[1])

    def update(self, context: Context, event: Operation) -> Generator:
        """Nothing changes."""
        return self

    def around(self, gen: Generator) -> Generator:
        """Still deaf."""
        return IgnoreUpdates(gen)


def ignore_updates(gen: Liftable) -> Generator:
    """``gen``, which never hears of any event."""
    inner = lift(gen)
    return NOTHING if inner is NOTHING else IgnoreUpdates(inner)


class Trace(Wrapper, frozen=True, gc=False):
    """See :func:`trace`."""

    key: str
    tell: Callable[[str], None]

    def op(self, context: Context) -> Step:
        """From the inner generator, told."""
        step = self.gen.op(context)
        offered = step[0] if isinstance(step, tuple) else step
        self.tell(f"{self.key} op at {context.time_ns} ns, free {context.free:b}: {offered}")
        if step is None or step is PENDING:
            return step
        return step[0], self.around(step[1])

    def update(self, context: Context, event: Operation) -> Generator:
        """Passed on, told."""
        self.tell(f"{self.key} update at {context.time_ns} ns: {event}")
        gen = self.gen.update(context, event)
        return self if gen is self.gen else self.around(gen)

    def around(self, gen: Generator) -> Generator:
        """The same key."""
        return Trace(gen, self.key, self.tell)


def _to_stderr(line: str) -> None:
    print(line, file=sys.stderr)


def trace(key: str, gen: Liftable, tell: Callable[[str], None] = _to_stderr) -> Generator:
    """``gen``, telling every question and event as a line that begins with ``key``."""
    inner = lift(gen)
    return NOTHING if inner is NOTHING else Trace(inner, key, tell)


class Validate(Wrapper, frozen=True, gc=False):
    """See :func:`validate`."""

    def op(self, context: Context) -> Step:
        """From the inner generator, or ``GeneratorError``."""
        step = self.gen.op(context)
        if step is None or step is PENDING:
            return step
        problems = list(_problems(step, context))
        if problems:
            raise GeneratorError(
                f"the generator {type(self.gen).__name__} gave {shown(step)}: {'; '.join(problems)}"
            )
        return step[0], Validate(step[1])

    def around(self, gen: Generator) -> Generator:
        """Still watching."""
        return Validate(gen)


def _problems(step: Any, context: Context) -> list[str]:
    if not isinstance(step, tuple) or len(step) != 2:
        return ["it should be an operation and a generator, PENDING or None"]
    operation, after = step
    if not isinstance(operation, Operation):
        return ["the first should be an Operation"]
    problems = []
    if not isinstance(after, Generator):
        problems.append("the second should be a generator")
    if operation.type not in (INVOKE, INFO, SLEEP, LOG):
        problems.append(
            f"the type should be invoke, info, sleep or log, not {shown(operation.type)}"
        )
    if operation.time < context.time_ns:
        problems.append(f"its time {operation.time} lies before now, {context.time_ns}")
    thread = context.thread_of(operation.process)
    if not context.free >> thread & 1 or context.processes[thread] != operation.process:
        problems.append(f"process {shown(operation.process)} is not free")
    return problems


def validate(gen: Liftable) -> Generator:
    """``gen``, every answer of which is checked: a known type, a free process, a present time."""
    inner = lift(gen)
    return NOTHING if inner is NOTHING else Validate(inner)


class FriendlyExceptions(Wrapper, frozen=True, gc=False):
    """See :func:`friendly_exceptions`."""

    def op(self, context: Context) -> Step:
        """From the inner generator; what it raises is told with what it was asked."""
        try:
            step = self.gen.op(context)
        except GeneratorError:
            raise
        except Exception as error:
            asked = f"was asked for an operation at {context.time_ns} ns, free {context.free:b}"
            raise self._told(error, asked) from error
        if step is None or step is PENDING:
            return step
        return step[0], FriendlyExceptions(step[1])

    def update(self, context: Context, event: Operation) -> Generator:
        """Passed on; what it raises is told with the event."""
        try:
            gen = self.gen.update(context, event)
        except GeneratorError:
            raise
        except Exception as error:
            raise self._told(error, f"was told of {event}") from error
        return self if gen is self.gen else FriendlyExceptions(gen)

    def _told(self, error: Exception, when: str) -> GeneratorError:
        name = type(self.gen).__name__
        return GeneratorError(f"the generator {name} raised {named(error)} when it {when}")

    def around(self, gen: Generator) -> Generator:
        """Still watching."""
        return FriendlyExceptions(gen)


def friendly_exceptions(gen: Liftable) -> Generator:
    """``gen``, whose exceptions become ``GeneratorError`` with the question or event told."""
    inner = lift(gen)
    return NOTHING if inner is NOTHING else FriendlyExceptions(inner)
