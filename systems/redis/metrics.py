"""Figures of Redis' servers, by ``INFO``, and of Sentinels, by ``SENTINEL MASTER``.

Once the load is over no client waits (``WAIT``) and no file is still to be forced to disk. The
epoch of the configuration that a Sentinel knows only rises while it lives. Clients are told, and
promised nothing: one behind a cut stays until its time-out.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Final

from harness.contract.metrics import Gauge, Sample
from harness.contract.node import Node
from systems.redis.members import NotAnswered, asked, info
from systems.redis.places import PRIMARY_NAME, SENTINEL_PORT

EPOCH: Final = "sentinel_config_epoch"
_OF_SERVERS: Final[Sequence[Gauge]] = (
    Gauge(name="blocked_clients", help="clients that wait", returns_to=0, within_s=10.0),
    Gauge(name="connected_clients", help="connections of clients"),
    Gauge(name="used_memory", help="memory in use", unit="bytes", grows=True),
    Gauge(name="master_repl_offset", help="how much was replicated", unit="bytes", grows=True),
)
_PENDING: Final = Gauge(
    name="aof_pending_bio_fsync",
    help="files still to be forced to disk",
    returns_to=0,
    within_s=10.0,
)
_EPOCH: Final = Gauge(name=EPOCH, help="epoch of the configuration", never_falls=True)


def gauges(*, appends: bool, has_sentinels: bool) -> Sequence[Gauge]:
    """What is sampled: with an append-only file, and where Sentinels watch."""
    pending = (_PENDING,) if appends else ()
    return (*_OF_SERVERS, *pending, *((_EPOCH,) if has_sentinels else ()))


def samples(node: Node, timeout_s: float) -> Iterator[Sample]:
    """The figures of what answers on ``node``: a server, a Sentinel, or both."""
    for each in (_samples_of_server, _samples_of_sentinel):
        with contextlib.suppress(NotAnswered):
            yield from each(node, timeout_s)


def _samples_of_server(node: Node, timeout_s: float) -> Iterator[Sample]:
    """The figures of the server on ``node`` now; raises where it does not answer."""
    said = info(node, "everything", timeout_s)
    for name in (*(gauge.name for gauge in _OF_SERVERS), _PENDING.name):
        if name in said:
            yield Sample(name=name, value=float(said[name]))


def _samples_of_sentinel(node: Node, timeout_s: float) -> Iterator[Sample]:
    """What the Sentinel on ``node`` knows now; raises where it does not answer."""
    command = ("SENTINEL", "MASTER", PRIMARY_NAME)
    (said,) = asked(node, SENTINEL_PORT, command, timeout_s=timeout_s)
    words = [each for each in said if isinstance(each, bytes)] if isinstance(said, list) else []
    told = dict(zip(words[::2], words[1::2], strict=False))
    if b"config-epoch" in told:
        yield Sample(name=EPOCH, value=float(told[b"config-epoch"]))
