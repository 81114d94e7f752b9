"""What one run is asked to be: one flat table whose keys are the long flags with ``_``.

A scenario comes from the command line, the environment or a TOML file, is completed with the
defaults and a seed, and is kept beside the run, so that the run's own ``scenario.toml`` runs
again as it is. Keys that belong to the system, the workload or a nemesis (``serializable_reads``)
stand in the same flat table; what is known to nobody is refused with the nearest name.
"""

from __future__ import annotations

import contextlib
import json
import math
import re
import secrets
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from harness.cluster import providers
from harness.cluster.provider import MOST_NODES, BringsNodes
from harness.contract.system import SystemOption
from harness.errors import UsageError, unknown_name
from harness.plugins import Registry
from harness.run.schedule import parse_nemesis
from harness.store.untrusted import MOST_JSON_BYTES, Folder, parsed_toml


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """One run, complete. Times are seconds, ``rate`` is operations a second over all clients.

    ``concurrency`` is a number or a multiple of the nodes (``4n``); ``nemesis_duration_s`` of
    ``None`` is half an interval; ``budget`` is what each checker may take; ``options`` belong to
    system, workload and nemeses.
    """

    system: str
    workload: str = "register"
    nemesis: tuple[str, ...] = ()
    nodes: int = 5
    provider: str = "local"
    concurrency: str = "4n"
    rate: float = 200.0
    time_limit: float = 60.0
    nemesis_interval: float = 10.0
    nemesis_duration: float | None = None
    op_timeout: float = 5.0
    recovery_timeout: float = 60.0
    leave_db_running: bool = False
    consistency_models: tuple[str, ...] = ()
    budget: float = 300.0
    journal: str = "buffered"
    seed: int = 0
    plugin: tuple[str, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)
    option_defaults: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)

    @property
    def threads(self) -> int:
        """The concurrency as a number of client threads."""
        return threads(self.concurrency, self.nodes)

    @property
    def fault_duration_s(self) -> float:
        """How long each fault lasts."""
        return self.nemesis_interval / 2 if self.nemesis_duration is None else self.nemesis_duration

    @property
    def node_names(self) -> tuple[str, ...]:
        """``n1``, ``n2``, …"""
        return tuple(f"n{number}" for number in range(1, self.nodes + 1))

    def flat(self) -> dict[str, Any]:
        """The flat table, complete, options included."""
        table = {name: getattr(self, name) for name in CORE}
        for name in ("nemesis", "consistency_models"):
            table[name] = ",".join(table[name])
        table["plugin"] = list(self.plugin)
        table.update(self.options)
        return {name: value for name, value in table.items() if value is not None}

    def to_toml(self, versions: Mapping[str, str]) -> str:
        """The table as TOML, with what was under test at the end."""
        lines = [f"{name} = {_toml(value)}" for name, value in self.flat().items()]
        lines += ["", "[versions]"]
        lines += [f"{_toml_key(name)} = {_toml(value)}" for name, value in versions.items()]
        return "\n".join(lines) + "\n"

    def command(self) -> str:
        """The command that repeats this run, to paste."""
        plain = Scenario(system=self.system, options=self.option_defaults).flat()
        words = ["polygraph", "test", self.system]
        for name, value in self.flat().items():
            default = plain.get(name)
            if name == "system" or (value == default and name not in ("seed", "workload")):
                continue
            words += _flag(name, value)
        return shlex.join(words)


ABOVE_ZERO = ("nodes", "rate", "time_limit", "nemesis_interval", "op_timeout", "budget")

CORE: Mapping[str, str] = {
    each.name: str(each.type) for each in fields(Scenario) if not each.name.startswith("option")
}
"""Every key that each run has, with its type as written."""


def threads(concurrency: str, nodes: int) -> int:
    """A concurrency like ``20`` or ``4n`` as a number of threads; ``UsageError`` if it is none."""
    match = re.fullmatch(r"\s*(\d+)(n?)\s*", str(concurrency))
    number = int(match[1]) * (nodes if match[2] else 1) if match else 0
    if number < 1:
        raise UsageError(
            f"--concurrency {concurrency!r} is neither a positive number nor like 3n",
            "--concurrency 4n (four clients a node)",
        )
    return number


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
    core = {name: _core_value(name, table[name]) for name in CORE if table.get(name) is not None}
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


