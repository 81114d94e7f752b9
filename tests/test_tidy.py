"""Keeps the style of the project true: how long things are, and what is said.

Each rule reads the tracked sources as text or syntax trees; nothing is imported, so the whole
file takes about a second.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.docs.names import dangling

pytestmark = pytest.mark.slow


ROOT = Path(__file__).parents[1]
PACKAGES = ("harness", "checkers", "workloads", "nemeses", "systems")

FUNCTION_LINES = 70
FILE_LINES = 500
LONG_FUNCTIONS: dict[str, str] = {
    "harness/history/compiled/byte_scanner.py::scan": "a call a byte would cost more than the byte",
    "harness/history/compiled/byte_scanner.py::transaction": "its inner part",
    "harness/history/compiled/edn_scanner.py::scan": "as that of JSON",
    "harness/history/compiled/edn_scanner.py::transaction": "its inner part",
    "checkers/elle/kernels.py::search_cycles": "one loop for numba; its calls would not be inlined",
    "checkers/elle/registers/serial_order_kernel.py::take_turns": (
        "as search_cycles, and nobody else needs its parts"
    ),
    "checkers/isolation/rw_register/greedy_schedule_kernel.py::have_turns": (
        "as search_cycles, with a third of it parameters"
    ),
    "checkers/isolation/rw_register/saturation_kernels.py::infer": (
        "as search_cycles, with a third of it parameters"
    ),
}
"""``path::function`` to the reason why it is longer than :data:`FUNCTION_LINES`."""

BANNED_NAMES = {"utils", "util", "common", "helpers", "helper", "manager", "misc"}
# Spelled in two parts, so that this file does not break its own rules.
UNFINISHED = re.compile(r"\b(TO" r"DO|FIX" r"ME|XX" r"X|NotImplemented" r"Error)\b")
MACHINE_PATHS = re.compile(r"(^|[^A-Za-z0-9_.])/(work|farm)/|/root/\.|/home/[a-z]|/tmp/[a-z]+\.")
ADDRESS = re.compile(r"https?://|//[a-z0-9.-]+\.[a-z]{2,}/", re.IGNORECASE)
NAMESPACES = re.compile(r"http://www\.w3\.org/[0-9A-Za-z/]+")
"""XML namespaces are names, not places: a browser never opens them."""


@cache
def tracked() -> tuple[Path, ...]:
    """Every file of the project, tracked or about to be; all but ignored ones without git."""
    asked = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    try:
        listed = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, check=True).stdout
        paths = [ROOT / name for name in listed.splitlines()]
    except (OSError, subprocess.CalledProcessError):
        inside = [*PACKAGES, "tests", "benchmarks", "docs", "scripts"]
        paths = [path for name in inside for path in (ROOT / name).rglob("*")]
    return tuple(path for path in paths if path.is_file() and "__pycache__" not in path.parts)


def name_of(path: Path) -> str:
    """The path from the root, as rules name it."""
    return path.relative_to(ROOT).as_posix()


def python_files(*tops: str) -> list[Path]:
    """Tracked Python files under the given top-level folders (all if none is given)."""
    return [
        path
        for path in tracked()
        if path.suffix == ".py" and (not tops or path.relative_to(ROOT).parts[0] in tops)
    ]


@cache
def tree_of(path: Path) -> ast.Module:
    """The syntax tree of a file."""
    return ast.parse(path.read_text("utf-8"), filename=str(path))


def text_files() -> Iterator[tuple[Path, str]]:
    """Every tracked file that is text, with its text."""
    for path in tracked():
        try:
            yield path, path.read_text("utf-8")
        except UnicodeDecodeError:
            continue


@cache
def imports(path: Path) -> frozenset[str]:
    """The modules (and names in modules) of our packages that a file imports, wherever in it."""
    found = set()
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = path.relative_to(ROOT).parts[: -node.level] if node.level else ()
            base = ".".join([*above, *([node.module] if node.module else [])])
            found.update(f"{base}.{alias.name}" for alias in node.names)
    return frozenset(module for module in found if module.split(".")[0] in PACKAGES)


def test_what_runs_on_hosts_needs_nothing_but_python() -> None:
    """Files of ``hands`` are copied to machines that have none of our packages."""
    found = [
        f"{name_of(path)} imports {name}"
        for path in (ROOT / "harness/cluster/hands").glob("*.py")
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.Import | ast.ImportFrom) and not getattr(node, "level", 0)
        for name in ([node.module] if isinstance(node, ast.ImportFrom) else node_names(node))
        if str(name).partition(".")[0] not in sys.stdlib_module_names
    ]
    assert found == []


def node_names(node: ast.Import) -> list[str]:
    """What an import statement names."""
    return [alias.name for alias in node.names]


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Every function and method of a file, inner ones too."""
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def test_functions_are_short() -> None:
    long = {
        f"{name_of(path)}::{function.name}"
        for path in python_files()
        for function in functions(path)
        if (function.end_lineno or 0) - function.lineno + 1 > FUNCTION_LINES
    }
    assert long - set(LONG_FUNCTIONS) == set()
    assert set(LONG_FUNCTIONS) - long == set(), "no longer too long: take them off the list"


