"""The operation that a client carries out now: its trace, and what is known beside its answer.

A client that is told by the server who served it, or at which of the system's own times a
transaction began and committed, says so with :func:`tell`, from wherever in its code it learns it::

    tell(served="n2", timestamps={"start": 17, "commit": 21})

That stands in the completion, whatever becomes of the operation. A client that can send a trace's
id along asks :func:`trace_id`. Both know the operation by the context that they are called in: in
the coroutines of the operation, in tasks that these start, and in the thread of a
:class:`harness.contract.blocking.BlockingClient`. What is told of an operation that is over, or
outside of any, is not kept. :func:`traceparent` and :func:`grpc_trace_bin` are that id in the forms
that servers read.

An operation's trace id is the first 8 bytes of the SHA-256 of the run's id, then the index of its
invocation as 8 bytes, big-endian (design, section 10): it needs to be stored nowhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import ContextVar
from typing import Final

from msgspec import structs

from harness.history.operation import Operation
from harness.history.traces import span_id_of, trace_id_of
from harness.wording import shown


class Teller:
    """Carries out operations, one after the other, in a context of its own.

    ``operation`` is the one under way, ``run`` the run's id. :meth:`told` gives a completion with
    what was told of it, once.
    """

    __slots__ = ("operation", "run", "served", "timestamps")

    def __init__(self, run: str | None = None) -> None:
        self.operation: Operation | None = None
        self.run = run
        self.served: str | None = None
        self.timestamps: dict[str, int | str] | None = None

    def told(self, completion: Operation) -> Operation:
        """``completion`` with what was told of the operation, which then is forgotten here."""
        served, timestamps = self.served, self.timestamps
        if served is None and timestamps is None:
            return completion
        self.served = self.timestamps = None
        return structs.replace(
            completion,
            served=completion.served if served is None else served,
            timestamps=completion.timestamps if timestamps is None else timestamps,
        )


_TELLER: Final[ContextVar[Teller | None]] = ContextVar("teller", default=None)
_OPERATION: Final[ContextVar[Operation | None]] = ContextVar("operation", default=None)

set_teller: Final = _TELLER.set
"""From now on this context is that of a teller."""
set_operation: Final = _OPERATION.set
"""From now on this context, and whatever is started in it, is about this operation."""


def _current() -> Teller | None:
    """Who carries out the operation of this context, if it still is under way."""
    teller, operation = _TELLER.get(), _OPERATION.get()
    if teller is None or operation is None or teller.operation is not operation:
        return None
    return teller


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
    current = _current()
    if current is None:
        return
    if served is not None:
        current.served = served
    if timestamps:
        current.timestamps = {**(current.timestamps or {}), **timestamps}


def trace_id() -> str | None:
    """The trace id of the operation under way, 32 hexadecimal digits; ``None`` outside of a run."""
    current = _current()
    if current is None or current.run is None or current.operation is None:
        return None
    return trace_id_of(current.run, current.operation.index)


def traceparent() -> str | None:
    """The operation under way as W3C Trace Context's header ``traceparent``, sampled.

    ``None`` outside of a run. For an HTTP header, gRPC metadata, or a comment in SQL.
    """
    trace = trace_id()
    return None if trace is None else f"00-{trace}-{span_id_of(trace)}-01"


def grpc_trace_bin() -> bytes | None:
    """The same as OpenCensus' gRPC metadata ``grpc-trace-bin``, which older servers read."""
    trace = trace_id()
    if trace is None:
        return None
    return b"\0\0" + bytes.fromhex(trace) + b"\1" + bytes.fromhex(span_id_of(trace)) + b"\2\1"