def recorded(table: Mapping[str, Any], registry: Registry) -> Scenario:
    """The scenario of a run that was, by what stands in its folder alone.

    Options of systems, workloads and faults are taken as they were recorded: whoever declared
    them may be gone, or may have changed. Where it is known still, its defaults shorten the
    command that repeats the run.
    """
    core = {name: _core_value(name, table[name]) for name in CORE if table.get(name) is not None}
    options = {name: table[name] for name in table if name not in CORE and name != "versions"}
    scenario = Scenario(**{"system": "", **core})
    if not (math.isfinite(scenario.budget) and scenario.budget > 0):
        raise UsageError(f"the scenario's budget of {scenario.budget} is no time", "--budget 300")
    defaults: dict[str, Any] = {}
    with contextlib.suppress(UsageError):
        names = (scenario.system, scenario.workload, scenario.nemesis, scenario.provider)
        declared = declared_options(registry, *names)
        defaults = {name: option.default for name, option in declared.items()}
    return replace(scenario, options=options, option_defaults=defaults)


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


def registry_of(table: Mapping[str, Any]) -> Registry:
    """The registry with the plug-in files that a flat table names."""
    return Registry([Path(path) for path in _core_value("plugin", table.get("plugin", ()))])


def refuse_unnamed(table: Mapping[str, Any], named: Iterable[Path], where: str) -> None:
    """``UsageError`` if a flat table of somebody's names plug-ins that the user did not name.

    They are code, so a file that was only to be looked at must not bring them along.
    """
    known = {path.resolve() for path in named}
    unnamed = [
        path
        for path in _core_value("plugin", table.get("plugin", ()))
        if Path(path).resolve() not in known
    ]
    if unnamed:
        raise UsageError(
            f"{where} names the plug-in {unnamed[0]}, and code is loaded only where you name it",
            f"--plugin {shlex.quote(unnamed[0])}, if you trust it",
        )


def read_toml(path: Path) -> dict[str, Any]:
    """The flat table in ``path``; ``UsageError`` with the place where it is not TOML."""
    try:
        return parsed_toml(path.read_bytes())
    except OSError as error:
        raise UsageError(f"cannot read the scenario {path}: {error.strerror}") from error
    except ValueError as error:
        raise UsageError(f"the scenario {path} is not TOML: {error}") from error


def recorded_table(run_dir: Path) -> dict[str, Any]:
    """The flat table in the folder of a run, as :func:`read_toml`; nothing there is followed."""
    try:
        return parsed_toml(Folder(run_dir).read("scenario.toml", MOST_JSON_BYTES))
    except OSError as error:
        raise UsageError(f"{run_dir}: cannot read scenario.toml: {error.strerror}") from error
    except ValueError as error:
        raise UsageError(f"{run_dir}: scenario.toml is not TOML: {error}") from error


def _core_value(name: str, value: Any) -> Any:
    kind = CORE[name]
    try:
        if kind.startswith("tuple"):
            return _names(value)
        if kind == "bool":
            return _boolean(value)
        if kind == "int":
            return _integer(value)
        if kind.startswith("float"):
            return float(value)
        return str(value)
    except (TypeError, ValueError, OverflowError) as error:
        raise UsageError(f"{name} = {value!r} is not {_called(kind)}") from error


def _names(value: Any) -> tuple[str, ...]:
    parts: Sequence[Any] = value.split(",") if isinstance(value, str) else value
    names = tuple(str(part).strip() for part in parts if str(part).strip())
    return names


def _boolean(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    known = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
    return known[str(value).lower()] if str(value).lower() in known else bool(_integer(value))


def _integer(value: Any) -> int:
    if isinstance(value, bool) or (isinstance(value, float) and not value.is_integer()):
        raise ValueError(value)
    return int(value)


def _option_value(option: SystemOption, value: Any) -> Any:
    if value is None:
        return None
    convert = {bool: _boolean, int: _integer, Path: _absolute}.get(option.kind, option.kind)
    try:
        return convert(value)
    except (TypeError, ValueError) as error:
        raise UsageError(
            f"{option.name} = {value!r} is not {_called(option.kind.__name__)}"
        ) from error


def _absolute(value: Any) -> str:
    """A path as it stays true in another working directory, where the run is repeated."""
    return str(Path(value).resolve())


def _called(kind: str) -> str:
    names = {"bool": "true or false", "int": "a whole number", "float": "a number"}
    return names.get(kind.split(" ")[0], "of the right kind")


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_toml(item) for item in value) + "]"
    if isinstance(value, int | float):
        return repr(value)
    return json.dumps(str(value), ensure_ascii=False).replace("\x7f", "\\u007f")


def _toml_key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else _toml(name)


def _flag(name: str, value: Any) -> list[str]:
    flag = "--" + name.replace("_", "-")
    if isinstance(value, bool):
        return [flag] if value else [f"--no-{flag[2:]}"]
    if isinstance(value, list):
        return [word for item in value for word in (flag, str(item))]
    return [flag, repr(value).removesuffix(".0") if isinstance(value, float) else str(value)]
