"""``polygraph doctor --clock SYSTEM``: a small cluster is started and served under a trace.

Front and run process as of any run, without operations or history: the run process traces every
system call of every node from before the system's first instruction, has it start and get ready,
and asks it again and again whether it is (each time a write and a read on every node).
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from harness.cluster import providers
from harness.cluster.clock_path import Examined, sum_up
from harness.cluster.provider import Request
from harness.contract.system import ClockPath, Stage, Stops, System
from harness.errors import PolygraphError, SetupError, UsageError
from harness.linux.surroundings import program
from harness.option import defaults_of
from harness.plugins import Registry
from harness.run.start_up import form, install, start
from harness.wording import shown

NODES = ("n1", "n2", "n3")
PATIENCE_S = 120.0
RESULT = "clock.json"


def examine(
    system_name: str, provider_name: str, seconds: float, plugins: Sequence[str]
) -> Examined:
    """Trace the system for ``seconds`` after it is ready; nothing is left of it."""
    asked = {"system": system_name, "seconds": seconds, "plugins": [*map(str, plugins)]}
    request = providers.choose(_request(asked, provider_name))
    if not request.provider.startswith("local:"):
        raise UsageError(
            f"the provider {shown(request.provider)} cannot trace system calls", "--provider local"
        )
    with tempfile.TemporaryDirectory(prefix="polygraph-clock-") as folder:
        told = _run(request, Path(folder), {**asked, "provider": request.provider})
    if "why" in told:
        raise SetupError(told["why"], "polygraph doctor")
    return Examined(**told)


def _run(request: Request, run_dir: Path, asked: dict[str, Any]) -> dict[str, Any]:
    """Start the run process and wait for what it found."""
    run = providers.of(request.provider).spawn(
        program("harness.run.clock_check", str(run_dir), json.dumps(asked)),
        request=request,
        run_dir=run_dir,
        pass_fds=[],
        env=dict(os.environ),
    )
    try:
        status = run.wait(2 * PATIENCE_S)
    finally:
        run.kill()
    try:
        told: dict[str, Any] = json.loads((run_dir / RESULT).read_text("utf-8"))
    except OSError:
        return {"why": f"the trace ended without a result (exit status {status})"}
    return told


def _request(asked: dict[str, Any], provider: str) -> Request:
    registry = Registry([Path(path) for path in asked["plugins"]])
    factory = registry.get("systems", asked["system"])
    system: System = factory(defaults_of(factory))
    return Request(provider=provider, nodes=NODES, system=system)


def main() -> None:
    """The run process: ``clock_check RUN_DIR ASKED``."""
    run_dir, asked = Path(sys.argv[1]), json.loads(sys.argv[2])
    try:
        told = _look(run_dir, asked)
    except PolygraphError as error:
        told = {"why": error.message}
    (run_dir / RESULT).write_text(json.dumps(told), "utf-8")


def _look(run_dir: Path, asked: dict[str, Any]) -> dict[str, Any]:
    request = _request(asked, asked["provider"])
    cluster: Any = providers.of(request.provider).cluster(request, run_dir)
    system = request.system
    cluster.up()
    try:
        stage = Stage(cluster, system)
        asyncio.run(install(stage))
        if isinstance(system, Stops):
            _make_data(stage)
        for node in cluster.nodes:
            node.watch_syscalls()
        begun = time.monotonic()
        asyncio.run(_start(stage, is_new=not isinstance(system, Stops)))
        system.ready(stage, PATIENCE_S)
        deadline = time.monotonic() + asked["seconds"]
        while time.monotonic() < deadline:
            system.ready(stage, PATIENCE_S)
        seconds = time.monotonic() - begun
        calls, kinds = sum_up([node.read_syscalls() for node in cluster.nodes])
    finally:
        cluster.down()
    declared = system.clock_path() if isinstance(system, ClockPath) else None
    told = {"system": system.name, "declared": declared, "seconds": seconds}
    return {**told, "calls": calls, "kinds": kinds}


def _make_data(stage: Stage) -> None:
    """Start once, unwatched: what makes a database's files is no server, and is slow if traced."""
    asyncio.run(_start(stage, is_new=True))
    stage.system.ready(stage, PATIENCE_S)
    for node in stage.cluster.nodes:
        for role in stage.roles_on(node.name):
            stage.stop(node.name, role)


async def _start(stage: Stage, *, is_new: bool) -> None:
    await start(stage, lambda what, node: None)
    if is_new:
        await form(stage, PATIENCE_S)


if __name__ == "__main__":
    main()
