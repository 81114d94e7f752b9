"""Plug-ins written for an earlier contract import modules by names that moved: redirected here.

:func:`redirect` puts a finder at the end of ``sys.meta_path``, so that it is asked only for what
nothing else has, and answers only to the exact names of :data:`harness.plugins.changes.MOVED`. An
old name then *is* the new module, the same object: classes and module state exist once. It is
called when the first plug-in is loaded; without one, our own code cannot lean on an old name.
"""

from __future__ import annotations

import ast
import importlib
import importlib.machinery
import importlib.util
import sys
import warnings
from collections.abc import Iterable, Iterator, Sequence
from types import ModuleType

from harness.plugins.changes import MOVED, REUSED


class _Redirection:
    """Loads an old name by putting the new module in its place."""

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> None:
        """None of its own."""

    def exec_module(self, module: ModuleType) -> None:
        """The import system hands on what stands in ``sys.modules`` afterwards."""
        sys.modules[module.__name__] = importlib.import_module(MOVED[module.__name__])


class _Finder:
    """Finds what :data:`MOVED` names, and nothing else."""

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None = None,
        target: ModuleType | None = None,
    ) -> importlib.machinery.ModuleSpec | None:
        """As ``importlib`` asks it."""
        if fullname not in MOVED:
            return None
        return importlib.util.spec_from_loader(fullname, _Redirection())  # type: ignore[arg-type]


_FINDER = _Finder()


def redirect() -> None:
    """Answer to old names from now on, as the last of all finders."""
    if _FINDER not in sys.meta_path:
        sys.meta_path.append(_FINDER)


def meant_by(name: str, wanted: Iterable[str], found: ModuleType) -> ModuleType:
    """The module that ``from name import wanted`` means, if ``found`` only has its old name."""
    if name in REUSED and any(each != "*" and not hasattr(found, each) for each in wanted):
        return importlib.import_module(REUSED[name])
    return found


def used_in(source: bytes | str) -> dict[str, str]:
    """Old names that a source imports, wherever in it, with the new ones."""
    try:
        with warnings.catch_warnings(action="ignore"):  # compiling it says them again
            tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return {}  # whoever loads it says what is wrong
    return {old: new for node in ast.walk(tree) for old, new in _old_names(node)}


def _old_names(node: ast.AST) -> Iterator[tuple[str, str]]:
    if isinstance(node, ast.Import):
        names = [alias.name for alias in node.names]
    elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
        names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        if node.module in REUSED and any(_is_no_module(name) for name in names[1:]):
            yield node.module, REUSED[node.module]
    else:
        return
    yield from ((name, MOVED[name]) for name in names if name in MOVED)


def _is_no_module(name: str) -> bool:
    return importlib.util.find_spec(name) is None
