"""The ports of a node, the login of a run, and how the database of a run is called."""

from __future__ import annotations

from typing import Final

from harness.contract.node import Port

TCP: Final = 3014
HTTP: Final = 3013
WEB_SOCKET: Final = 3012
PORTS: Final = (
    Port(TCP, clients=True, peers=True, advertised=False),
    Port(HTTP, clients=True),
    Port(WEB_SOCKET, clients=True),
)
USER: Final = "polygraph"
PASSWORD: Final = "polygraph"
DATABASE: Final = "polygraph"
TOKEN: Final = "polygraph"
EMPTY: Final = "<Empty>"
"""What a key holds that is not there."""
LOGIN: Final = (f"auth {USER} {PASSWORD}", f"use-db {DATABASE} {TOKEN}")
