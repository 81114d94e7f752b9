"""Finds systems, workloads, nemeses and checkers: built in, by entry point, or from a file.

A built-in module of the packages ``systems``, ``workloads``, ``nemeses`` and ``checkers``
exposes a table (``SYSTEMS``, ``WORKLOADS``, ``NEMESES``, ``CHECKERS``; in ``checkers`` also
``EXPLANATIONS`` and ``TRIALS``) from name to factory.
Third parties register the same table by entry point (groups ``polygraph.systems`` and so on,
each entry naming one factory) or in a file given with ``--plugin``.

Cost: modules are imported only when something of their kind is looked up.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.metadata
import importlib.util
import os
import pkgutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any, Final, Literal

from harness.errors import EXIT_INFRASTRUCTURE, UsageError, unknown_name

Kind = Literal["systems", "workloads", "nemeses", "checkers", "explanations", "trials"]
KINDS: tuple[Kind, ...] = ("systems", "workloads", "nemeses", "checkers")
"""What runs are made of. Explanations (:mod:`harness.verdict.explanation`) go with checkers, and
so do trials, further examples for the self-test."""

BUILT_IN: Final = "built in"
"""The origin of what comes with Polygraph itself."""


@dataclass(frozen=True)
class Found:
    """One thing that can be named on the command line. ``origin`` says where it came from."""

    name: str
    factory: Any
    origin: str


@dataclass
class Registry:
    """All that can be named, of every kind; ``errors`` tells what could not be loaded and why."""

    plugin_files: Sequence[Path] = ()
    errors: list[str] = field(default_factory=list)
    _cache: dict[Kind, dict[str, Found]] = field(default_factory=dict)

    def names(self, kind: Kind) -> list[str]:
        """Every name of ``kind``, sorted."""
        return sorted(self._all(kind))

    def found(self, kind: Kind) -> Mapping[str, Found]:
        """Everything of ``kind`` by name."""
        return self._all(kind)

    def get(self, kind: Kind, name: str) -> Any:
        """The factory called ``name``; ``UsageError`` with the nearest names if there is none."""
        found = self._all(kind).get(name)
        if found is not None:
            return found.factory
        raise UsageError(unknown_name(_SINGULAR[kind], name, self.names(kind), self.errors))

    def is_extended(self) -> bool:
        """Whether code of third parties is loaded with the checkers; loads nothing itself."""
        groups = (importlib.metadata.entry_points(group=f"polygraph.{kind}") for kind in KINDS)
        return bool(self.plugin_files) or any(groups)

    def _all(self, kind: Kind) -> dict[str, Found]:
        if kind not in self._cache:
            self._cache[kind] = dict(self._discover(kind))
        return self._cache[kind]

    def _discover(self, kind: Kind) -> Iterator[tuple[str, Found]]:
        for module in _built_in_modules(kind):
            yield from _entries(module, kind, BUILT_IN)
        for entry in importlib.metadata.entry_points(group=f"polygraph.{kind}"):
            origin = entry.dist.name if entry.dist is not None else "entry point"
            try:
                yield entry.name, Found(entry.name, entry.load(), origin)
            except Exception as error:
                self.errors.append(f"entry point {entry.name} of {origin}: {error!r}")
        for path in self.plugin_files:
            yield from _entries(_load_file(path), kind, str(path))


_SINGULAR: Mapping[Kind, str] = {
    "systems": "system",
    "workloads": "workload",
    "nemeses": "nemesis",
    "checkers": "checker",
    "explanations": "anomaly or consistency model",
    "trials": "trial",
}


def _built_in_modules(kind: Kind) -> Iterator[ModuleType]:
    """The modules with a table of ``kind``: of a package, or of a family without a table."""
    top = kind if kind in KINDS else "checkers"
    yield from _modules_below(importlib.import_module(top), kind)


def _modules_below(package: ModuleType, kind: Kind) -> Iterator[ModuleType]:
    for info in sorted(pkgutil.iter_modules(package.__path__), key=lambda info: info.name):
        module = importlib.import_module(f"{package.__name__}.{info.name}")
        if hasattr(module, kind.upper()):
            yield module
        elif info.ispkg:
            yield from _modules_below(module, kind)


def _entries(module: ModuleType, kind: Kind, origin: str) -> Iterator[tuple[str, Found]]:
    table = getattr(module, kind.upper(), {})
    if not isinstance(table, Mapping):
        raise UsageError(f"{origin}: {kind.upper()} must map names to factories, not be {table!r}")
    for name, factory in table.items():
        if not callable(factory):
            raise UsageError(f"{origin}: {kind.upper()}[{name!r}] is {factory!r}, no factory")
        yield str(name), Found(str(name), factory, origin)


def _load_file(path: Path) -> ModuleType:
    """The module in ``path``, loaded once a process under a name of its own."""
    digest = hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:12]
    name = f"polygraph_plugin_{path.stem}_{digest}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None or not path.is_file():
        raise UsageError(f"the plug-in {path} is not a readable Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    pid = os.getpid()
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        raise UsageError(f"the plug-in {path} cannot be loaded: {error!r}") from error
    finally:
        if os.getpid() != pid:  # a copy that the plug-in made: it must not do our work again
            os._exit(EXIT_INFRASTRUCTURE)
    return module
