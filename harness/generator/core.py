"""The generator protocol (skeleton: owned and completed by the generator work)."""

from __future__ import annotations

from typing import Any, Final, Protocol

from harness.history.operation import Operation


class Pending:
    """The type of :data:`PENDING`."""


PENDING: Final = Pending()


class Context:
    """Time, free threads, thread to process, random stream."""


class Generator(Protocol):
    """Immutable: ``op`` and ``update`` return a successor and change nothing."""

    def op(self, context: Context) -> tuple[Operation, Generator] | Pending | None:
        """The next operation and the generator after it, ``PENDING``, or ``None`` if exhausted."""
        ...

    def update(self, context: Context, event: Operation) -> Generator:
        """The generator after ``event`` (an invocation or a completion) was recorded."""
        ...


Any  # noqa: B018
