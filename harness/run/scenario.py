"""Completing and checking what one run is asked to be (:mod:`harness.store.scenario`).

Defaults, the provider, a seed where none is given, and the options that system, workload, faults
and provider declare; what is known to nobody is refused with the nearest name.
"""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from harness.cluster import providers
from harness.cluster.provider import MOST_NODES, BringsNodes, Request
from harness.confidential import Secret, keep_secret, refuse_missing, secret_values
from harness.contract.option import Option
from harness.errors import UsageError, unknown_name
from harness.option import with_files
from harness.plugins import Registry
from harness.run.mixes import INTENSITIES, WORDS, default_of, expanded, is_mix, paced
from harness.run.schedule import LEAST_BITE_S, parse_nemesis
from harness.run.schedule_file import read_lines
from harness.store.scenario import CORE, Scenario, core_value, threads


def owned_options(
    registry: Registry, system: str, workload: str, nemeses: Iterable[str], provider: str
) -> dict[str, Sequence[Option]]:
    """The options that system, workload, nemeses and provider declare, by who declares them."""
    owners = {f"system {system}": registry.get("systems", system)}
    owners[f"workload {workload}"] = registry.get("workloads", workload)
    for name in nemeses:
        owners[f"nemesis {name}"] = registry.get("nemeses", name)
    owners[f"provider {provider}"] = providers.of(provider)
    return {owner: tuple(getattr(of, "options", ())) for owner, of in owners.items()}


def declared_options(
    registry: Registry, system: str, workload: str, nemeses: Iterable[str], provider: str
) -> dict[str, Option]:
    """The options of :func:`owned_options` by scenario key."""
    owned = owned_options(registry, system, workload, nemeses, provider)
    return {option.name: option for options in owned.values() for option in options}


def resolve(
    table: Mapping[str, Any],
    registry: Registry,
    given: Mapping[str, str] | None = None,
    environment: Mapping[str, str] = os.environ,
) -> Scenario:
    """The complete scenario of a flat table; ``UsageError`` for what is unknown or impossible.

    A seed is drawn where none is given, so that the result always repeats. Secrets are those
    ``given``, else read from their files or the ``environment``; from then on this process writes
    none of them.
    """
    table = {name: value for name, value in table.items() if name != "versions"}
    if table.get("endpoint") and not table.get("provider"):
        table["provider"] = "none"
    if not table.get("system"):
        raise UsageError("the scenario names no system", "polygraph list")
    table["system"] = registry.name_of("systems", str(table["system"]))
    core = {name: core_value(name, table[name]) for name in CORE if table.get(name) is not None}
    for name, value in getattr(registry.get("systems", core["system"]), "defaults", {}).items():
        core.setdefault(name, core_value(name, value))
    core.setdefault("seed", secrets.randbelow(2**32))
    words = tuple(parse_nemesis(",".join(core.get("nemesis", ())), registry, WORDS))
    mix = words if is_mix(words) else ()
    core["nemesis"] = tuple(registry.usable("nemeses")) if mix else words
    if mix and core.get("schedule") is not None:
        raise UsageError(f"--nemesis {','.join(mix)} beside a schedule, which says which faults")
    if core.get("schedule") is not None:
        core["nemesis"] = _scheduled(core["schedule"], core["nemesis"], registry)
    core["plugin"] = tuple(str(Path(path).resolve()) for path in core.get("plugin", ()))
    scenario = Scenario(**core)
    provider = providers.of(scenario.provider)
    declared = declared_options(
        registry, scenario.system, scenario.workload, scenario.nemesis, scenario.provider
    )
    found = _secrets(declared, table, scenario.secrets, given, environment)
    settable = {option.name: option for option in with_files(list(declared.values()))}
    unknown = [name for name in table if name not in CORE and name not in settable]
    if unknown:
        known = sorted([*CORE, *settable])
        raise UsageError(unknown_name("option", unknown[0], known))
    intensity = scenario.intensity or "default"
    options = {
        name: _kept(option, option.value(table.get(name, default_of(option, intensity))), declared)
        for name, option in settable.items()
    }
    defaults = {name: option.default for name, option in settable.items()}
    if isinstance(provider, BringsNodes):
        options, count = provider.settle(options, core.get("nodes"))
        scenario = scenario if count is None else replace(scenario, nodes=count)
    scenario = replace(
        scenario,
        options=options,
        option_defaults=defaults,
        secrets=tuple(sorted(found)),
        secret_values=found,
        mix=mix,
    )
    scenario = _mixed(scenario, registry) if mix else scenario
    return check_limits(_paced(scenario, table))


