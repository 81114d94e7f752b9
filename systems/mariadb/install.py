"""Finds MariaDB's programs on the controller, or installs Debian's package of them.

``--binary`` names a server program of your own build; what makes its data folder
(``mariadb-install-db``) is looked for around it. Else Debian's package is taken, and as root
installed after a word about it if it is not there.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from harness.errors import NeedsError
from harness.wording import shown
from systems.drivers.debian import ONE_AT_A_TIME, install, is_program

PACKAGE: Final = "mariadb-server"
HINT: Final = f"apt-get install {PACKAGE} (as root), or --binary PATH of mariadbd"
_PATHS: Final = "/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin:/usr/local/mysql/bin"
_MAKERS: Final = ("mariadb-install-db", "mysql_install_db")


@dataclass(frozen=True, kw_only=True)
class Programs:
    """The server, and what makes an empty data folder for it."""

    server: Path
    maker: Path


def find_programs(asked: str | None = None) -> Programs:
    """The programs; installs them where it may; ``NeedsError`` if there are none to run."""
    if asked is not None:
        if not is_program(Path(asked)):
            raise NeedsError(f"--binary {asked} is not an executable file", HINT)
        return _with_maker(Path(asked).resolve())
    with ONE_AT_A_TIME:
        if shutil.which("mariadbd", path=_PATHS) is None:
            install("MariaDB", PACKAGE, HINT)
    found = shutil.which("mariadbd", path=_PATHS)
    if found is None:
        raise NeedsError("there is no MariaDB on this machine", HINT)
    return _with_maker(Path(found))


def read_version(server: Path) -> str:
    """``10.11.19`` as ``mariadbd --version`` says; ``NeedsError`` if it does not run."""
    try:
        done = subprocess.run(
            [server, "--no-defaults", "--version"],
            capture_output=True,
            text=True,
            timeout=30,
            check=True,
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise NeedsError(f"{server} --version does not run: {error}", HINT) from error
    found = re.search(r"Ver (\S+?)-MariaDB", done.stdout)
    if found is None:
        raise NeedsError(f"{server} is no MariaDB: it calls itself {shown(done.stdout[:80])}", HINT)
    return found[1]


def _with_maker(server: Path) -> Programs:
    around = (server.parent, server.parent.parent / "scripts", server.parent.parent / "bin")
    path = ":".join((*map(str, around), _PATHS))
    for name in _MAKERS:
        maker = shutil.which(name, path=path)
        if maker is not None:
            return Programs(server=server, maker=Path(maker))
    raise NeedsError(f"there is no {_MAKERS[0]} near {server}", HINT)
