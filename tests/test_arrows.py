"""Who may import whom, folder by folder, and no circle anywhere.

``ARROWS`` is the tree of the design, one line a folder. An import inside a function or under
``TYPE_CHECKING`` counts like any other: what one file must know of another is a dependency,
whenever it is loaded. Providers, plug-ins and programs that are started by name are the exception
by nature: whoever names a module as text does not know it.
"""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow


ROOT = Path(__file__).parents[1]
PACKAGES = ("harness", "checkers", "workloads", "nemeses", "systems")

BASE = frozenset({"harness", "harness.linux", "harness.store"})
"""What everything may stand on: errors, plug-ins, Linux, and the files of a run's folder."""

CONTRACT = BASE | {"harness.contract", "harness.history", "harness.generator"}

RECORD = frozenset({"harness.history", "harness.verdict"})
"""What a checker reads, and the form of its answer."""

FAMILIES = frozenset(
    f"checkers.{family}"
    for family in ("elle", "isolation", "linearizable", "log", "objects", "proof", "run")
)

ARROWS: Mapping[str, frozenset[str]] = {
    "harness": frozenset(),
    "harness.linux": frozenset({"harness"}),
    "harness.store": frozenset({"harness", "harness.linux"}),
    "harness.history": BASE | {"harness.history.formats", "harness.history.compiled"},
    "harness.history.formats": BASE | {"harness.history", "harness.history.compiled"},
    "harness.history.compiled": BASE | {"harness.history", "harness.history.formats"},
    "harness.verdict": BASE | {"harness.history"},
    "harness.generator": frozenset({"harness", "harness.history"}),
    "harness.contract": CONTRACT,
    "harness.judge": BASE | {"harness.history", "harness.verdict"},
    "harness.cluster": CONTRACT | {"harness.cluster.hands"},
    "harness.cluster.hands": frozenset(),
    "harness.cluster.namespaces": CONTRACT | {"harness.cluster", "harness.cluster.hands"},
    "harness.cluster.plain": CONTRACT | {"harness.cluster", "harness.cluster.namespaces"},
    "harness.cluster.local": CONTRACT
    | {"harness.cluster", "harness.cluster.namespaces", "harness.cluster.plain"},
    "harness.cluster.docker": CONTRACT
    | {"harness.cluster", "harness.cluster.existing", "harness.cluster.hands"},
    "harness.cluster.ssh": CONTRACT
    | {"harness.cluster", "harness.cluster.existing", "harness.cluster.hands"},
    "harness.cluster.existing": CONTRACT | {"harness.cluster"},
    "harness.evidence": CONTRACT | {"harness.verdict"},
    "harness.run": CONTRACT
    | {"harness.cluster", "harness.evidence", "harness.judge", "harness.verdict", "harness.report"},
    "harness.conformance": CONTRACT | {"harness.cluster", "harness.run"},
    "harness.report": BASE | {"harness.history", "harness.verdict"},
    "harness.soak": BASE | {"harness.report"},
    "harness.explore": BASE | {"harness.history", "harness.run", "harness.soak"},
    "harness.record": BASE | {"harness.history", "harness.scenarios", "harness.soak"},
    "harness.serve": BASE | {"harness.report", "harness.soak"},
    "harness.scenarios": frozenset(),
    "systems": CONTRACT,
    "systems.drivers": CONTRACT,
    "systems.dgraph": CONTRACT | {"systems.drivers"},
    "systems.duckdb": CONTRACT | {"systems.drivers"},
    "systems.etcd": CONTRACT | {"systems.drivers"},
    "systems.mariadb": CONTRACT | {"systems.drivers"},
    "systems.nundb": CONTRACT | {"systems.drivers"},
    "systems.postgresql": CONTRACT | {"systems.drivers"},
    "systems.redis": CONTRACT | {"systems.drivers"},
    "systems.sqlite": CONTRACT | {"systems.drivers"},
    "workloads": CONTRACT | {"checkers.isolation"},
    "nemeses": CONTRACT,
    "nemeses.network": CONTRACT | {"nemeses"},
    "nemeses.process": CONTRACT | {"nemeses"},
    "nemeses.disk": CONTRACT | {"nemeses", "nemeses.process"},
    "nemeses.actions": CONTRACT | {"nemeses"},
    "nemeses.clock": CONTRACT | {"nemeses", "harness.cluster.hands"},
    "checkers": frozenset(),
    "checkers.proof": RECORD,
    "checkers.objects": RECORD | {"checkers.proof"},
    "checkers.linearizable": RECORD | {"checkers.proof"},
    "checkers.log": RECORD | {"checkers.proof"},
    "checkers.run": RECORD | {"checkers.proof"},
    "checkers.elle": RECORD | {"checkers.proof"},
    "checkers.isolation": RECORD | {"checkers.proof", "checkers.elle"},
    "checkers.explained": RECORD | FAMILIES,
}
"""Folder to the folders that its files may import, besides each other; the command line: any."""


