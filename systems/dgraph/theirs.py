"""A Dgraph that somebody else runs: what it is, and how what a run wrote there is removed again."""

from __future__ import annotations

import json
import time
from typing import Any, Final

from harness.contract.node import Cluster, Node
from harness.errors import NotReady
from systems.dgraph.dialect import Request
from systems.dgraph.members import NotAnswered, ask, version_of
from systems.dgraph.places import ALPHA_HTTP
from systems.dgraph.records import KEY, VALUE, Layout
from systems.dgraph.release import Release

_SETTLE_S: Final = 0.3


def versions(cluster: Cluster, release: Release, timeout_s: float) -> str:
    """What the Alphas say that they are; ``NotReady`` if none answers."""
    why, said = [], set()
    for node in cluster.nodes:
        try:
            said.add(version_of(node, release, timeout_s))
        except NotAnswered as error:
            why.append(f"{node.name}: {error}")
    if not said:
        raise NotReady(f"no Alpha answers: {'; '.join(why)}", "--endpoint HOST:8080 of an Alpha")
    return ", ".join(sorted(said))


def clear(cluster: Cluster, layout: Layout, timeout_s: float) -> None:
    """Delete every record whose key begins with the prefix; ``NotReady`` if no Alpha does it.

    Once more a moment later: a write that was given up may still have been on its way.
    """
    for _ in range(2):
        why: list[str] = []
        for node in cluster.nodes:
            try:
                _clear(node, layout, timeout_s)
                break
            except NotAnswered as error:
                why.append(f"{node.name}: {error}")
        else:
            raise NotReady(f"no Alpha deletes the records: {'; '.join(why)}")
        time.sleep(_SETTLE_S)


def _clear(node: Node, layout: Layout, timeout_s: float) -> None:
    """One transaction that finds and deletes them all."""
    try:
        told = _asked(node, layout.dialect.query(0, layout.by_prefix(layout.prefix)), timeout_s)
    except _NoSchema:
        return
    start_ts = int(told["extensions"]["txn"]["start_ts"])
    keys, predicates = set[str](), set[str]()
    for block, rows in told["data"].items():
        number = block.removeprefix("q")
        for row in rows:
            names = [f"{KEY}_{number}", f"{VALUE}_{number}"]
            done = _asked(node, layout.dialect.delete(start_ts, row["uid"], names), timeout_s)
            txn = done["extensions"]["txn"]
            keys.update(txn.get("keys") or ())
            predicates.update(txn.get("preds") or ())
    if keys:
        _asked(node, layout.dialect.commit(start_ts, sorted(keys), sorted(predicates)), timeout_s)


class _NoSchema(Exception):
    """There are no such predicates: nothing was ever written."""


def _asked(node: Node, request: Request, timeout_s: float) -> Any:
    path, body = request
    headers = {"Content-Type": "application/json"}
    status, text = ask(node, ALPHA_HTTP, path, timeout_s, body, headers)
    try:
        told = json.loads(text)
    except ValueError as error:
        raise NotAnswered(f"{path}: {status} {text[:120]}") from error
    if told.get("errors"):
        said = "; ".join(str(each.get("message")) for each in told["errors"])
        if "is not indexed" in said or "Schema not defined" in said:
            raise _NoSchema(said)
        raise NotAnswered(said)
    return told
