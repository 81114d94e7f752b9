"""Loads a plug-in's file, and lets it import the modules that lie beside it.

Each folder that holds a plug-in becomes a package of its own, whose name nobody else has, and the
plug-in a module of it:

    /there/redis_plugin.py      polygraph_plugin_3f9a….redis_plugin
    /there/replies.py           polygraph_plugin_3f9a….replies
    /elsewhere/replies.py       polygraph_plugin_c207….replies

So ``from . import replies`` is Python's own, and two plug-ins with neighbours of equal names get
each its own. A plain ``import replies`` works as well, and later in a method too: modules of
such a package have an ``__import__`` of their own, which looks for a name where everybody looks
(the standard library, our packages, what is installed) and only where nothing has it beside the
importing file. A neighbour thus stands in for nothing, and no other code ever sees it. (A plug-in
``redis.py`` that imports the driver ``redis`` gets the driver.)

The folder of a file that the user named is trusted as the file is; the working folder is not.
"""

from __future__ import annotations

import builtins
import hashlib
import importlib
import importlib.machinery
import importlib.util
import os
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from harness.errors import EXIT_INFRASTRUCTURE, UsageError
from harness.plugins.changes import PACKAGES, VERSION, advice_on, since
from harness.plugins.notices import notify
from harness.plugins.old_names import meant_by, redirect, used_in
from harness.wording import placed, shown

PREFIX: Final = "polygraph_plugin_"
"""What the names of the packages begin with."""
VERSION_NAME: Final = "POLYGRAPH_CONTRACT"
"""Where a plug-in says which version of the contract it was written for."""


@dataclass
class _Folder:
    """A folder that holds a plug-in. ``neighbours`` were found there by a plain import."""

    name: str
    path: Path
    neighbours: set[str] = field(default_factory=set)
    old_names: dict[str, str] = field(default_factory=dict)

    def imported(
        self,
        name: str,
        globals: Mapping[str, Any] | None = None,
        locals: Mapping[str, Any] | None = None,
        fromlist: Sequence[str] | None = (),
        level: int = 0,
    ) -> ModuleType:
        """The ``__import__`` of the modules in this folder."""
        top = name.partition(".")[0]
        if not level and top in self.neighbours:
            return self._neighbour(name, fromlist)
        try:
            found = builtins.__import__(name, globals, locals, fromlist or (), level)
        except ModuleNotFoundError as error:
            if level or error.name != top or top in PACKAGES or not self._has(top):
                raise
            self.neighbours.add(top)
            return self._neighbour(name, fromlist)
        return found if level else meant_by(name, fromlist or (), found)

    def _has(self, top: str) -> bool:
        return importlib.util.find_spec(f"{self.name}.{top}") is not None

    def _neighbour(self, name: str, fromlist: Sequence[str] | None) -> ModuleType:
        """What ``import name`` binds: the first part, or the last where names are taken from it."""
        if fromlist:
            return builtins.__import__(f"{self.name}.{name}", None, None, fromlist, 0)
        importlib.import_module(f"{self.name}.{name}")
        return sys.modules[f"{self.name}.{name.partition('.')[0]}"]


class _Loader(importlib.machinery.SourceFileLoader):
    """Loads a module of a plug-in's folder, with the ``__import__`` of that folder."""

    def __init__(self, name: str, path: str, folder: _Folder) -> None:
        super().__init__(name, path)
        self._folder = folder

    def exec_module(self, module: ModuleType) -> None:
        """As usual, after a look at the old names that the source uses."""
        self._folder.old_names.update(used_in(self.get_data(self.path)))
        own = {**vars(builtins), "__import__": self._folder.imported}
        module.__dict__["__builtins__"] = own
        super().exec_module(module)


class _Finder:
    """Finds the modules of plug-ins' folders, by their full names."""

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None = None,
        target: ModuleType | None = None,
    ) -> importlib.machinery.ModuleSpec | None:
        """As ``importlib`` asks it."""
        folder = _FOLDERS.get(fullname.partition(".")[0])
        if folder is None or path is None:
            return None
        spec = importlib.machinery.PathFinder.find_spec(fullname, path, target)
        return spec and _with_own_import(spec, folder)


_FOLDERS: dict[str, _Folder] = {}
_FINDER = _Finder()


