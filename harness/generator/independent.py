"""Independent keys: one generator a key, so that each key's short history is judged by itself.

Linearizability is checked in time exponential in a key's concurrency, so a long run is cut
into many keys (after jepsen.independent). Values travel as ``[key, value]``; the generator of
a key sees plain values, in the operations that it gives as in the events that it is told.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from harness.errors import UsageError
from harness.generator.context import Context, threads_in
from harness.generator.core import (
    LOG,
    NOTHING,
    PENDING,
    SLEEP,
    Combinator,
    Generator,
    Liftable,
    Nothing,
    Step,
    Wrapper,
    bind,
)
from harness.generator.leaves import Remembered, Sequenced, lift
from harness.generator.mixing import replaced
from harness.generator.streams import draw, split
from harness.generator.threads import Clients
from harness.history.operation import FAIL, INFO, Operation

UNLIMITED = -1


class Keyed(Wrapper, frozen=True, gc=False):
    """The generator of one key: wraps and unwraps values, and counts what may end the key.

    ``operations`` and ``infos`` are how many more there may be, or ``UNLIMITED``. An operation that
    failed with an error was refused or never reached a server and gives its place back: a node
    that is down would else use up key after key in which nothing happened. One that failed
    without an error has the server's own answer (a compare-and-set that found another value).
    """

    key: Any
    operations: int = UNLIMITED
    infos: int = UNLIMITED

    def op(self, context: Context) -> Step:
        """The inner operation with ``[key, value]``."""
        if self.operations == 0 or self.infos == 0:
            return None
        step = self.gen.op(context)
        if step is None or step is PENDING:
            return step
        inner = step[0]
        if inner.type in (SLEEP, LOG):
            return inner, Keyed(step[1], self.key, self.operations, self.infos)
        value = [self.key, inner.value]
        operation = Operation(
            -1, inner.time, inner.process, inner.type, inner.f, value, extra=inner.extra
        )
        left = self.operations - 1 if self.operations > 0 else UNLIMITED
        return operation, Keyed(step[1], self.key, left, self.infos)

    def update(self, context: Context, event: Operation) -> Generator:
        """Events of this key are passed on with the plain value; those of other keys are not."""
        pair = event.value
        if pair.__class__ is not list or len(pair) != 2 or pair[0] != self.key:
            return self
        plain = Operation(
            event.index, event.time, event.process, event.type, event.f, pair[1], event.error
        )
        gen = self.gen.update(context, plain)
        operations, infos = self.operations, self.infos
        if infos > 0 and event.type == INFO:
            infos -= 1
        elif operations >= 0 and event.type == FAIL and event.error is not None:
            operations += 1
        if gen is self.gen and infos == self.infos and operations == self.operations:
            return self
        return Keyed(gen, self.key, operations, infos)

    def around(self, gen: Generator) -> Generator:
        """The same key."""
        return Keyed(gen, self.key, self.operations, self.infos)


class Keys:
    """Makes the generator of the i-th key. Pure: the same one whenever it is asked."""

    __slots__ = ("fgen", "infos", "keys", "operations")

    def __init__(
        self,
        keys: Iterable[Any],
        fgen: Callable[[Any], Liftable],
        operations: int | None = None,
        infos: int | None = None,
    ) -> None:
        self.keys = keys if isinstance(keys, Sequence) else Remembered(keys)
        self.fgen = fgen
        self.operations = UNLIMITED if operations is None else operations
        self.infos = UNLIMITED if infos is None else infos

    def __getitem__(self, index: int) -> Generator:
        key = self.keys[index]
        return Keyed(lift(self.fgen(key)), key, self.operations, self.infos)

    def bound(self, index: int, stream: int) -> Generator:
        """The generator of key ``index``, bound to child ``index``; ``NOTHING`` past the end."""
        try:
            return bind(self[index], split(stream, index))
        except IndexError:
            return NOTHING


def sequential_generator(
    keys: Iterable[Any],
    fgen: Callable[[Any], Liftable],
    *,
    operations: int | None = None,
    infos: int | None = None,
) -> Generator:
    """One key after the other: ``fgen(key)`` to its end, then the next key.

    ``fgen`` must be pure. A key also ends after ``operations`` operations or ``infos`` infos.
    """
    return Sequenced(Keys(keys, fgen, operations, infos))


class Concurrent(Combinator, frozen=True, gc=False):
    """See :func:`concurrent_generator`. ``masks`` and ``gens`` are empty until it is started."""

    size: int
    keys: Keys
    stream: int = 0
    masks: tuple[int, ...] = ()
    group_of: Mapping[int, int] = {}
    gens: tuple[Generator, ...] = ()
    next_key: int = 0
    emitted: int = 0

    def op(self, context: Context) -> Step:
        """The soonest operation of any group; among those due now, of a random one."""
        if not self.masks:
            return self._started(context).op(context)
        groups = len(self.masks)
        bits = draw(self.stream, self.emitted) if groups > 1 else 0
        group = (bits * groups) >> 64
        mask = self.masks[group]
        if context.free & mask:
            step = self.gens[group].op(context.restrict(mask))
            if step.__class__ is tuple and step[0].time <= context.time_ns:
                return self._emit(step, replaced(self.gens, group, step[1]), self.next_key)
        return self._search(context, bits)

    def _emit(self, step: Any, gens: tuple[Generator, ...], next_key: int) -> Step:
        return step[0], self._with(gens, next_key, self.emitted + 1)

    def _with(self, gens: tuple[Generator, ...], next_key: int, emitted: int) -> Concurrent:
        return Concurrent(
            self.size, self.keys, self.stream, self.masks, self.group_of, gens, next_key, emitted
        )

    def _search(self, context: Context, bits: int) -> Step:
        """Ask the free groups in random order, giving new keys to those whose key is exhausted."""
        gens, next_key = list(self.gens), self.next_key
        able = [group for group, mask in enumerate(self.masks) if context.free & mask]
        best: tuple[int, Any] | None = None
        is_pending = len(able) < len(gens)
        while able:
            group = able.pop((bits * len(able)) >> 64)
            bits = draw(bits, 1)
            inside = context.restrict(self.masks[group])
            step = gens[group].op(inside)
            while step is None and gens[group].__class__ is not Nothing:
                gens[group] = self.keys.bound(next_key, self.stream)
                next_key += 1
                step = gens[group].op(inside)
            if step is PENDING:
                is_pending = True
            elif step is not None and (best is None or step[0].time < best[1][0].time):
                best = (group, step)
                if step[0].time <= context.time_ns:
                    break
        if best is None:
            return PENDING if is_pending and any(gen is not NOTHING for gen in gens) else None
        gens[best[0]] = best[1][1]
        return self._emit(best[1], tuple(gens), next_key)

    def _started(self, context: Context) -> Concurrent:
        threads = list(threads_in(context.all))
        if not threads or len(threads) % self.size:
            raise _does_not_divide(self.size, len(threads))
        group_of = {thread: at // self.size for at, thread in enumerate(threads)}
        masks = [0] * (len(threads) // self.size)
        for thread, group in group_of.items():
            masks[group] |= 1 << thread
        gens = tuple(self.keys.bound(i, self.stream) for i in range(len(masks)))
        return Concurrent(
            self.size, self.keys, self.stream, tuple(masks), group_of, gens, len(masks)
        )

    def update(self, context: Context, event: Operation) -> Generator:
        """Passed on to the present key of the group whose thread it was."""
        group = self.group_of.get(context.thread_of(event.process))
        if group is None:
            return self
        gen = self.gens[group]
        after = gen.update(context.restrict(self.masks[group]), event)
        if after is gen:
            return self
        return self._with(replaced(self.gens, group, after), self.next_key, self.emitted)

    def bound(self, stream: int) -> Generator:
        """Key i is child i; the choice of a group draws from ``stream``."""
        return Concurrent(self.size, self.keys, stream)


def _does_not_divide(size: int, threads: int) -> UsageError:
    lower = threads // size * size
    fitting = f"{lower} or {lower + size}" if lower else str(size)
    return UsageError(
        f"{threads} client threads cannot be divided into groups of {size} for a key each",
        f"a concurrency of {fitting}",
    )


def concurrent_generator(
    n: int,
    keys: Iterable[Any],
    fgen: Callable[[Any], Liftable],
    *,
    operations: int | None = None,
    infos: int | None = None,
) -> Generator:
    """The client threads in groups of ``n``, each group on a key of its own.

    When ``fgen(key)`` is exhausted, or the key had ``operations`` operations (those that were
    refused or never sent apart) or ``infos`` infos, its group takes the next key. ``fgen`` must be
    pure; ``keys`` may be endless. The number of client threads must be a multiple of ``n``
    (``UsageError`` otherwise). The nemesis takes no part.
    """
    if n < 1:
        raise UsageError(f"concurrent_generator({n}, ...): a group needs at least one thread")
    return Clients(Concurrent(n, Keys(keys, fgen, operations, infos)))
