"""Finds PostgreSQL's programs on the controller, or installs Debian's package of them.

Three ways to bring PostgreSQL: the option ``binary`` (the folder of your own build's programs),
Debian's package (the newest that is installed below ``/usr/lib/postgresql``), or, as root on a
machine with ``apt-get`` and without any, the package that Debian has, installed after a word about
it. The package would start a server of its own, on the usual port: it is told not to.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from harness.errors import NeedsError
from harness.wording import shown

PACKAGE: Final = "postgresql"
HINT: Final = f"apt-get install {PACKAGE} (as root), or --binary FOLDER of postgres and initdb"
_DEBIAN: Final = Path("/usr/lib/postgresql")
_POLICY: Final = Path("/usr/sbin/policy-rc.d")
_INSTALL_TIMEOUT_S: Final = 600
_ONE_AT_A_TIME: Final = threading.Lock()


def find_programs(asked: str | None = None) -> Path:
    """The folder of ``postgres`` and ``initdb``; installs it where it may; ``NeedsError``."""
    if asked is not None:
        folder = Path(asked)
        if not _is_program(folder / "postgres") and _is_program(folder / "bin" / "postgres"):
            folder = folder / "bin"
        if not _is_program(folder / "postgres"):
            raise NeedsError(f"--binary {asked} is no folder with a program postgres", HINT)
        return folder.resolve()
    with _ONE_AT_A_TIME:
        found = _newest()
        if found is None:
            _install()
            found = _newest()
    if found is None:
        raise NeedsError("there is no PostgreSQL on this machine", HINT)
    return found


def read_version(folder: Path) -> str:
    """``15.18`` as ``postgres --version`` says; ``NeedsError`` if it does not run."""
    program = folder / "postgres"
    try:
        done = subprocess.run(
            [program, "--version"], capture_output=True, text=True, timeout=30, check=True
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise NeedsError(f"{program} --version does not run: {error}", HINT) from error
    found = re.search(r"\(PostgreSQL\) (\S+)", done.stdout)
    if found is None:
        raise NeedsError(f"{program} calls itself {shown(done.stdout[:80])}", HINT)
    return found[1]


def _newest() -> Path | None:
    """The folder of the newest version that Debian's packages have put here, or on the path."""
    folders = [path for path in _DEBIAN.glob("*/bin") if _is_program(path / "postgres")]
    if folders:
        return max(folders, key=lambda path: float(path.parent.name))
    onpath = shutil.which("postgres")
    return Path(onpath).resolve().parent if onpath else None


def _install() -> None:
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise NeedsError("there is no PostgreSQL on this machine", HINT)
    print(
        f"there is no PostgreSQL on this machine: installing Debian's package {PACKAGE}",
        file=sys.stderr,
        flush=True,
    )
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    command = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", PACKAGE]
    with _no_service_starts():
        for argv in (["apt-get", "update", "-qq"], command):
            done = subprocess.run(
                argv,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                timeout=_INSTALL_TIMEOUT_S,
                check=False,
            )
    if done.returncode != 0:
        said = done.stdout.decode("utf-8", "replace").strip()[-300:]
        raise NeedsError(f"apt-get could not install {PACKAGE}: {said}", HINT)


@contextmanager
def _no_service_starts() -> Iterator[None]:
    """Debian's own word that no package shall start a service: a policy that says 101."""
    if _POLICY.exists():
        yield
        return
    _POLICY.write_text("#!/bin/sh\nexit 101\n")
    _POLICY.chmod(0o755)
    try:
        yield
    finally:
        _POLICY.unlink(missing_ok=True)


def _is_program(path: Path) -> bool:
    return path.is_file() and os.access(path, os.X_OK)
