"""Blocking drivers, each in a thread of its own.

A driver that blocks would stop the loop and with it every other client, so each client gets one
thread that carries out its calls in order. A call that is given up (the operation took too
long) cannot be stopped: the thread stays with its driver until the call returns, closes the
driver and ends. What the call says then is thrown away, and no later operation ever sees that
driver: the new process gets a new client with a new thread. The dispatcher counts clients that
will not close and ends the run when there are too many (:mod:`harness.run.dispatcher`).

The threads are daemons: a driver that never returns does not keep the program from ending.
"""

from __future__ import annotations

import asyncio
import contextlib
import queue
import threading
from collections.abc import Callable
from typing import Any

from harness.contract.client import Indeterminate

Job = tuple[Callable[..., Any], tuple[Any, ...], "asyncio.Future[Any]"]


class BlockingClient:
    """The async face of a blocking ``driver``: ``await client.read(key)`` runs ``driver.read``.

    ``driver`` has blocking ``open(address)`` and ``close()`` and the blocking methods of some
    abilities. Calls run one at a time, in order, in one thread. A call that is cancelled makes
    the client unusable (``Indeterminate``); ``close`` then waits for the call to return.
    """

    def __init__(self, driver: Any) -> None:
        self._driver = driver
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._is_given_up = False
        self._closing: asyncio.Future[Any] | None = None
        # Which abilities a client has is read from its attributes; from Python 3.12 on (3.12,
        # "typing": protocols use inspect.getattr_static) from those it has without asking.
        for name in dir(type(driver)):
            is_ours = name.startswith("_") or hasattr(type(self), name)
            if not is_ours and callable(getattr(type(driver), name)):
                setattr(self, name, self._as_coroutine_function(getattr(driver, name)))

    async def open(self, address: str) -> None:
        """Open the driver, in its thread."""
        await self.call(self._driver.open, address)

    async def close(self) -> None:
        """Close the driver once its present call has returned, and end its thread. Safe twice."""
        if self._thread is None:
            return
        if self._closing is None:
            self._closing = self._put(self._driver.close)
            self._jobs.put(None)
        await asyncio.shield(self._closing)

    async def call(self, fn: Callable[..., Any], *arguments: Any) -> Any:
        """``fn(*arguments)`` in this client's thread; it raises what ``fn`` raises."""
        if self._is_given_up or self._closing is not None:
            raise Indeterminate("the client was given up or closed")
        try:
            return await self._put(fn, *arguments)
        except asyncio.CancelledError:
            self._is_given_up = True
            raise

    def __getattr__(self, name: str) -> Any:
        """The driver's method ``name`` as a coroutine function (what it gives is not wrapped)."""
        method = getattr(self._driver, name)
        return self._as_coroutine_function(method) if callable(method) else method

    def _as_coroutine_function(self, method: Callable[..., Any]) -> Callable[..., Any]:
        async def call(*arguments: Any) -> Any:
            return await self.call(method, *arguments)

        return call

    def _put(self, fn: Callable[..., Any], *arguments: Any) -> asyncio.Future[Any]:
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="blocking client", daemon=True)
            self._thread.start()
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._jobs.put((fn, arguments, answer))
        return answer

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            fn, arguments, answer = job
            try:
                result = fn(*arguments)
            except BaseException as error:
                _tell(answer, _refuse, _as_exception(error))
            else:
                _tell(answer, _give, result)


def _tell(answer: asyncio.Future[Any], how: Callable[..., None], what: Any) -> None:
    """Hand over to the loop; where it is closed already, nobody listens any more."""
    with contextlib.suppress(RuntimeError):
        answer.get_loop().call_soon_threadsafe(how, answer, what)


def _give(answer: asyncio.Future[Any], result: Any) -> None:
    if not answer.done():
        answer.set_result(result)


def _refuse(answer: asyncio.Future[Any], error: Exception) -> None:
    if not answer.done():
        answer.set_exception(error)


def _as_exception(error: BaseException) -> Exception:
    """``error`` as something that a future may hold (not ``SystemExit``, not ``StopIteration``)."""
    if isinstance(error, Exception) and not isinstance(error, StopIteration):
        return error
    return RuntimeError(f"{type(error).__name__}: {error}")
