"""``polygraph serve``: the index over the store, in a browser."""

from __future__ import annotations

import contextlib
import os
import secrets
import socket
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

import click

from harness.cli.flags import flag
from harness.cli.options import store_option
from harness.cli.speech import printable, say
from harness.cli.verbs import Verb
from harness.errors import EXIT_VALID, NeedsError, UsageError


@click.command("serve", cls=Verb)
@flag("host", default="127.0.0.1", help="the address to listen on")
@flag("port", int, default=8080, help="the port to listen on, 0 for a free one")
@flag("token", help="what visitors must know; drawn where it is needed and not given")
@store_option
def VERB(host: str, port: int, token: str | None, store: Path) -> int:
    """Serve the store: filter runs, open reports, follow a run in progress, download.

    The store is only read. On another address than loopback a token is asked for.
    """
    try:
        from harness.serve import listening
        from harness.serve.server import serve
    except ImportError as error:
        raise NeedsError(
            f"the index needs a package that is not installed: {error.name}",
            "pip install 'polygraph-db[web]'",
        ) from error
    if token is not None and not token.strip():
        raise UsageError(
            "an empty token would let everybody in", "--token WORD, or none to draw one"
        )
    _refuse_unreadable(store)
    with contextlib.ExitStack() as open_sockets:
        sockets = listening.listening(host, port)
        for each in sockets:
            open_sockets.enter_context(each)
        serve(store, sockets, *_entry(host, token, sockets), say=say)
    return EXIT_VALID


def _entry(
    host: str, token: str | None, sockets: Sequence[socket.socket]
) -> tuple[str | None, frozenset[str] | None, str]:
    """Token, names that are answered, and the address to tell."""
    from harness.serve import listening

    port = listening.port_of(sockets)
    is_loopback = listening.is_loopback(sockets)
    if token is None and not is_loopback:
        token = secrets.token_urlsafe(16)
    known = listening.names_of(host, port) if is_loopback else None
    address = f"http://{listening.shown_host(host)}:{port}/"
    if token is not None:
        address += f"?token={quote(os.fsencode(token), safe='')}"
    return token, known, address


def _refuse_unreadable(store: Path) -> None:
    try:
        with os.scandir(store) as entries:
            next(entries, None)
    except (FileNotFoundError, NotADirectoryError):
        raise UsageError(f"there is no store at {printable(store)}", "--store DIR") from None
    except OSError as error:
        said = f"the store {printable(store)} cannot be read: {error.strerror}"
        raise UsageError(said, "--store DIR") from error
