"""``polygraph serve``: the index over the store, in a browser."""

from __future__ import annotations

import ipaddress
import secrets
from pathlib import Path

import click

from harness.cli.options import store_option
from harness.cli.speech import say
from harness.cli.verbs import Verb
from harness.errors import EXIT_VALID, NeedsError, UsageError


@click.command("serve", cls=Verb)
@click.option("--host", default="127.0.0.1", help="Address to listen on.  [default: 127.0.0.1]")
@click.option("--port", type=int, default=8080, help="Port to listen on.  [default: 8080]")
@click.option("--token", help="What visitors must know; drawn where it is needed and not given.")
@store_option
def VERB(host: str, port: int, token: str | None, store: Path) -> int:
    """Serve the store: filter runs, open reports, follow a run in progress, download.

    Read only. On another address than loopback a token is asked for.
    """
    try:
        import uvicorn

        from harness.serve.app import application
    except ImportError as error:
        raise NeedsError(
            f"the index needs a package that is not installed: {error.name}",
            "pip install 'polygraph-db[web]'",
        ) from error
    if not store.is_dir():
        raise UsageError(f"there is no store at {store}", "--store DIR")
    if token is None and not is_loopback(host):
        token = secrets.token_urlsafe(16)
    shown = f"http://{f'[{host}]' if ':' in host else host}:{port}/"
    say(f"serving {store} at {shown}{f'?token={token}' if token else ''}")
    uvicorn.run(application(store, token), host=host, port=port, log_level="warning")
    return EXIT_VALID


def is_loopback(host: str) -> bool:
    """Whether ``host`` can be reached from this machine alone."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
