"""Loads numba the quick way, for those who are about to run a compiled loop.

``import numba`` is a third of what numba costs a process: the rest comes with the first compiled
call, which imports all that numba can translate. Linear algebra is a part of it, and with it
scipy's, a sixth of a second that no loop of ours has any use for. Here it is left out where nobody
has asked for it before, and no rubbish is collected while thousands of modules' objects are made.

A process that wants numba's linear algebra imports ``scipy.linalg`` first.

Numba takes settings from a file in the working directory, when it is imported and again before
each compilation; one of them says where compiled code is kept, as pickles. That folder may be a
stranger's, so it is not asked. Whoever needs numba imports it from here.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable
from typing import Any, Final, TypeVar

from harness.linux.surroundings import stand_elsewhere

BLAS: Final = "scipy.linalg.cython_blas"
"""What numba imports to see whether there is linear algebra; no linear algebra without it."""

Loop = TypeVar("Loop", bound=Callable[..., Any])


def load_numba() -> None:
    """Import numba and what its compiled loops need; ``ImportError`` without numba."""
    if "numba" in sys.modules:
        return
    was_collecting, leave_out = gc.isenabled(), "scipy.linalg" not in sys.modules
    gc.disable()
    try:
        with stand_elsewhere():
            from numba.core import config

            config._config_fname = ""  # no file of that name is anywhere
            if leave_out:
                sys.modules[BLAS] = None  # type: ignore[assignment]
            from numba.np import arraymath  # noqa: F401
    finally:
        if leave_out:
            sys.modules.pop(BLAS, None)
        if was_collecting:
            gc.enable()


def compiled(loop: Loop) -> Loop:
    """``loop`` as numba translates it when it is first called, kept for the next process."""
    load_numba()
    import numba

    made: Any = numba.njit(cache=True, nogil=True)(loop)
    kept: Loop = made
    return kept


def __getattr__(name: str) -> Any:
    if name != "numba":
        raise AttributeError(name)
    load_numba()
    import numba

    return numba
