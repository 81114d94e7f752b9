"""Blocking drivers, each in a thread of its own, with its transactions.

A driver that blocks would stop the loop and with it every other client, so each client gets one
thread that carries out its calls, and those of the transactions that it begins, in order::

    def client(self, op_timeout_s):
        return BlockingClient(MyDriver(op_timeout_s))

A call that is given up (the operation took too long) cannot be stopped: the thread stays with its
driver until the call returns, closes the driver and ends. What the call says then is thrown away,
and no later operation ever sees that driver: the new process gets a new client with a new thread.
The dispatcher counts clients that will not close and ends the run when there are too many
(:mod:`harness.run.dispatcher`). So a driver gives up by itself, before the operation's time is
over; one that cannot may have ``interrupt()``, which is called from another thread and makes the
present call return, say by shutting down its socket.

The threads are daemons: a driver that never returns does not keep the program from ending.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import inspect
import queue
import threading
from collections.abc import Callable, Iterator
from typing import Any

from harness.contract.client import Indeterminate

Job = tuple[Callable[[], Any], "asyncio.Future[Any]"]


class BlockingClient:
    """The async face of a blocking ``driver``: ``await client.read(key)`` runs ``driver.read``.

    ``driver`` has blocking ``open(target)`` and ``close()`` and the blocking methods of some
    abilities; the client has those abilities, and no other. What ``driver.begin(read_only=...)``
    returns is a transaction with blocking methods, of which the client gives the async face too.
    Calls run one at a time, in order, in one thread. A call that is cancelled makes the client
    unusable (``Indeterminate``), its transactions with it; ``close`` then waits for the call to
    return.
    """

    def __init__(self, driver: Any) -> None:
        self._driver = driver
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._is_busy = False
        self._is_given_up = False
        self._closing: asyncio.Future[Any] | None = None
        # Which abilities a client has is read from its attributes; from Python 3.12 on (3.12,
        # "typing": protocols use inspect.getattr_static) from those it has without asking.
        for name, method in _methods(driver):
            if not hasattr(type(self), name):
                setattr(self, name, self._as_coroutine_function(method))
        if callable(getattr(driver, "begin", None)):
            self.begin = self._begin

    async def open(self, target: str) -> None:
        """Open the driver, in its thread."""
        await self.call(self._driver.open, target)

    async def close(self) -> None:
        """Close the driver once its present call has returned, and end its thread. Safe twice."""
        if self._thread is None:
            return
        if self._closing is None:
            self._closing = self._put(self._driver.close)
            self._jobs.put(None)
            interrupt = getattr(self._driver, "interrupt", None)
            if self._is_busy and callable(interrupt):  # it may block, and must not hold up anybody
                threading.Thread(target=_ignoring(interrupt), daemon=True).start()
        await asyncio.shield(self._closing)

    async def call(self, fn: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        """``fn(*arguments)`` in this client's thread; it raises what ``fn`` raises."""
        if self._is_given_up or self._closing is not None:
            raise Indeterminate("the client was given up or closed")
        try:
            return await self._put(fn, *arguments, **named)
        except asyncio.CancelledError:
            self._is_given_up = True
            raise

    @property
    def busy_thread(self) -> int | None:
        """The identity of the thread while a call is under way in it, else ``None``."""
        return self._thread.ident if self._thread is not None and self._is_busy else None

    def __getattr__(self, name: str) -> Any:
        """What the driver holds under ``name``, where it is no method."""
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self._driver, name)

    async def _begin(self, *, read_only: bool = False) -> Any:
        transaction = await self.call(self._driver.begin, read_only=read_only)
        return _BlockingTransaction(transaction, self._as_coroutine_function)

    def _as_coroutine_function(self, method: Callable[..., Any]) -> Callable[..., Any]:
        async def call(*arguments: Any, **named: Any) -> Any:
            return await self.call(method, *arguments, **named)

        return call

    def _put(self, fn: Callable[..., Any], *arguments: Any, **named: Any) -> asyncio.Future[Any]:
        if self._thread is None:
            name = f"blocking {type(self._driver).__name__}"
            self._thread = threading.Thread(target=self._work, name=name, daemon=True)
            self._thread.start()
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        context = contextvars.copy_context()  # the operation under way: harness.contract.current
        self._jobs.put((lambda: context.run(fn, *arguments, **named), answer))
        return answer

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            do, answer = job
            self._is_busy = True
            try:
                result = do()
            except BaseException as error:
                _tell(answer, _refuse, _as_exception(error))
            else:
                _tell(answer, _give, result)
            self._is_busy = False


class _BlockingTransaction:
    """The async face of a blocking transaction, in the thread of its client."""

    def __init__(
        self, transaction: Any, wrap: Callable[[Callable[..., Any]], Callable[..., Any]]
    ) -> None:
        for name, method in _methods(transaction):
            setattr(self, name, wrap(method))


def _methods(thing: Any) -> Iterator[tuple[str, Callable[..., Any]]]:
    """Its public methods by name; no property is asked for."""
    for name in dir(thing):
        if name.startswith("_") or isinstance(inspect.getattr_static(thing, name), property):
            continue
        method = getattr(thing, name)
        if callable(method) and not isinstance(method, type):
            yield name, method


def _ignoring(fn: Callable[[], Any]) -> Callable[[], None]:
    def work() -> None:
        with contextlib.suppress(Exception):
            fn()

    return work


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
