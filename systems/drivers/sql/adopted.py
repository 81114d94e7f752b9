"""A run's own tables in a database that somebody else runs: made, found ready, and dropped."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from typing import Final

from harness.contract.node import Cluster
from harness.errors import NotReady
from systems.drivers.sql.members import Ask, NotAnswered, make_tables, on_all
from systems.drivers.sql.tables import Tables

_PATIENCE_S: Final = 10.0
_RETRY_S: Final = 0.3


def prefix_of(namespace: str) -> str:
    """The beginning of the names of a run's tables."""
    return re.sub(r"[^a-z0-9]", "_", namespace.lower())


def version(ask: Ask, cluster: Cluster) -> str:
    """What the first database that answers calls itself."""
    why = []
    for node in cluster.nodes:
        try:
            return str(ask(node, "SELECT version()", _PATIENCE_S)[0][0])
        except NotAnswered as error:
            why.append(f"{node.name}: {error}")
    raise NotReady(f"no database answers: {'; '.join(why)}")


def unready(ask: Ask, cluster: Cluster, tables: Tables, *, writes: bool) -> Mapping[str, str]:
    """The endpoints through which nothing is written (or read, unless ``writes``), and why."""
    first = cluster.nodes[0]
    try:
        make_tables(ask, first, tables)
    except NotAnswered as error:
        return {first.name: str(error)}
    proof = tables.count_up() if writes else f"SELECT n FROM {tables.ready}"
    found = on_all(cluster, lambda node: ask(node, proof))
    return {name: str(each) for name, each in found.items() if isinstance(each, NotAnswered)}


def clear(ask: Ask, cluster: Cluster, tables: Tables) -> None:
    """Drop the run's tables, by whichever endpoint does it; ``NotReady`` if none."""
    deadline = time.monotonic() + _PATIENCE_S
    while True:
        why = []
        for node in cluster.nodes:
            try:
                for table in tables.all():
                    ask(node, f"DROP TABLE IF EXISTS {table}", _PATIENCE_S)
                return
            except NotAnswered as error:
                why.append(f"{node.name}: {error}")
        if time.monotonic() >= deadline:
            raise NotReady(f"no database drops them: {'; '.join(why)}")
        time.sleep(_RETRY_S)
