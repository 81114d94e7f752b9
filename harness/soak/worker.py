"""A worker of a scheduler for the runs of soaks (:mod:`harness.soak.scheduled`)."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import Callable, Sequence
from typing import Any, Final

from harness.errors import SetupError
from harness.linux.stopping import STOPPING
from harness.soak.scheduled import SLOTS, resource_of

CONNECT_S: Final = 30.0
GOODBYE_S: Final = 90.0
"""What a run that is under way may take to stop cleanly."""


def resources(slots: int, providers: Sequence[str]) -> dict[str, float]:
    """What a worker offers that takes ``slots`` runs at once, on any of ``providers``."""
    return {
        SLOTS: float(slots),
        "cores": float(len(os.sched_getaffinity(0))),
        **{resource_of(provider): float(slots) for provider in providers},
    }


def serve(
    address: str, slots: int, providers: Sequence[str], say: Callable[[str], None]
) -> int | None:
    """Make runs for the scheduler at ``address`` until it is gone or a signal says so.

    The signal's number, ``None`` without one. ``SetupError`` where no scheduler answers.
    """
    return asyncio.run(_serve(address, slots, providers, say))


async def _serve(
    address: str, slots: int, providers: Sequence[str], say: Callable[[str], None]
) -> int | None:
    from distributed import Worker

    stopped: list[int] = []
    over = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in STOPPING:
        loop.add_signal_handler(number, _note, number, stopped, over)
    worker: Any = Worker(
        address,
        nthreads=slots,
        name=f"{socket.gethostname()}-{os.getpid()}",
        resources=resources(slots, providers),
        memory_limit=0,  # a run is a process of its own: there is nothing to spill here
        dashboard=False,
        death_timeout=CONNECT_S,
    )
    try:
        await worker
    except (TimeoutError, OSError) as error:
        raise SetupError(f"no scheduler answers at {address}: {error}", "dask scheduler") from error
    say(f"worker {worker.name}: {slots} run(s) at once, {', '.join(sorted(providers)) or 'none'}")
    finished = asyncio.ensure_future(worker.finished())
    stop = asyncio.ensure_future(over.wait())
    await asyncio.wait((finished, stop), return_when=asyncio.FIRST_COMPLETED)
    stop.cancel()
    await worker.close(timeout=GOODBYE_S, reason="stopped" if stopped else "")
    return stopped[0] if stopped else None


def _note(number: signal.Signals, stopped: list[int], over: asyncio.Event) -> None:
    stopped.append(number)
    over.set()
