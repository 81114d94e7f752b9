"""Lays out plug-ins for the tests of this folder: files, and distributions as if installed."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

CHECKER = "def make(options):\n    return {answer!r}\n\nCHECKERS = {{{name!r}: make}}\n"
"""A plug-in with one checker; its factory answers ``answer``."""


def a_file(path: Path, text: str) -> Path:
    """``text`` in a file whose folder is made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")
    return path


def a_checker(path: Path, name: str, answer: str = "", more: str = "") -> Path:
    """A plug-in file with the checker ``name``."""
    return a_file(path, CHECKER.format(name=name, answer=answer or path.stem) + more)


class Site:
    """A folder for installed distributions, in this process."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self._monkeypatch = monkeypatch
        monkeypatch.syspath_prepend(str(folder))

    def install(self, name: str, text: str, entries: str) -> None:
        """A distribution ``name`` with one module of its name, and these entry points."""
        a_file(self.folder / f"{name}.py", text)
        meta = self.folder / f"{name}-1.dist-info"
        a_file(meta / "METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1\n")
        a_file(meta / "entry_points.txt", entries)
        self._monkeypatch.delitem(sys.modules, name, raising=False)


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    """Where the test's distributions are installed."""
    return Site(tmp_path / "site", monkeypatch)
