"""The operation that a client carries out now: its trace, and what is known beside its answer.

A client that is told by the server who served it, or at which of the system's own times a
transaction began and committed, says so with :func:`tell`, from wherever in its code it learns it::

    tell(served="n2", timestamps={"start": 17, "commit": 21})

That stands in the completion, whatever becomes of the operation. A client that can send a trace's
id along asks :func:`trace_id`. Both know the operation by the context that they are called in: in
the coroutines of the operation, in tasks that these start, and in the thread of a
:class:`harness.contract.blocking.BlockingClient`. What is told of an operation that is over, or
outside of any, is not kept.

An operation's trace id is the first 8 bytes of the SHA-256 of the run's id, then the index of its
invocation as 8 bytes, big-endian (design, section 10): it needs to be stored nowhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import ContextVar, Token
from typing import Any, Final

from harness.history.operation import Operation
from harness.history.traces import trace_id_of
from harness.wording import shown


class Current:
    """One operation under way. Whoever carries it out makes one, and reads what was told."""

    __slots__ = ("index", "run", "served", "timestamps")

    def __init__(self, run: str | None = None, index: int = -1) -> None:
        self.run = run
        self.index = index
        self.served: str | None = None
        self.timestamps: dict[str, int | str] | None = None

    def told(self, completion: Operation) -> Operation:
        """``completion`` with what was told of its operation."""
        if self.served is None and self.timestamps is None:
            return completion
        return Operation(
            completion.index,
            completion.time,
            completion.process,
            completion.type,
            completion.f,
            completion.value,
            completion.error,
            completion.node,
            completion.trace,
            completion.wall_time_ns,
            completion.served if self.served is None else self.served,
            completion.timestamps if self.timestamps is None else self.timestamps,
            completion.extra,
        )


_CURRENT: Final[ContextVar[Current | None]] = ContextVar("operation", default=None)


def set_current(current: Current | None) -> Token[Current | None]:
    """Make ``current`` the operation of this context."""
    return _CURRENT.set(current)


def tell(*, served: str | None = None, timestamps: Mapping[str, int | str] | None = None) -> None:
    """Say who served the operation under way, and the system's own times of it.

    ``served`` is a node's name, or whatever the system calls who answered. ``timestamps`` are
    numbers or texts by name, ``start`` and ``commit`` where those words fit; they are the system's
    own and no clock of ours. Later calls add to earlier ones. ``TypeError`` for anything else.
    """
    if served is not None and not isinstance(served, str):
        raise TypeError(f"served is a name, not {shown(served)}")
    for name, at in (timestamps or {}).items():
        if not isinstance(name, str) or not isinstance(at, int | str) or isinstance(at, bool):
            raise TypeError(
                f"a timestamp is a number or a text by name, not {shown(name)}: {shown(at)}"
            )
    current = _CURRENT.get()
    if current is None:
        return
    if served is not None:
        current.served = served
    if timestamps:
        current.timestamps = {**(current.timestamps or {}), **timestamps}


def trace_id() -> str | None:
    """The trace id of the operation under way, 32 hexadecimal digits; ``None`` outside of a run."""
    current = _CURRENT.get()
    if current is None or current.run is None:
        return None
    return trace_id_of(current.run, current.index)


def told() -> Mapping[str, Any]:
    """What was told of the operation under way: ``served`` and ``timestamps``, if they were."""
    current = _CURRENT.get()
    if current is None:
        return {}
    found = {"served": current.served, "timestamps": current.timestamps}
    return {name: what for name, what in found.items() if what is not None}
