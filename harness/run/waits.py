"""Waiting for several things at once: what a run's beginning waits for may end in other ways."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterable
from typing import TypeVar

from harness.contract.fault import Stage
from harness.run.initial_state import watch_for_ends

T = TypeVar("T")


async def unless_ended(stage: Stage, work: Awaitable[T]) -> T:
    """What ``work`` gives, or :class:`SetupError` at once when a daemon ends meanwhile."""
    task, watch = asyncio.ensure_future(work), asyncio.ensure_future(watch_for_ends(stage))
    try:
        await asyncio.wait({task, watch}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            watch.result()
        return await task
    finally:
        task.cancel()
        watch.cancel()


async def all_of(works: Iterable[Awaitable[None]]) -> None:
    """Wait for all, then raise the first error, so that nothing goes on behind one's back."""
    answers = await asyncio.gather(*works, return_exceptions=True)
    for answer in answers:
        if isinstance(answer, BaseException):
            raise answer
