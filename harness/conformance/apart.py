"""The conformance kit before a real server: a cluster of one node, and a proxy before it.

Front and run process as of any run, without a history: the run process brings the node up, starts
the system, waits until it is ready, and tries its client through proxies that it makes beside it.
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
import os
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

from harness.cluster import providers
from harness.cluster.provider import PROVIDER_VARIABLE
from harness.conformance.through_proxy import Bench, Tried
from harness.contract.system import Stage
from harness.errors import PolygraphError, SetupError
from harness.linux.surroundings import program
from harness.plugins import Registry
from harness.run.front import handed_over
from harness.run.preparation import Parts, prepare, request_of
from harness.run.scenario import resolve
from harness.run.start_up import form, install, start, within
from harness.run.targets import targets_of
from harness.run.waits import unless_ended
from harness.store.scenario import Scenario, read_toml, registry_of
from harness.wording import shown

RESULT: Final = "tried.json"
SCENARIO: Final = "scenario.toml"
LONGEST_S: Final = 3600.0


def try_real_server(
    scenario: Scenario, registry: Registry, only: Sequence[str], tell: Callable[[str], None]
) -> tuple[str, list[Tried]]:
    """The provider's full name, and what came of each case; ``SetupError`` without a server."""
    request = providers.choose(request_of(prepare(scenario, registry)))
    provider = providers.of(request.provider)
    provider.prepare(request, tell)
    with tempfile.TemporaryDirectory(prefix="polygraph-conform-") as folder:
        run_dir = Path(folder)
        (run_dir / SCENARIO).write_text(scenario.to_toml({}), "utf-8")
        secrets = handed_over(scenario.secret_values)
        argv = program("harness.conformance.apart", folder, json.dumps([secrets, *only]))
        env = {**os.environ, PROVIDER_VARIABLE: request.provider}
        try:
            run = provider.spawn(
                argv, request=request, run_dir=run_dir, pass_fds=[secrets], env=env
            )
        finally:
            os.close(secrets)
        try:
            status = run.wait(LONGEST_S)
        finally:
            run.kill()
        return request.provider, _read(run_dir, status)


def _read(run_dir: Path, status: int | None) -> list[Tried]:
    try:
        told: dict[str, Any] = json.loads((run_dir / RESULT).read_text("utf-8"))
    except OSError:
        raise SetupError(
            f"the trial ended without a result (exit status {status})", "polygraph doctor"
        ) from None
    if "why" in told:
        raise SetupError(told["why"], told["hint"])
    return [Tried(**each) for each in told["tried"]]


def main() -> None:
    """The run process: ``apart RUN_DIR [SECRETS, ONLY...]``."""
    run_dir, (secrets, *only) = Path(sys.argv[1]), json.loads(sys.argv[2])
    with os.fdopen(secrets, "rb") as pipe:
        known = json.loads(pipe.read())
    try:
        table = read_toml(run_dir / SCENARIO)
        registry = registry_of(table)
        parts = prepare(resolve(table, registry, known), registry)
        told: dict[str, Any] = {"tried": _try(parts, run_dir, only)}
    except PolygraphError as error:
        told = {"why": error.message, "hint": error.hint}
    (run_dir / RESULT).write_text(json.dumps(told, default=str), "utf-8")
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)  # a system that still waits for what has ended is not waited for


async def _start(stage: Stage, timeout_s: float) -> None:
    await install(stage)
    await unless_ended(stage, start(stage, lambda what, node: None))
    await form(stage, timeout_s)
    ready = asyncio.to_thread(stage.system.ready, stage, timeout_s)
    await unless_ended(stage, within(ready, timeout_s, "its start"))


def _try(parts: Parts, run_dir: Path, only: Sequence[str]) -> list[dict[str, Any]]:
    request = request_of(parts, os.environ.get(PROVIDER_VARIABLE))
    cluster: Any = providers.of(request.provider).cluster(request, run_dir)
    system = parts.system
    loop = asyncio.new_event_loop()  # never closed, for the same reason as in main()
    try:
        cluster.up()
        stage = Stage(cluster, system)
        loop.run_until_complete(_start(stage, parts.scenario.recovery_timeout))
        target = targets_of(stage)[0]
        if ":" not in target:
            raise SetupError(
                f"the system {shown(system.name)} does not say on which port its"
                " clients connect: no"
                " proxy can stand before it",
                "ports() of the system: harness.contract.system.Ports",
            )
        bench = Bench(system.client, target, abilities=system.abilities())
        return [dataclasses.asdict(each) for each in loop.run_until_complete(bench.run(only))]
    finally:
        cluster.down()


if __name__ == "__main__":
    main()
