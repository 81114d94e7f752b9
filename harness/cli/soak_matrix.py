"""What a soak is to run: one scenario, or the cells of its matrix, each prepared before any begins.

What is impossible (a workload whose abilities a system lacks, a fault that nothing can do here) is
refused once and now: of a matrix such cells are left out with their reason, and only a matrix
without any other is refused.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from harness.cli.declared import scenario_table
from harness.cli.test import scenario_of
from harness.errors import UsageError
from harness.soak.cells import Cell, axes_in, axes_of, chosen, product

if TYPE_CHECKING:
    from harness.store.scenario import Scenario


@dataclass
class Made:
    """The cells that can be run. ``longest_s`` is what a run may take but for its end."""

    seed: int
    cells: list[Cell] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    secrets: dict[str, str] = field(default_factory=dict)
    longest_s: float = 0.0

    def add(self, name: str, scenario: Scenario) -> None:
        """Take in one cell."""
        table = dataclasses.replace(scenario, seed=0).asked()
        del table["seed"]
        self.cells.append(Cell(name, table))
        self.secrets.update(scenario.secret_values)
        limit_s = scenario.time_limit + 2 * scenario.recovery_timeout + scenario.op_timeout
        self.longest_s = max(self.longest_s, limit_s + scenario.budget)


def cells_of(flags: Mapping[str, Any], of_runs: Mapping[str, Any]) -> Made:
    """Every cell of the matrix that is chosen and possible; one without a name if there is none.

    ``flags`` are those of the soak, ``of_runs`` those of every run, which a cell's own win over.
    """
    axes = axes_of(flags["matrix"]) or _axes_in_file(flags["scenario"])
    if not axes:
        if flags["select"] or flags["adaptive"]:
            raise UsageError("-k and --adaptive choose among the cells of a --matrix")
        scenario = prepared(of_runs)
        made = Made(scenario.seed)
        made.add("", scenario)
        return made
    means = chosen(flags["select"]) if flags["select"] else lambda name: True
    wanted = [(name, one) for name, one in product(axes) if means(name)]
    if not wanted:
        raise UsageError(f"no cell is named so: {flags['select']}", "polygraph soak without -k")
    return _made(of_runs, wanted)


def _made(of_runs: Mapping[str, Any], wanted: list[tuple[str, dict[str, Any]]]) -> Made:
    made: Made | None = None
    left_out = []
    for name, own in wanted:
        try:
            scenario = prepared({**of_runs, **own})
        except UsageError as error:
            left_out.append(f"{name}: {error.message}")
            continue
        made = made or Made(scenario.seed)
        made.add(name, scenario)
    if made is None:
        raise UsageError(f"no cell of the matrix can be run; {left_out[0]}")
    made.left_out = left_out
    return made


def prepared(flags: Mapping[str, Any]) -> Scenario:
    """The scenario, whose parts fit."""
    from harness.run.preparation import prepare
    from harness.store.scenario import registry_of

    scenario = scenario_of(flags)
    prepare(scenario, registry_of(scenario.flat()))
    return scenario


def _axes_in_file(name: Any) -> dict[str, list[Any]]:
    table = scenario_table(name).get("matrix")
    return {} if table is None else axes_in(table, str(name))
