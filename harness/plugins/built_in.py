"""The names of what comes with Polygraph, and the one module to import for each.

So a name is known without importing anything, and asking for it imports what holds it and no
neighbour: a module that cannot be imported costs its own names only. Whoever adds a module with a
table adds its names here; a test compares the two.

Explanations and trials are many and small, so only the modules that hold them are named.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any, Final

from harness.errors import PolygraphError
from harness.plugins.changes import PACKAGES
from harness.wording import named, shown


def _in(package: str, modules: Mapping[str, str]) -> dict[str, str]:
    """Names to modules, for ``module: "name, name"`` below ``package``."""
    return {
        name: f"{package}.{module}" for module, names in modules.items() for name in names.split()
    }


_CHECKERS: Final = {
    "linearizable": "linearizable register cas-register mutex owner-mutex reentrant-mutex"
    " fenced-mutex linearizable-set fifo-queue unordered-queue stack linearizable-counter kv"
    " multi-register",
    "log": "log kafka",
    "isolation.causal": "causal",
    "isolation.causal_reverse": "causal-reverse",
    "isolation.g2": "g2",
    "isolation.list_append.checker": "list-append",
    "isolation.long_fork": "long-fork",
    "isolation.monotonic": "monotonic",
    "isolation.predicates.checker": "predicates",
    "isolation.rw_register.checker": "rw-register",
    "isolation.sequential": "sequential",
    "isolation.torn": "torn",
    "isolation.write_skew": "write-skew",
    "objects.bank": "bank",
    "objects.comments": "comments",
    "objects.counter": "counter",
    "objects.insert_order": "insert-order",
    "objects.lock": "lock",
    "objects.queue": "queue",
    "objects.session_monotonic": "session-monotonic",
    "objects.set_full": "set-full",
    "objects.sets": "set",
    "objects.total_queue": "total-queue",
    "objects.unique_ids": "unique-ids",
    "objects.watch": "watch",
    "run.agreement": "agreement",
    "run.crash": "crash",
    "run.logs": "logs",
    "run.metrics": "metrics",
    "run.no_recovery": "no-recovery",
    "run.stats": "stats",
    "run.unhandled_exceptions": "unhandled-exceptions",
}
_NEMESES: Final = {
    "actions.admin": "admin",
    "clock.skew": "clock",
    "disk.failing": "disk",
    "disk.power": "power",
    "network.client_partition": "client-partition",
    "network.flapping": "flapping",
    "network.isolate": "isolate",
    "network.packet": "packet",
    "network.partition": "partition",
    "process.crash_loop": "crash-loop",
    "process.kill": "kill",
    "process.member": "member",
    "process.pause": "pause",
    "process.restart": "restart",
    "process.rolling": "rolling-restart",
    "process.slow_start": "slow-start",
    "process.upgrade": "upgrade",
}
_SYSTEMS: Final = {
    "dgraph": "dgraph",
    "duckdb": "duckdb",
    "etcd": "etcd",
    "mariadb": "mariadb",
    "nundb": "nundb",
    "postgresql": "postgresql",
    "redis": "redis valkey",
    "sqlite": "sqlite",
}
_WORKLOADS: Final = {
    "bank": "bank",
    "causal": "causal",
    "causal_reverse": "causal-reverse",
    "comments": "comments",
    "counter": "counter",
    "g2": "g2",
    "insert_order": "insert-order",
    "list_append": "list-append",
    "lock": "lock",
    "log": "log",
    "long_fork": "long-fork",
    "mini_transactions": "mini-transactions",
    "monotonic": "monotonic",
    "predicates": "predicates",
    "queue": "queue",
    "register": "register",
    "rw_register": "rw-register",
    "sequential": "sequential",
    "sets": "set",
    "torn": "torn",
    "unique_ids": "unique-ids",
    "watch": "watch",
    "write_skew": "write-skew",
}

MODULES: Final[Mapping[str, Mapping[str, str]]] = {
    "systems": _in("systems", _SYSTEMS),
    "workloads": _in("workloads", _WORKLOADS),
    "nemeses": _in("nemeses", _NEMESES),
    "checkers": _in("checkers", _CHECKERS),
}
"""A kind to its names to the modules whose tables hold them."""

ALSO_CALLED: Final[Mapping[str, Mapping[str, str]]] = {"systems": {"postgres": "postgresql"}}
"""A kind to other words for some of its names, which the command line takes for these."""

_BY_ENDPOINT: Final = "that runs already: polygraph test"
INSTEAD: Final[Mapping[str, Mapping[str, str]]] = {
    "systems": {
        "mysql": "polygraph test mariadb, which speaks the same protocol; or of a MySQL"
        f" {_BY_ENDPOINT} mariadb --endpoint HOST:3306 --dialect mysql",
        "tidb": f"one {_BY_ENDPOINT} mariadb --endpoint HOST:4000 --dialect tidb",
        "cockroachdb": f"one {_BY_ENDPOINT} postgresql --endpoint HOST:26257 --dialect cockroachdb",
        "yugabytedb": f"one {_BY_ENDPOINT} postgresql --endpoint HOST:5433 --dialect yugabytedb",
    }
}
"""A kind to names that are looked for, and what to use in their place."""

WHOLE: Final[Mapping[str, tuple[str, ...]]] = {
    "explanations": ("checkers.explained",),
    "trials": ("checkers.explained",),
}
"""A kind to the modules whose tables are all there is of it."""


def table_of(kind: str, module: str) -> Mapping[str, Any]:
    """The table of ``kind`` in a module of ours; ``PolygraphError`` if it cannot be imported."""
    try:
        table: Mapping[str, Any] = getattr(importlib.import_module(module), kind.upper())
    except Exception as error:
        message = f"{module}, which is built in, cannot be imported: {named(error)}"
        raise PolygraphError(message, _advice(error)) from error
    return table


def factory_of(kind: str, name: str) -> Any:
    """The factory of ours called ``name``; ``PolygraphError`` if it cannot be had."""
    module = MODULES[kind][name]
    try:
        return table_of(kind, module)[name]
    except KeyError as error:
        message = f"{module}, which is built in, holds no {shown(name)} in {kind.upper()}"
        raise PolygraphError(message, _AGAIN) from error


_AGAIN: Final = "install polygraph-db again"


def _advice(error: Exception) -> str:
    name = error.name if isinstance(error, ModuleNotFoundError) else None
    if name is not None and name.partition(".")[0] not in PACKAGES:
        return f"pip install what has the module {name}"
    return f"{_AGAIN}; POLYGRAPH_TRACEBACK=1 shows where it comes from"
