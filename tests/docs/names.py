"""What the pages name: paths of this repository, modules, and what is defined in them."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = ("harness", "checkers", "workloads", "nemeses", "systems", "tests")
FENCED = re.compile(r"^ *```.*?^ *```$", re.MULTILINE | re.DOTALL)
PYTHON = re.compile(r"^```python[^\n]*\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SPAN = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
DOTTED = re.compile(rf"({'|'.join(PACKAGES)})(\.[A-Za-z_]\w*)+")
PATH = re.compile(r"\.?[\w-]+(/[\w.*-]+)*/?")
MADE_HERE = frozenset({"store", "dist", "build"})
"""What commands make in a checkout, and pages tell of by examples."""
MOVED = ROOT / "harness/plugins/changes.py"
"""Where the names that there were are listed, which pages for plug-ins may use."""


@cache
def tree_of(path: Path) -> ast.Module:
    """The syntax tree of a file."""
    return ast.parse(path.read_text("utf-8"))


def bound_by(body: list[ast.stmt]) -> Iterator[tuple[str, ast.stmt]]:
    """Every name that some statements bind, with the statement."""
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name, node
        elif isinstance(node, ast.Import | ast.ImportFrom):
            yield from ((alias.asname or alias.name, node) for alias in node.names)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            for target in targets:
                yield from ((n.id, node) for n in ast.walk(target) if isinstance(n, ast.Name))
        elif isinstance(node, ast.If | ast.Try):
            yield from bound_by(node.body)


def attributes_of(owner: ast.ClassDef) -> set[str]:
    """What ``self`` of a class is given, in any of its methods."""
    return {
        node.attr
        for node in ast.walk(owner)
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store)
    }


def defined_in(path: Path, name: str) -> bool:
    """Whether ``function`` or ``Class.method`` is bound in a file."""
    first, _, rest = name.removesuffix("()").partition(".")
    if not path.is_file():
        return False
    owner = dict(bound_by(tree_of(path).body)).get(first)
    if owner is None or not rest or not isinstance(owner, ast.ClassDef):
        return owner is not None and not rest
    return rest in dict(bound_by(owner.body)) or rest in attributes_of(owner)


def is_there(dotted: str) -> bool:
    """Whether a dotted name is a package, a module, or what is defined in one."""
    parts = dotted.split(".")
    for count in range(len(parts), 0, -1):
        place = ROOT.joinpath(*parts[:count])
        rest = ".".join(parts[count:])
        if place.with_suffix(".py").is_file():
            return not rest or defined_in(place.with_suffix(".py"), rest)
        if place.is_dir():
            return not rest or defined_in(place / "__init__.py", rest)
    return False


def has_moved(dotted: str) -> bool:
    """Whether a dotted name is listed as one that there was."""
    return f'"{dotted}"' in MOVED.read_text("utf-8")


def imported_in(text: str) -> Iterator[str]:
    """What the Python blocks of a page import of ours, as dotted names."""
    for block in PYTHON.findall(text):
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.ImportFrom) and node.module and DOTTED.fullmatch(node.module):
                yield from (f"{node.module}.{alias.name}" for alias in node.names)


def dangling(page: str, text: str) -> list[str]:
    """The paths and dotted names in a page that lead nowhere, and the imports of its Python.

    A path is one that begins with a file or folder of the root; bare file names are anybody's, and
    so is what stands in :data:`MADE_HERE`.
    """
    tops = frozenset(path.name for path in ROOT.iterdir()) - MADE_HERE
    missing = []
    for span in SPAN.findall(FENCED.sub("", text)):
        if DOTTED.fullmatch(span):
            is_known = is_there(span) or has_moved(span)
        elif "/" in span and PATH.fullmatch(span) and span.split("/")[0] in tops:
            is_known = any(ROOT.glob(span.rstrip("/")))
        else:
            continue
        if not is_known:
            missing.append(f"{page}: {span}")
    return missing + [f"{page}: {name}" for name in imported_in(text) if not is_there(name)]
