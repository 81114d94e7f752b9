"""What one run is asked to be: one flat table whose keys are the long flags with ``_``.

A scenario comes from the command line, the environment or a TOML file, is completed with the
defaults and a seed (:mod:`harness.run.scenario`), and is kept beside the run, so that the run's
own ``scenario.toml`` runs again as it is. Keys that belong to the system, the workload or a
nemesis (``serializable_reads``) stand in the same flat table.

Here a scenario is data: it is written, and read back, without asking any plug-in what it means.
"""

from __future__ import annotations

import json
import math
import re
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from harness.errors import UsageError
from harness.option import Option
from harness.plugins import Registry
from harness.store.run_options import RUN_OPTIONS, default
from harness.store.untrusted import MOST_JSON_BYTES, Folder, parsed_toml
from harness.wording import shown


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """One run, complete. Times are seconds, ``rate`` is operations a second over all clients.

    ``concurrency`` is a number or a multiple of the nodes (``4n``); ``schedule`` is the path of
    one; ``nemesis_duration_s`` of ``None`` is half an interval; ``budget`` is what each checker may
    take; ``options`` belong to system, workload, nemeses and provider. ``secrets`` names those of
    them that are secrets; ``secret_values`` is what they are, which is written nowhere.
    """

    system: str
    workload: str = default("workload")
    nemesis: tuple[str, ...] = ()
    nemesis_after: tuple[str, ...] = ()
    intensity: str | None = None
    schedule: str | None = None
    nodes: int = default("nodes")
    provider: str = default("provider")
    client: str | None = None
    concurrency: str = default("concurrency")
    rate: float = default("rate")
    time_limit: float = default("time_limit")
    nemesis_interval: float = default("nemesis_interval")
    nemesis_duration: float | None = None
    op_timeout: float = default("op_timeout")
    recovery_timeout: float = default("recovery_timeout")
    leave_db_running: bool = default("leave_db_running")
    fail_fast: bool = default("fail_fast")
    consistency_models: tuple[str, ...] = ()
    claims: str = default("claims")
    budget: float = default("budget")
    journal: str = default("journal")
    traces: bool = default("traces")
    seed: int = 0
    secrets: tuple[str, ...] = ()
    plugin: tuple[str, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)
    option_defaults: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)
    secret_values: Mapping[str, str] = field(default_factory=dict, compare=False, repr=False)
    mix: tuple[str, ...] = field(default=(), compare=False, repr=False)
    """The words of ``--nemesis`` where they named a mix, which ``nemesis`` is made of."""
    mix_options: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)
    """Of a mix: the options of all faults that there are."""

    @property
    def threads(self) -> int:
        """The concurrency as a number of client threads."""
        return threads(self.concurrency, self.nodes)

    @property
    def node_names(self) -> tuple[str, ...]:
        """``n1``, ``n2``, …"""
        return tuple(f"n{number}" for number in range(1, self.nodes + 1))

    @property
    def all_options(self) -> dict[str, Any]:
        """The options with the secrets among them, for whoever works with them."""
        return {**self.options, **self.secret_values}

    def flat(self) -> dict[str, Any]:
        """The flat table, complete, options included."""
        table = {name: getattr(self, name) for name in CORE}
        for name in ("nemesis", "nemesis_after", "consistency_models", "secrets"):
            table[name] = ",".join(table[name])
        for name in ("nemesis_after", "secrets"):
            if not table[name]:
                del table[name]
        table["plugin"] = list(self.plugin)
        table.update(self.options)
        return {name: value for name, value in table.items() if value is not None}

    def asked(self) -> dict[str, Any]:
        """As :meth:`flat`, with a random mix in place of the faults that this seed draws."""
        if "random" not in self.mix:
            return self.flat()
        return replace(self, nemesis=self.mix, options=self.mix_options).flat()

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


CORE: Mapping[str, Option] = {
    option.name: option for options in RUN_OPTIONS.values() for option in options
}
"""Every key that each run has."""


def threads(concurrency: str, nodes: int) -> int:
    """A concurrency like ``20`` or ``4n`` as a number of threads; ``UsageError`` if it is none."""
    match = re.fullmatch(r"\s*(\d+)(n?)\s*", str(concurrency))
    number = int(match[1]) * (nodes if match[2] else 1) if match else 0
    if number < 1:
        raise UsageError(
            f"--concurrency {shown(concurrency)} is neither a positive number nor like 3n",
            "--concurrency 4n (four clients a node)",
        )
    return number


def recorded(
    table: Mapping[str, Any], option_defaults: Mapping[str, Any] | None = None
) -> Scenario:
    """The scenario of a run that was, by what stands in its folder alone.

    Options of systems, workloads and faults are taken as they were recorded: whoever declared
    them may be gone, or may have changed. ``option_defaults`` are what they were by themselves,
    where the run says so: they shorten the command that repeats it.
    """
    core = {name: core_value(name, table[name]) for name in CORE if table.get(name) is not None}
    options = {name: table[name] for name in table if name not in CORE and name != "versions"}
    defaults = dict(option_defaults or {})
    scenario = Scenario(**{"system": "", **core}, options=options, option_defaults=defaults)
    if not (math.isfinite(scenario.budget) and scenario.budget > 0):
        raise UsageError(f"the scenario's budget of {scenario.budget} is no time", "--budget 300")
    return scenario


def registry_of(table: Mapping[str, Any]) -> Registry:
    """The registry with the plug-in files that a flat table names."""
    return Registry([Path(path) for path in core_value("plugin", table.get("plugin", ()))])


def refuse_unnamed(table: Mapping[str, Any], named: Iterable[Path], where: str) -> None:
    """``UsageError`` if a flat table of somebody's names plug-ins that the user did not name.

    They are code, so a file that was only to be looked at must not bring them along.
    """
    known = {path.resolve() for path in named}
    unnamed = [
        path
        for path in core_value("plugin", table.get("plugin", ()))
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
        if isinstance(error, FileNotFoundError):
            raise UsageError(f"{path}: no such file") from error
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


def core_value(name: str, value: Any) -> Any:
    """What the key ``name`` of every run is set to, as its type; ``UsageError`` if it is none."""
    return CORE[name].value(value)


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
