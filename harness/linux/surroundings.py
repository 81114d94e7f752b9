"""The working directory may be a stranger's: nothing is loaded or set by what lies in it.

People look at a run from within its folder. Libraries look for settings where the process stands
(``matplotlibrc``, numba's ``.numba_config.yaml``, which can name a cache of pickles), and
``python -m`` looks for modules there first. So such libraries are imported from elsewhere, and
our own programs are started without that folder on their path.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Iterator

_TURN = threading.RLock()


@contextlib.contextmanager
def stand_elsewhere() -> Iterator[None]:
    """The working directory is the root meanwhile, for the whole process: only for imports."""
    with _TURN:
        here = os.open(".", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.chdir("/")
            yield
        finally:
            os.fchdir(here)
            os.close(here)


def program(module: str, *arguments: str) -> list[str]:
    """The command that runs one of our modules, which is not looked for where the process is."""
    return [sys.executable, "-P", "-m", module, *arguments]
