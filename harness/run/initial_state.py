"""Set-up: the workload's initial state, and daemons that die while the system starts.

A system that has just started may refuse a while, so what the client says (``Failed``,
``Indeterminate``), errors of ours and time-outs are tried again until patience ends. Any other
exception is a slip in a client or workload, which no waiting mends: it is told at once, with its
type, file and line.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import time
from pathlib import Path
from typing import Any, Final

from harness.contract.client import Failed, Indeterminate, Target
from harness.contract.fault import NeedsProcesses, Stage
from harness.contract.node import Cluster, Daemon, LogsElsewhere
from harness.errors import PolygraphError, SetupError, UsageError
from harness.plugins.changes import since
from harness.run.preparation import Parts
from harness.wording import placed, shown

CLOSE_S: Final = 1.0
LAST_LINES: Final = 8
_LAST_BYTES: Final = 4000
_POLL_S: Final = 0.1
_AGAIN_S: Final = 0.2


async def make_initial_state(parts: Parts, target: Target, logs: Path, patience_s: float) -> Any:
    """What ``Workload.setup`` gives at ``target``, tried until it is proved or patience ends."""
    deadline = time.monotonic() + patience_s
    refuse_lacking_clients(parts)
    while True:
        try:
            return await _once(parts, target)
        except (Failed, Indeterminate, PolygraphError, _TimedOut) as error:
            if time.monotonic() > deadline:
                raise SetupError(
                    f"the workload {shown(parts.workload.name)} could not make its initial"
                    f" state on {target.node or target}: {error}",
                    f"look at the logs in {logs}",
                ) from error
        except Exception as error:
            if isinstance(error, TypeError):
                _refuse_blocking_client(parts)
            raise SetupError(
                f"the client of {shown(parts.system.name)} or the workload"
                f" {shown(parts.workload.name)}"
                f" has a defect, which the set-up ran into: {placed(error)}",
                "mend it; what a client cannot know it raises as Failed or Indeterminate",
            ) from error
        await asyncio.sleep(_AGAIN_S)


def refuse_lacking_clients(parts: Parts) -> None:
    """``SetupError`` where a client lacks methods of an ability that its system says it has."""
    try:
        client = parts.system.client(parts.scenario.op_timeout)
    except Exception:  # told by the first attempt
        return
    for ability in parts.workload.needs:
        wanted = [name for name in vars(ability) if not name.startswith("_")]
        lacking = [name for name in wanted if not callable(getattr(client, name, None))]
        if lacking:
            hint = "see harness.contract.client"
            if "begin" in lacking and callable(getattr(client, "transaction", None)):
                hint = since(2)
            raise SetupError(
                f"the system {shown(parts.system.name)} says that its clients have"
                f" {ability.__name__},"
                f" but a {type(client).__name__} lacks {', '.join(lacking)}",
                hint,
            )


def _refuse_blocking_client(parts: Parts) -> None:
    """``SetupError`` where what was to be awaited is a plain method: a driver that blocks."""
    client = parts.system.client(parts.scenario.op_timeout)
    names = [
        "open",
        "close",
        *(n for each in parts.workload.needs for n in vars(each) if n[0] != "_"),
    ]
    plain = [
        name
        for name in names
        if inspect.ismethod(method := getattr(client, name, None))
        and not inspect.iscoroutinefunction(method)
    ]
    if {"open", "close"} & set(plain):
        raise SetupError(
            f"the client of {shown(parts.system.name)} blocks: {', '.join(plain)} of"
            f" {type(client).__name__} are no coroutines (async def)",
            f"return BlockingClient({type(client).__name__}(...)) from client(), which gives each a"
            " thread: harness.contract.blocking",
        )


class _TimedOut(Exception):
    """The whole attempt took too long; no exception of the client's."""


async def _once(parts: Parts, target: Target) -> Any:
    limit_s = parts.scenario.op_timeout * 2
    client = parts.system.client(parts.scenario.op_timeout)
    limit = asyncio.timeout(limit_s)
    try:
        async with limit:
            await client.open(target)
            return await parts.workload.setup(client)
    except TimeoutError as error:
        if not limit.expired():
            raise
        raise _TimedOut(f"no answer within {limit_s:g} s") from error
    finally:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(client.close(), CLOSE_S)


def refuse_without_processes(parts: Parts, stage: Stage) -> None:
    """``UsageError`` for a fault that needs processes where the system has started none."""
    if any(stage.daemons.values()):
        return
    for fault in parts.faults:
        if isinstance(fault, NeedsProcesses) and fault.needs_processes:
            raise UsageError(
                f"the fault {shown(fault.name)} is not possible here:"
                f" {shown(parts.system.name)} starts no"
                " processes that it could hit",
                "leave it out of --nemesis",
            )


async def watch_for_ends(stage: Stage) -> None:
    """Wait for a daemon to end, for ever where none does; then ``SetupError`` tells of it."""
    while True:
        for node, daemons in list(stage.daemons.items()):
            for daemon in daemons:
                status = daemon.exit_status()
                if status is not None:
                    raise _ended(stage.cluster, node, daemon, status)
        await asyncio.sleep(_POLL_S)


def _ended(cluster: Cluster, node: str, daemon: Daemon, status: int) -> SetupError:
    how = f"signal {-status}" if status < 0 else f"exit status {status}"
    with contextlib.suppress(Exception):
        if isinstance(cluster, LogsElsewhere):
            cluster.collect()
    log = cluster.node(node).log_dir / f"{daemon.name}.log"
    said = "".join(f"\n    {line}" for line in last_lines(log)) or " nothing"
    return SetupError(
        f"{node}: {daemon.name} ended while the system was starting ({how}); its log ends:{said}",
        f"the whole log is {log}",
    )


def last_lines(log: Path, most: int = LAST_LINES) -> list[str]:
    """The last lines of a log that say something; none if it cannot be read."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, file.seek(0, 2) - _LAST_BYTES))
            lines = file.read().decode("utf-8", "replace").splitlines()
    except OSError:
        return []
    return [line for line in lines if line.strip()][-most:]
