"""What can be set of Redis and Valkey; settings of theirs have the names that they have there."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from harness.contract.option import Duration, Option
from systems.redis.asks import ANY, PRIMARY
from systems.redis.discovery import RECONNECT, SUBSCRIBE

TOGETHER: Final = "together"
APART: Final = "apart"
NONE: Final = "none"

OPTIONS: Final = (
    Option(
        name="binary",
        kind=Path,
        help="path of the server program (default: what is installed)",
    ),
    Option(
        name="appendonly",
        default="yes",
        choices=("yes", "no"),
        help="keep every write in an append-only file",
    ),
    Option(
        name="appendfsync",
        default="everysec",
        choices=("always", "everysec", "no"),
        help="when that file is forced to disk",
    ),
    Option(name="save", help="when the data are saved, as in redis.conf (default: the server's)"),
    Option(
        name="min_replicas_to_write",
        kind=int,
        default=0,
        least=0,
        help="replicas without which a primary refuses writes",
    ),
    Option(
        name="min_replicas_max_lag",
        kind=int,
        default=10,
        least=0,
        help="seconds within which such a replica must have been heard",
    ),
    Option(
        name="wait",
        kind=int,
        default=0,
        least=0,
        help="replicas that WAIT waits for after each write (0: none)",
    ),
    Option(
        name="wait_timeout",
        kind=Duration,
        default=1.0,
        above=0,
        help="how long WAIT waits",
    ),
    Option(
        name="read_from",
        default=PRIMARY,
        choices=(PRIMARY, ANY),
        help="who is asked for what is read: any is the client's own node",
    ),
    Option(
        name="discovery",
        default=RECONNECT,
        choices=(RECONNECT, SUBSCRIBE),
        help="when a client asks Sentinel who leads: to connect, or it listens for changes too",
    ),
    Option(
        name="sentinels",
        default=TOGETHER,
        choices=(TOGETHER, APART, NONE),
        help="on every node, on three nodes of their own, or none (with one node there is none)",
    ),
    Option(
        name="quorum",
        kind=int,
        least=1,
        help="Sentinels that must take a primary for down (default: most of them)",
    ),
    Option(
        name="down_after_milliseconds",
        kind=int,
        default=1000,
        least=1,
        help="after which silence a Sentinel takes a server for down (the vendor's: 30000)",
    ),
    Option(
        name="failover_timeout",
        kind=int,
        default=10000,
        least=1,
        help="milliseconds that a failover may take (the vendor's: 180000)",
    ),
    Option(
        name="lock_ttl",
        kind=Duration,
        above=0,
        help="when a lock that was taken ends by itself (default: never)",
    ),
)