def _mixed(scenario: Scenario, registry: Registry) -> Scenario:
    """With the faults that its mix means, and the options of these alone."""
    wanted = INTENSITIES[scenario.intensity or "default"]
    system = registry.get("systems", scenario.system)(scenario.all_options)
    request = Request(
        provider=scenario.provider,
        nodes=scenario.node_names,
        system=system,
        options=scenario.all_options,
    )
    most = int((scenario.time_limit - LEAST_BITE_S) // wanted.interval_s)
    names = expanded(scenario.mix, registry, system, request, scenario.seed, most)
    declared = declared_options(
        registry, scenario.system, scenario.workload, names, scenario.provider
    )
    known = {option.name for option in with_files(list(declared.values()))}
    options = {name: value for name, value in scenario.options.items() if name in known}
    return replace(scenario, nemesis=names, options=options, mix_options=scenario.options)


def _paced(scenario: Scenario, table: Mapping[str, Any]) -> Scenario:
    """With the interval and the duration of its intensity, where it says none itself."""
    given = {name: getattr(scenario, name) for name in _PACE if table.get(name) is not None}
    if not scenario.mix and scenario.intensity is None:
        return scenario
    interval_s, duration_s = paced(
        given,
        scenario.intensity or "default",
        len(scenario.nemesis),
        scenario.time_limit,
        fits=bool(scenario.mix),
    )
    return replace(scenario, nemesis_interval=interval_s, nemesis_duration=duration_s)


_PACE: Final = ("nemesis_interval", "nemesis_duration")


def _scheduled(path: Any, given: Sequence[str], registry: Registry) -> tuple[str, ...]:
    """What a schedule's file needs of ``--nemesis``, which may say the same and nothing else."""
    found, known = read_lines(Path(path)), registry.names("nemeses")
    for line in found.lines:
        if line.fault not in known:
            line.refuse("fault", unknown_name("nemesis", line.fault, known))
    needed = found.faults
    if given and set(given) != set(needed):
        raise UsageError(
            f"--nemesis {','.join(given)}, but the schedule {path} has {','.join(needed)}",
            "leave --nemesis out, or --schedule",
        )
    return tuple(given or needed)


def _secrets(
    declared: Mapping[str, Option],
    table: Mapping[str, Any],
    needed: Iterable[str],
    given: Mapping[str, str] | None,
    environment: Mapping[str, str],
) -> dict[str, Secret]:
    if given is not None:
        found = {name: Secret(value) for name, value in given.items() if name in declared}
    else:
        found = secret_values(declared.values(), table, environment)
    refuse_missing(needed, found)
    keep_secret(found.values())
    return found


def _kept(option: Option, value: Any, declared: Mapping[str, Option]) -> Any:
    """A value as the scenario keeps it: no path of a secret that can be read only once."""
    if value is None or option.name in declared:
        return value
    try:
        return value if stat.S_ISREG(os.stat(value).st_mode) else None
    except OSError:
        return value


def check_limits(scenario: Scenario) -> Scenario:
    """The same scenario; ``UsageError`` if a number makes no sense."""
    if scenario.nodes > MOST_NODES:
        most = MOST_NODES
        raise UsageError(f"--nodes {scenario.nodes}: a cluster has at most {most} nodes")
    threads(scenario.concurrency, scenario.nodes)
    return scenario