@cache
def modules() -> Mapping[str, Path]:
    """Every module of ours by its dotted name."""
    found = {}
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def base_of(module: str, node: ast.ImportFrom) -> str:
    """The dotted name that ``from … import`` takes from, relative ones spelled out."""
    if not node.level:
        return node.module or ""
    parts = module.split(".")
    is_package = modules()[module].name == "__init__.py"
    above = parts[: len(parts) - node.level + is_package]
    return ".".join([*above, *([node.module] if node.module else [])])


@cache
def imported(module: str) -> frozenset[str]:
    """The modules of ours that one of them imports, wherever in it."""
    found = set()
    for node in ast.walk(ast.parse(modules()[module].read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = base_of(module, node)
            inner = {f"{base}.{alias.name}" for alias in node.names}
            found.update(name if name in modules() else base for name in inner)
    return frozenset(found & set(modules())) - {module}


def folder_of(module: str) -> str:
    """The folder of ``ARROWS`` that a module's file lies in; inner ones not named there belong."""
    package = module if modules()[module].name == "__init__.py" else module.rpartition(".")[0]
    while package not in ARROWS and "." in package and package != "harness.cli":
        package = package.rpartition(".")[0]
    return package


def circles(graph: Mapping[str, Iterable[str]]) -> list[list[str]]:
    """The strongly connected parts of more than one node (Tarjan, 1972, by hand on a stack)."""
    order: dict[str, int] = {}
    low: dict[str, int] = {}
    open_nodes: list[str] = []
    found = []

    def visit(node: str) -> None:
        order[node] = low[node] = len(order)
        open_nodes.append(node)
        for other in graph.get(node, ()):
            if other not in order:
                visit(other)
            if other in open_nodes:
                low[node] = min(low[node], low[other])
        if low[node] == order[node]:
            start = open_nodes.index(node)
            if len(open_nodes) - start > 1:
                found.append(sorted(open_nodes[start:]))
            del open_nodes[start:]

    for node in graph:
        if node not in order:
            visit(node)
    return found


def area_of(module: str) -> str:
    """The folder of a module; those of histories count as one, which no circle of files holds."""
    folder = folder_of(module)
    return "harness.history" if folder.startswith("harness.history.") else folder


def test_no_file_imports_itself_by_way_of_others() -> None:
    assert circles({module: imported(module) for module in modules()}) == []


def test_no_folder_imports_itself_by_way_of_others() -> None:
    arrows: dict[str, set[str]] = defaultdict(set)
    for module in modules():
        for other in imported(module):
            if area_of(other) != area_of(module):
                arrows[area_of(module)].add(area_of(other))
    assert circles(arrows) == []


@pytest.mark.parametrize("folder", sorted(set(map(folder_of, modules())) - {"harness.cli"}))
def test_a_folder_imports_only_what_it_may(folder: str) -> None:
    allowed = ARROWS[folder]
    wrong = [
        f"{module} imports {other}"
        for module in modules()
        if folder_of(module) == folder
        for other in sorted(imported(module))
        if folder_of(other) != folder and folder_of(other) not in allowed
    ]
    assert wrong == []


def test_the_house_knows_none_of_its_guests() -> None:
    """Systems, workloads, nemeses and checkers are found by name, ours like anybody's."""
    wrong = [
        f"{module} imports {other}"
        for module in modules()
        if module.startswith("harness")
        for other in imported(module)
        if not other.startswith("harness")
    ]
    assert wrong == []


def test_every_arrow_is_of_a_folder_that_there_is() -> None:
    folders = {folder_of(module) for module in modules()}
    named = {name for allowed in ARROWS.values() for name in allowed}
    assert (named | set(ARROWS)) - folders == set()


def test_circles_are_found_where_there_are_some() -> None:
    assert circles({"a": ["b"], "b": ["c"], "c": ["a"], "d": ["a"]}) == [["a", "b", "c"]]
    assert circles({"a": ["b", "c"], "b": ["c"], "c": []}) == []
