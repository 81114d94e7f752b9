"""A history in memory: its header, its operations in order, and which completes which."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from harness.history.operation import FAIL, INFO, INVOKE, OK, Header, Operation

if TYPE_CHECKING:
    from harness.history.columns import Columns


@dataclass(frozen=True)
class History:
    """Operations in record order, with the header and what the reader had to say.

    ``notices`` are sentences for the user ("the last line is torn and was left out").
    ``partial`` is true where the run did not seal its history. ``is_paired_by_guess``: no record
    names a process, so :mod:`harness.judge.pairings` judges all pairings. ``stricter`` is the
    same with more order than is certain (:func:`harness.history.ordering.by_time`): what is false
    here is false, but only what is true in both is true. ``prepared`` is the
    columnar view where the reader made it on the way (:func:`harness.history.columns.columns`).
    """

    operations: Sequence[Operation]
    header: Header = field(default_factory=Header)
    notices: tuple[str, ...] = ()
    partial: bool = False
    is_paired_by_guess: bool = False
    stricter: History | None = field(default=None, repr=False, compare=False)
    prepared: Columns | None = field(default=None, repr=False, compare=False)

    def __len__(self) -> int:
        return len(self.operations)

    def __iter__(self) -> Iterator[Operation]:
        return iter(self.operations)

    @cached_property
    def pairs(self) -> list[int]:
        """For each position, the position of its other half, or -1.

        Nemesis operations pair like clients', by process and f, but both halves are ``info``:
        the first opens, the second closes. Several of one f that overlap are told apart by the
        number of their ``occurrence``, where their values tell it.
        """
        pairs = [-1] * len(self.operations)
        open_at: dict[object, int] = {}
        for position, operation in enumerate(self.operations):
            slot: object = operation.process
            opens = operation.type == INVOKE
            if not operation.is_client:
                slot = (operation.process, operation.f, _occurrence(operation))
                opens = slot not in open_at
            if opens:
                open_at[slot] = position
            elif slot in open_at:
                start = open_at.pop(slot)
                pairs[start], pairs[position] = position, start
        return pairs

    @cached_property
    def outcomes(self) -> dict[str, dict[str, int]]:
        """Client operations by f: how many ended ``ok``, ``fail`` and ``info``.

        An invocation without completion counts as info.
        """
        if self.prepared is not None:
            from harness.history.columns import outcomes

            return outcomes(self.prepared)
        counts: dict[str, dict[str, int]] = {}
        for operation, pair in zip(self.operations, self.pairs, strict=True):
            if operation.is_client and (operation.type != INVOKE or pair < 0):
                of_f = counts.setdefault(operation.f, {OK: 0, FAIL: 0, INFO: 0})
                of_f[INFO if operation.type == INVOKE else operation.type] += 1
        return counts


def _occurrence(operation: Operation) -> int | None:
    """Which of the run's schedule it is, where that is told."""
    told = operation.value.get("occurrence") if isinstance(operation.value, Mapping) else None
    return told if isinstance(told, int) else None
