"""Combinators that choose between generators: ``mix any_ shortest_any reserve``.

Where several parts could give the next operation, the *soonest* one wins, and among equals
chance decides, in proportion to weights, so that no part starves another. Asking every part for
each operation would cost their number. It is not needed: no operation lies before the present,
so the parts are asked in a random order, and the first whose operation is due now wins. Among
those that are due this is the same choice, because in a random order each is as likely to come
first as its weight says, and nobody can see that the others were not asked.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any

from harness.errors import UsageError
from harness.generator.context import Context, threads_in
from harness.generator.core import (
    NOTHING,
    PENDING,
    Combinator,
    Generator,
    Liftable,
    Pending,
    Step,
    bind_all,
)
from harness.generator.leaves import lift
from harness.generator.streams import draw
from harness.history.operation import Operation

Choice = tuple[int, Operation, Generator]
"""Which part, its operation, and the part's successor."""


def soonest(
    gens: Sequence[Generator],
    masks: Sequence[int],
    weights: Sequence[int],
    context: Context,
    stream: int,
    position: int,
) -> Choice | Pending | None:
    """The part whose operation comes first; ties are broken by chance, by weight.

    Part i sees the threads of ``masks[i]``. ``PENDING`` if some part may have one later,
    ``None`` if all are exhausted. Asks only as many parts as it must.
    """
    free, now = context.free, context.time_ns
    able = [i for i, mask in enumerate(masks) if free & mask]
    best: Choice | None = None
    is_pending = False
    bits = -1
    while able:
        if len(able) == 1:
            i = able.pop()
        else:
            bits = draw(stream, position) if bits < 0 else draw(bits, 1)
            i = _take(able, weights, bits)
        step = gens[i].op(context.restrict(masks[i]))
        if step is None:
            continue
        if step is PENDING:
            is_pending = True
        elif step[0].time <= now:
            return i, step[0], step[1]
        elif best is None or step[0].time < best[1].time:
            best = (i, step[0], step[1])
    if best is not None:
        return best
    return PENDING if is_pending or _busy_may_go_on(gens, masks, context) else None


def _take(able: list[int], weights: Sequence[int], bits: int) -> int:
    """Remove one part of ``able``, each as likely as its weight."""
    ticket = (bits * sum([weights[i] for i in able])) >> 64
    at = 0
    while ticket >= weights[able[at]]:
        ticket -= weights[able[at]]
        at += 1
    return able.pop(at)


def _busy_may_go_on(gens: Sequence[Generator], masks: Sequence[int], context: Context) -> bool:
    """Whether a part whose threads are all busy is not exhausted; no threads at all end it."""
    return any(
        context.all & mask and gen.op(context.restrict(mask)) is not None
        for gen, mask in zip(gens, masks, strict=True)
        if not context.free & mask
    )


def replaced(gens: tuple[Generator, ...], place: int, gen: Generator) -> tuple[Generator, ...]:
    """``gens`` with another one at ``place`` (the same tuple if it is there already)."""
    if gens[place] is gen:
        return gens
    changed = list(gens)
    changed[place] = gen
    return tuple(changed)


def update_all(
    gens: tuple[Generator, ...], context: Context, event: Operation
) -> tuple[Generator, ...]:
    """Every generator told of ``event`` (the same tuple if none cared)."""
    updated = tuple([gen.update(context, event) for gen in gens])
    return gens if all(map(_is, updated, gens)) else updated


def _is(a: object, b: object) -> bool:
    return a is b


class Mix(Combinator, frozen=True, gc=False):
    """See :func:`mix`."""

    gens: tuple[Generator, ...]
    stream: int = 0
    emitted: int = 0

    def op(self, context: Context) -> Step:
        """From a generator chosen at random; an exhausted one leaves the mixture."""
        gens, bits = self.gens, draw(self.stream, self.emitted)
        while gens:
            place = (bits * len(gens)) >> 64
            step = gens[place].op(context)
            if step is PENDING:
                return PENDING
            if step is not None:
                after = replaced(gens, place, step[1])
                return step[0], Mix(after, self.stream, self.emitted + 1)
            gens = gens[:place] + gens[place + 1 :]
            bits = draw(bits, 1)
        return None

    def bound(self, stream: int) -> Generator:
        """Each is a child; the choice draws from ``stream``."""
        return Mix(bind_all(self.gens, stream), stream, self.emitted)


def mix(gens: Iterable[Liftable]) -> Generator:
    """Operations of ``gens`` in a random mixture, each generator as likely as another.

    Like a sequence of operations each taken from one generator chosen beforehand: while that
    one is pending, so is the mixture. Updates are ignored.
    """
    lifted = tuple(lift(gen) for gen in gens if gen is not None)
    return Mix(lifted) if lifted else NOTHING


