"""numba is loaded without linear algebra where nobody asked for that, and whole otherwise."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytest.importorskip("numba")

LOADED = """
import gc, sys
{before}
from harness.history.compiling import load_numba
load_numba()
import numba
print(numba.njit(lambda n: n + 1)(41), "scipy.linalg" in sys.modules, gc.isenabled())
from scipy.linalg import cython_blas
print(cython_blas.__name__)
"""


@pytest.mark.slow
@pytest.mark.parametrize(("before", "linear_algebra"), [("", False), ("import scipy.linalg", True)])
def test_numba_works_and_so_does_linear_algebra_afterwards(
    before: str, linear_algebra: bool
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", LOADED.format(before=before)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == ["42", str(linear_algebra), "True", "scipy.linalg.cython_blas"]
