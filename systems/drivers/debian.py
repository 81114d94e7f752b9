"""Installs a package of Debian on the controller, as root, after a word about it.

Nothing is started by that: Debian's packages of databases start a server on the usual port, unless
the machine has a policy that no service shall start.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from harness.errors import NeedsError

_POLICY: Final = Path("/usr/sbin/policy-rc.d")
_TIMEOUT_S: Final = 600
ONE_AT_A_TIME: Final = threading.Lock()
"""Held by whoever looks whether something is there and installs it if not."""


def install(product: str, package: str, hint: str) -> None:
    """Install ``package``; ``NeedsError`` with ``hint`` where that cannot be, or did not work."""
    missing = f"there is no {product} on this machine"
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise NeedsError(missing, hint)
    print(f"{missing}: installing Debian's package {package}", file=sys.stderr, flush=True)
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    commands = (
        ["apt-get", "update", "-qq"],
        ["apt-get", "install", "-y", "-qq", "--no-install-recommends", package],
    )
    with _no_service_starts():
        for argv in commands:
            done = subprocess.run(
                argv,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                timeout=_TIMEOUT_S,
                check=False,
            )
    if done.returncode != 0:
        said = done.stdout.decode("utf-8", "replace").strip()[-300:]
        raise NeedsError(f"apt-get could not install {package}: {said}", hint)


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


def is_program(path: Path) -> bool:
    """Whether it can be executed."""
    return path.is_file() and os.access(path, os.X_OK)
