"""The ports of Zeros and Alphas, and what each is for."""

from __future__ import annotations

from typing import Final

from harness.contract.node import Port

ALPHA_HTTP: Final = 8080
ALPHA_GRPC: Final = 9080
ALPHA_PEER: Final = 7080
ZERO_HTTP: Final = 6080
ZERO_PEER: Final = 5080
ZERO: Final = "zero"
ALPHA: Final = "alpha"

PORTS: Final = (
    Port(ALPHA_HTTP, clients=True),
    Port(ALPHA_PEER, peers=True),
    Port(ZERO_PEER, peers=True),
    Port(ZERO_HTTP, clients=True),
    Port(ALPHA_GRPC, clients=True),
)
