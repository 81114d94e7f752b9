"""Figures of etcd's members: of the page ``/metrics``, and of the status that each tells of itself.

``etcd_server_proposals_pending`` counts what was proposed and not applied yet: nothing is, once the
load is over. Term, applied index and revision are of the last entry that was applied, so they only
rise while a member lives; one that starts again applies its log from the last snapshot on. What a
member has open (watchers, goroutines) is told, and promised nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from harness.contract.metrics import Gauge, Sample
from harness.contract.node import Node
from systems.drivers.prometheus import scrape
from systems.etcd import gateway
from systems.etcd.members import ask

TERM: Final = "raft_term"
INDEX: Final = "raft_applied_index"
REVISION: Final = "mvcc_revision"
GAUGES: Final[Sequence[Gauge]] = (
    Gauge(
        name="etcd_server_proposals_pending",
        help="proposals that are not applied yet",
        returns_to=0,
        within_s=10.0,
    ),
    Gauge(name=TERM, help="the term", never_falls=True, same_everywhere=True, within_s=10.0),
    Gauge(name=INDEX, help="the last applied entry", never_falls=True),
    Gauge(name=REVISION, help="the revision of the keys", never_falls=True),
    Gauge(name="etcd_debugging_mvcc_watcher_total", help="watchers"),
    Gauge(name="etcd_debugging_mvcc_pending_events_total", help="events not sent to watchers yet"),
    Gauge(name="go_goroutines", help="goroutines"),
    Gauge(
        name="etcd_mvcc_db_total_size_in_bytes",
        help="the size of the store",
        unit="bytes",
        grows=True,
    ),
)
_OF_PAGE: Final = frozenset(gauge.name for gauge in GAUGES) - {TERM, INDEX, REVISION}


def samples(node: Node, timeout_s: float) -> Iterator[Sample]:
    """The figures of the member on ``node`` now; raises where it does not answer."""
    status = ask(node, gateway.STATUS, {}, gateway.Status, timeout_s)
    yield Sample(name=TERM, value=status.raftTerm)
    yield Sample(name=INDEX, value=status.raftAppliedIndex)
    yield Sample(name=REVISION, value=status.header.revision)
    yield from scrape(node.reach(gateway.PORT, "client"), _OF_PAGE, timeout_s)
