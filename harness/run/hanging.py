"""In which call a client hangs that was given up: a thread's stack, or what a task waits for."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

from harness.wording import is_machinery


def hanging(client: Any, task: Any) -> str | None:
    """In what call a client hangs that was given up, in words; ``None`` where it cannot be seen.

    ``task`` is what carried out its operation.
    """
    ident = getattr(client, "busy_thread", None)
    if isinstance(ident, int):
        return _place(_frames_of_thread(ident))
    return _place(_frames_of_coroutine(task.get_coro())) if task is not None else None


def _place(inward: Iterator[tuple[Any, int]]) -> str | None:
    """The innermost of these places that is a plug-in's or driver's."""
    found = None
    for code, line in inward:
        if not is_machinery(code.co_filename):
            found = f"{code.co_qualname} ({code.co_filename}:{line})"
    return found


def _frames_of_thread(ident: int) -> Iterator[tuple[Any, int]]:
    outward = []
    frame = sys._current_frames().get(ident)
    while frame is not None:
        outward.append((frame.f_code, frame.f_lineno))
        frame = frame.f_back
    yield from reversed(outward)


def _frames_of_coroutine(coroutine: Any) -> Iterator[tuple[Any, int]]:
    """Down the chain of what awaits what."""
    while (frame := getattr(coroutine, "cr_frame", None)) is not None:
        yield frame.f_code, frame.f_lineno
        coroutine = coroutine.cr_await