def test_files_are_short() -> None:
    sources = [p for p in tracked() if p.suffix in (".py", ".js", ".css", ".sh", ".j2")]
    long = [
        f"{name_of(path)}: {lines} lines"
        for path in sources
        if (lines := len(path.read_text("utf-8").splitlines())) > FILE_LINES
    ]
    assert long == []


def undocumented(path: Path) -> Iterator[str]:
    """The public module, classes and functions of a file that say nothing of themselves."""
    tree = tree_of(path)
    if not ast.get_docstring(tree):
        yield name_of(path)
    owners: list[ast.Module | ast.ClassDef] = [tree]
    while owners:
        for node in owners.pop().body:
            if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                continue
            if node.name.startswith("_"):
                continue
            if not ast.get_docstring(node) and not is_overload(node):
                yield f"{name_of(path)}::{node.name}"
            if isinstance(node, ast.ClassDef):
                owners.append(node)


def is_overload(node: ast.AST) -> bool:
    """Whether a function only adds a type to one that is documented."""
    return any("overload" in ast.unparse(mark) for mark in getattr(node, "decorator_list", ()))


def test_every_public_name_says_what_it_is() -> None:
    assert [name for path in python_files(*PACKAGES) for name in undocumented(path)] == []


def test_every_test_file_says_what_it_is_about() -> None:
    silent = [p for p in python_files("tests", "benchmarks") if not ast.get_docstring(tree_of(p))]
    assert [name_of(path) for path in silent] == []


def test_modules_are_named_by_nouns_of_the_domain() -> None:
    assert [name_of(path) for path in python_files() if path.stem in BANNED_NAMES] == []


def test_tests_are_no_package() -> None:
    """An ``__init__.py`` there would make tests/harness shadow harness."""
    assert [name_of(p) for p in python_files("tests") if p.name == "__init__.py"] == []


def test_nothing_is_left_unfinished() -> None:
    left = [
        f"{name_of(path)}:{number}"
        for path, text in text_files()
        for number, line in enumerate(text.splitlines(), 1)
        if UNFINISHED.search(line)
    ]
    assert left == []


def test_no_file_names_a_path_of_one_machine() -> None:
    wrong = [
        f"{name_of(path)}:{number}"
        for path, text in text_files()
        if path != Path(__file__)
        for number, line in enumerate(text.splitlines(), 1)
        if MACHINE_PATHS.search(line)
    ]
    assert wrong == []


def test_report_assets_name_no_address() -> None:
    """The report is one file that works with the network off."""
    assets = [(p, text) for p, text in text_files() if name_of(p).startswith("harness/report/")]
    assert assets
    wrong = [
        name_of(path)
        for path, text in assets
        if path.suffix != ".py" and ADDRESS.search(NAMESPACES.sub("", text))
    ]
    assert wrong == []


def test_constraints_are_exact_versions_without_addresses() -> None:
    lines = (ROOT / "constraints.txt").read_text("utf-8").splitlines()
    pins = [line for line in lines if line and not line.startswith("#")]
    assert pins
    assert [pin for pin in pins if not re.fullmatch(r"[A-Za-z0-9_.-]+==[0-9][^\s;]*", pin)] == []


def test_no_module_is_dead() -> None:
    """Every module is imported somewhere, is found as a plug-in, or is run by its name."""
    imported = set().union(*(imports(path) for path in python_files()))
    used = imported | {module.rpartition(".")[0] for module in imported}
    dead = [
        module
        for path in python_files(*PACKAGES)
        if path.name not in ("__init__.py", "__main__.py")
        for module in [name_of(path).removesuffix(".py").replace("/", ".")]
        if module not in used and not is_plug_in(path) and not is_run_by_name(module, path)
    ]
    assert dead == []


def is_plug_in(path: Path) -> bool:
    """Whether a file exposes the table by which :mod:`harness.plugins` finds it."""
    folder = path.parent.name
    return path.parents[1] == ROOT and f"\n{folder.upper()}" in path.read_text("utf-8")


def is_run_by_name(module: str, path: Path) -> bool:
    """Whether another file names the module, to run or to import it by name."""
    named = re.compile(rf"{re.escape(module)}(?![\w.])")
    return any(other != path and named.search(text) for other, text in text_files())


PAGES_OF_THE_PAST = {"CHANGELOG.md"}
"""Pages that may name what there was."""


def pages() -> Iterator[tuple[Path, str]]:
    """Every page of ours with its text."""
    return ((path, text) for path, text in text_files() if path.suffix == ".md")


def heading_links(page: Path) -> set[str]:
    """What a link may say after ``#`` to lead to a heading of the page."""
    titles = re.findall(r"^#+ (.+)$", page.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


def test_links_in_the_pages_lead_somewhere() -> None:
    broken = []
    for path, text in pages():
        for target, heading in re.findall(r"\]\(([^)#\s]*)(?:#([^)\s]+))?\)", text):
            place = path.parent / target if target else path
            is_there = "://" in target or place.exists()
            if is_there and heading and place.suffix == ".md":
                is_there = heading in heading_links(place)
            if not is_there:
                broken.append(f"{name_of(path)} -> {target}{heading and '#'}{heading}")
    assert broken == []


def test_paths_and_names_in_the_pages_are_there() -> None:
    """Whoever moves or renames something mends the pages that name it."""
    missing = [
        name
        for path, text in pages()
        if name_of(path) not in PAGES_OF_THE_PAST
        for name in dangling(name_of(path), text)
    ]
    assert missing == []
