"""Completing and checking what one run is asked to be (:mod:`harness.store.scenario`).

Defaults, the provider, a seed where none is given, and the options that system, workload, faults
and provider declare; what is known to nobody is refused with the nearest name.
"""

from __future__ import annotations

import math
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from harness.cluster import providers
from harness.cluster.provider import MOST_NODES, BringsNodes
from harness.contract.option import SystemOption
from harness.errors import UsageError, unknown_name
from harness.plugins import Registry
from harness.run.schedule import parse_nemesis
from harness.store.scenario import (
    CORE,
    Scenario,
    boolean,
    called,
    core_value,
    threads,
    whole_number,
)

ABOVE_ZERO = ("nodes", "rate", "time_limit", "nemesis_interval", "op_timeout", "budget")


def declared_options(
    registry: Registry, system: str, workload: str, nemeses: Iterable[str], provider: str
) -> dict[str, SystemOption]:
    """The options that system, workload, nemeses and provider declare, by scenario key."""
    factories = [registry.get("systems", system), registry.get("workloads", workload)]
    factories += [registry.get("nemeses", name) for name in nemeses]
    factories += [providers.of(provider)]
    declared: dict[str, SystemOption] = {}
    for factory in factories:
        declared.update({option.name: option for option in getattr(factory, "options", ())})
    return declared


def resolve(table: Mapping[str, Any], registry: Registry) -> Scenario:
    """The complete scenario of a flat table; ``UsageError`` for what is unknown or impossible.

    A seed is drawn where none is given, so that the result always repeats.
    """
    table = {name: value for name, value in table.items() if name != "versions"}
    if not table.get("system"):
        raise UsageError("the scenario names no system", "polygraph list")
    core = {name: core_value(name, table[name]) for name in CORE if table.get(name) is not None}
    core.setdefault("seed", secrets.randbelow(2**32))
    core["nemesis"] = tuple(parse_nemesis(",".join(core.get("nemesis", ())), registry))
    core["plugin"] = tuple(str(Path(path).resolve()) for path in core.get("plugin", ()))
    scenario = Scenario(**core)
    provider = providers.of(scenario.provider)
    declared = declared_options(
        registry, scenario.system, scenario.workload, scenario.nemesis, scenario.provider
    )
    unknown = [name for name in table if name not in CORE and name not in declared]
    if unknown:
        known = sorted([*CORE, *declared])
        raise UsageError(unknown_name("option", unknown[0], known))
    options = {
        name: _option_value(option, table.get(name, option.default))
        for name, option in declared.items()
    }
    defaults = {name: option.default for name, option in declared.items()}
    if isinstance(provider, BringsNodes):
        options, count = provider.settle(options, core.get("nodes"))
        scenario = replace(scenario, nodes=count)
    return check_limits(replace(scenario, options=options, option_defaults=defaults))


def check_limits(scenario: Scenario) -> Scenario:
    """The same scenario; ``UsageError`` if a number makes no sense."""
    for name in (*ABOVE_ZERO, "nemesis_duration", "recovery_timeout"):
        value, flag = getattr(scenario, name), f"--{name.replace('_', '-')}"
        if value is not None and not math.isfinite(value):
            raise UsageError(f"{flag} {value} is no number to work with")
        if value is not None and (value < 0 or (value == 0 and name != "recovery_timeout")):
            raise UsageError(f"{flag} must be above zero")
    if scenario.journal not in ("buffered", "sync"):
        raise UsageError(unknown_name("journal mode", scenario.journal, ["buffered", "sync"]))
    if scenario.nodes > MOST_NODES:
        most = MOST_NODES
        raise UsageError(f"--nodes {scenario.nodes}: a cluster has at most {most} nodes")
    threads(scenario.concurrency, scenario.nodes)
    return scenario


def _option_value(option: SystemOption, value: Any) -> Any:
    if value is None:
        return None
    convert = {bool: boolean, int: whole_number, Path: _absolute}.get(option.kind, option.kind)
    try:
        return convert(value)
    except (TypeError, ValueError) as error:
        raise UsageError(
            f"{option.name} = {value!r} is not {called(option.kind.__name__)}"
        ) from error


def _absolute(value: Any) -> str:
    """A path as it stays true in another working directory, where the run is repeated."""
    return str(Path(value).resolve())
