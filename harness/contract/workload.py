"""A workload: operations, how they are done, and the invariant that they are judged by."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

from harness.generator import Generator
from harness.history.operation import Operation


@dataclass(frozen=True, kw_only=True)
class WorkloadOptions:
    """What a workload may depend on. ``extra`` holds its own options by name.

    ``abilities`` are those of the system's clients, for a workload that can do more with more than
    it needs.
    """

    nodes: int
    concurrency: int
    seed: int
    extra: Mapping[str, Any] = field(default_factory=dict)
    abilities: frozenset[type] = frozenset()


class Workload(Protocol):
    """A workload module exposes ``WORKLOADS: dict[str, Factory]``, ``Factory(options)`` a workload.

    ``Factory.options`` is a tuple of :class:`harness.contract.option.SystemOption`. ``checkers``
    are names to look up among the checkers. ``final_generator`` gives the final reads.

    The ``client`` that it is handed has every ability in ``needs``, for a run with a system that
    lacks one is refused before. So a workload may write the ability as the parameter's type:
    ``async def invoke(self, client: Registers, operation: Operation)``.
    """

    name: str
    needs: Sequence[type]
    checkers: Sequence[str]
    model: str
    independent: bool

    async def setup(self, client: Any) -> Any:
        """Once, before the run: make the initial state, prove it by a read and return it.

        May be called again after an exception; it must be idempotent.
        """
        ...

    def generator(self) -> Generator:
        """The client operations."""
        ...

    def final_generator(self) -> Generator | None:
        """Reads after the last heal and recovery, or ``None``."""
        ...

    async def invoke(self, client: Any, operation: Operation) -> Operation:
        """Do ``operation`` once; returns its completion (``ok`` or ``fail``).

        ``Failed`` and ``Indeterminate`` may pass through: the caller turns them into ``fail``
        and ``info``.
        """
        ...


@runtime_checkable
class ReadsKeys(Protocol):
    """A workload over many keys, whose final reads can take any of them.

    A key that came to its end while a fault was in force is read by nobody any more, unless the
    final reads take it too.
    """

    def keys_of(self, operation: Operation) -> Sequence[Any]:
        """The keys that an invocation is about, in the words that :meth:`final_reads` takes."""
        ...

    def final_reads(self, keys: Sequence[Any]) -> Generator | None:
        """As ``final_generator``, of ``keys`` beside those that it reads in any case."""
        ...