class Any_(Combinator, frozen=True, gc=False):
    """See :func:`any_` and, if ``ends_with_first``, :func:`shortest_any`."""

    gens: tuple[Generator, ...]
    ends_with_first: bool = False
    stream: int = 0
    emitted: int = 0

    def op(self, context: Context) -> Step:
        """The soonest operation of all."""
        gens = self.gens
        if self.ends_with_first and any(gen.op(context) is None for gen in gens):
            return None
        everyone = (-1,) * len(gens)
        choice = soonest(gens, everyone, (1,) * len(gens), context, self.stream, self.emitted)
        if choice is None or choice is PENDING:
            return choice
        place, operation, after = choice
        return operation, self._with(replaced(gens, place, after), self.emitted + 1)

    def _with(self, gens: tuple[Generator, ...], emitted: int) -> Generator:
        return Any_(gens, self.ends_with_first, self.stream, emitted)

    def update(self, context: Context, event: Operation) -> Generator:
        """Passed on to every generator."""
        gens = update_all(self.gens, context, event)
        return self if gens is self.gens else self._with(gens, self.emitted)

    def bound(self, stream: int) -> Generator:
        """Each is a child; ties draw from ``stream``."""
        gens = bind_all(self.gens, stream)
        return Any_(gens, self.ends_with_first, stream, self.emitted)


def any_(*gens: Liftable) -> Generator:
    """Operations of all ``gens``, always the soonest; updates go to all. Ends with the last."""
    lifted = tuple(lift(gen) for gen in gens if gen is not None)
    if len(lifted) < 2:
        return lifted[0] if lifted else NOTHING
    return Any_(lifted)


def shortest_any(*gens: Liftable) -> Generator:
    """Like :func:`any_`, but ends as soon as one of them is exhausted."""
    lifted = tuple(lift(gen) for gen in gens)
    if len(lifted) < 2:
        return lifted[0] if lifted else NOTHING
    return Any_(lifted, True)


class Reserve(Combinator, frozen=True, gc=False):
    """See :func:`reserve`. The last of ``gens`` is the default."""

    gens: tuple[Generator, ...]
    counts: tuple[int, ...]
    stream: int = 0
    emitted: int = 0

    def op(self, context: Context) -> Step:
        """The soonest operation of any range; a range counts as much as it has threads.

        One range is tried first by itself, as likely as its weight: where it has an operation
        due now, that is the choice. Else the draw is rejected, which leaves the odds even.
        """
        masks, weights = _ranges(context.all, self.counts)
        bits = draw(self.stream, self.emitted)
        place, ticket = 0, (bits * context.all.bit_count()) >> 64
        while ticket >= weights[place] and place < len(self.counts):
            ticket -= weights[place]
            place += 1
        mask = masks[place]
        if context.free & mask:
            step = self.gens[place].op(context.restrict(mask))
            if step.__class__ is tuple and step[0].time <= context.time_ns:
                gens = replaced(self.gens, place, step[1])
                return step[0], Reserve(gens, self.counts, self.stream, self.emitted + 1)
        choice = soonest(self.gens, masks, weights, context, bits, 1)
        if choice is None or choice is PENDING:
            return choice
        place, operation, after = choice
        gens = replaced(self.gens, place, after)
        return operation, Reserve(gens, self.counts, self.stream, self.emitted + 1)

    def update(self, context: Context, event: Operation) -> Generator:
        """Passed on to the range whose thread it was."""
        masks, _ = _ranges(context.all, self.counts)
        thread = context.thread_of(event.process)
        for place, mask in enumerate(masks):
            if mask >> thread & 1:
                gen = self.gens[place]
                after = gen.update(context.restrict(mask), event)
                if after is gen:
                    return self
                gens = replaced(self.gens, place, after)
                return Reserve(gens, self.counts, self.stream, self.emitted)
        return self

    def bound(self, stream: int) -> Generator:
        """Each range is a child; ties draw from ``stream``."""
        return Reserve(bind_all(self.gens, stream), self.counts, stream, self.emitted)


@lru_cache(maxsize=4096)
def _ranges(threads: int, counts: tuple[int, ...]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The masks of the ranges and of the rest, in ascending order, and how many threads each has.

    Counted among the threads of the context, not from 0, so that a reserve inside a group of
    threads divides that group.
    """
    rest = list(threads_in(threads))
    masks, weights = [], []
    for count in counts:
        masks.append(sum(1 << thread for thread in rest[:count]))
        weights.append(len(rest[:count]))
        del rest[:count]
    return (*masks, sum(1 << thread for thread in rest)), (*weights, len(rest))


def reserve(*counts_and_gens: Any) -> Generator:
    """``reserve(5, writes, 10, cas, reads)``: 5 threads write, the next 10 cas, the rest read.

    Ranges are taken from the threads of the context in ascending order. Each generator sees
    its own threads only, and only their updates, so one class of operations that hangs leaves
    the others their threads. A range without any thread counts as exhausted.
    """
    if len(counts_and_gens) % 2 == 0:
        raise UsageError("reserve takes pairs of a count and a generator, then a default generator")
    *pairs, default = counts_and_gens
    counts, gens = tuple(pairs[::2]), pairs[1::2]
    if not all(isinstance(count, int) and count >= 0 for count in counts):
        raise UsageError(f"reserve: the counts {list(counts)} must be whole numbers from 0")
    return Reserve(tuple(lift(gen) for gen in (*gens, default)), counts)
