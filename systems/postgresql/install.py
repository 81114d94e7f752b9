"""Finds PostgreSQL's programs on the controller, or installs Debian's package of them.

Three ways to bring PostgreSQL: the option ``binary`` (the folder of your own build's programs),
Debian's package (the newest that is installed below ``/usr/lib/postgresql``), or, as root on a
machine with ``apt-get`` and without any, the package that Debian has, installed after a word about
it. The package would start a server of its own, on the usual port: it is told not to.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Final

from harness.errors import NeedsError
from harness.wording import shown
from systems.drivers.debian import ONE_AT_A_TIME, install, is_program

PACKAGE: Final = "postgresql"
HINT: Final = f"apt-get install {PACKAGE} (as root), or --binary FOLDER of postgres and initdb"
_DEBIAN: Final = Path("/usr/lib/postgresql")


def find_programs(asked: str | None = None) -> Path:
    """The folder of ``postgres`` and ``initdb``; installs it where it may; ``NeedsError``."""
    if asked is not None:
        folder = Path(asked)
        if not is_program(folder / "postgres") and is_program(folder / "bin" / "postgres"):
            folder = folder / "bin"
        if not is_program(folder / "postgres"):
            raise NeedsError(f"--binary {asked} is no folder with a program postgres", HINT)
        return folder.resolve()
    with ONE_AT_A_TIME:
        found = _newest()
        if found is None:
            install("PostgreSQL", PACKAGE, HINT)
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
    folders = [path for path in _DEBIAN.glob("*/bin") if is_program(path / "postgres")]
    if folders:
        return max(folders, key=lambda path: float(path.parent.name))
    onpath = shutil.which("postgres")
    return Path(onpath).resolve().parent if onpath else None