def load_file(path: Path) -> ModuleType:
    """The module in ``path``, loaded once a process; ``UsageError`` says why it cannot be."""
    real = path.resolve()
    if not real.is_file():
        raise UsageError(f"the plug-in {path} {_not_a_file(real)}", "the path of a Python file")
    folder = _folder_of(real)
    name = f"{folder.name}.{_stem(real)}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, real)
    if spec is None or spec.loader is None:
        raise UsageError(
            f"the plug-in {path} is not a readable Python file", "a file whose name ends in .py"
        )
    spec = _with_own_import(spec, folder)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    old_names = folder.old_names = {}
    try:
        with loading(f"the plug-in {path}"):
            assert spec.loader is not None
            spec.loader.exec_module(module)
        tell_version(f"the plug-in {path}", module, old_names)
    except BaseException:
        del sys.modules[name]
        raise
    setattr(sys.modules[folder.name], _stem(real), module)
    return module


@contextmanager
def loading(what: str) -> Iterator[None]:
    """Whatever goes wrong while a plug-in's code is loaded is a ``UsageError`` that names it."""
    redirect()
    pid = os.getpid()
    try:
        yield
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        raise UsageError(f"{what} cannot be loaded: {placed(error)}", _advice(error)) from error
    finally:
        if os.getpid() != pid:  # a copy that the plug-in made: it must not do our work again
            os._exit(EXIT_INFRASTRUCTURE)


def tell_version(what: str, module: ModuleType, old_names: Mapping[str, str]) -> None:
    """Notify of what changed since the contract that ``module`` was written for.

    ``UsageError`` where it was written for a contract that is not known yet.
    """
    written_for = getattr(module, VERSION_NAME, VERSION)
    if not isinstance(written_for, int) or isinstance(written_for, bool) or written_for < 1:
        raise UsageError(
            f"{what}: {VERSION_NAME} is {shown(written_for)}, no version",
            f"{VERSION_NAME} = {VERSION}",
        )
    if written_for > VERSION:
        raise UsageError(
            f"{what} was written for version {written_for} of the contract, and this Polygraph has"
            f" version {VERSION}",
            "a newer polygraph-db",
        )
    if old_names:
        lines = [f"  {old} is {new}" for old, new in sorted(old_names.items())]
        notify("\n".join([f"{what} imports modules that moved (its names still work):", *lines]))
    elif written_for < VERSION:
        notify(
            f"{what} was written for version {written_for} of the contract; {since(written_for)}"
        )


def _not_a_file(path: Path) -> str:
    if path.is_dir():
        return "is a directory"
    return "is no file" if path.exists() else "cannot be loaded: no such file"


def _advice(error: BaseException) -> str:
    """What to try; the table of what moved where a module of ours was looked for in vain."""
    name = (error.name or "") if isinstance(error, ImportError) else ""
    if name.partition(".")[0] in PACKAGES:
        return advice_on(name)
    if isinstance(error, ModuleNotFoundError) and not name.startswith(PREFIX):
        return f"pip install what has the module {name}, or put a file of that name beside it"
    return "POLYGRAPH_TRACEBACK=1 and the same command, to see where"


def _folder_of(path: Path) -> _Folder:
    """The package that stands for the folder of ``path``, made when it is first asked for."""
    digest = hashlib.sha256(os.fsencode(path.parent)).hexdigest()[:12]
    name = f"{PREFIX}{digest}"
    if name not in _FOLDERS:
        _FOLDERS[name] = _Folder(name, path.parent)
        package = ModuleType(name, f"The folder {path.parent} of a plug-in.")
        package.__path__ = [str(path.parent)]
        package.__package__ = name
        sys.modules[name] = package
    if _FINDER not in sys.meta_path:
        sys.meta_path.insert(0, _FINDER)
    return _FOLDERS[name]


def _stem(path: Path) -> str:
    """The module's name in its package: the file's own where that is a name, else made one."""
    if path.stem.isidentifier():
        return path.stem
    digest = hashlib.sha256(os.fsencode(path.name)).hexdigest()[:8]
    return f"{re.sub(r'[^0-9A-Za-z_]', '_', path.stem)}_{digest}"


def _with_own_import(
    spec: importlib.machinery.ModuleSpec, folder: _Folder
) -> importlib.machinery.ModuleSpec:
    if type(spec.loader) is importlib.machinery.SourceFileLoader:
        spec.loader = _Loader(spec.loader.name, str(spec.loader.path), folder)
    return spec
