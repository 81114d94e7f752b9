"""The server: our application on sockets that listen already."""

from __future__ import annotations

import resource
import socket
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any, Final

import uvicorn

from harness.linux.stopping import Stopped, Wishes, handled_by
from harness.serve.app import application
from harness.serve.kept import Kept, cache_folder
from harness.serve.patience import REQUEST_TIMEOUT_S, patient_protocol

MOST_FILES: Final = 4096
"""Connections and files that may be open at once, where the system lets us have so many."""
SHUTDOWN_TIMEOUT_S: Final = 3


def serve(
    store: Path,
    sockets: Sequence[socket.socket],
    token: str | None,
    hosts: Collection[str] | None,
    address: str,
    say: Callable[[str], None],
) -> None:
    """Serve ``store`` on ``sockets`` until a signal; ``say`` tells where, and what is written.

    What is being answered is answered then; :class:`Stopped` says which signal it was.
    """
    cache = cache_folder()
    app = application(store, token, hosts, cache=cache)
    _more_files()
    serving, wishes = server(app), Wishes()

    def stop(number: int, frame: Any) -> None:
        if wishes.is_new(number):
            serving.force_exit = serving.should_exit
            serving.should_exit = True

    with handled_by(stop):  # uvicorn takes two of them meanwhile, and hands them on in the end
        say(f"serving {store} at {address}")
        kept = Kept(store.resolve(), cache).folder
        index = f"its index is kept in {kept}" if kept else "its index is kept in memory alone"
        say(f"nothing is written into the store: missing pages are drawn in memory, {index}")
        serving.run(sockets=list(sockets))
    if wishes.number is not None:
        raise Stopped(wishes.number)


def server(app: Callable[..., Any], request_timeout_s: float = REQUEST_TIMEOUT_S) -> uvicorn.Server:
    """uvicorn over ``app``, with bounds on what a visitor may hold."""
    config = uvicorn.Config(
        app,
        http=patient_protocol(request_timeout_s),
        ws="none",
        lifespan="on",
        log_level="error",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=SHUTDOWN_TIMEOUT_S,
    )
    return uvicorn.Server(config)


def _more_files() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST_FILES if hard == resource.RLIM_INFINITY else min(MOST_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
