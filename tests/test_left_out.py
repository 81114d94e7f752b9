"""What a session of tests leaves out is told, and a skip that nobody allowed fails it.

Each claim holds with and without xdist, whose workers leave out and whose controller tells.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.inner_session import session

pytestmark = pytest.mark.slow

OK, FAILED = pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED
STRICT = {"POLYGRAPH_STRICT_SKIPS": "1"}
SOURCE = '''
"""A test skips, one reads histories, one cases, one nothing."""
import pytest

def test_that_skips():
    pytest.skip("no reason at all")

@pytest.mark.histories
def test_of_histories():
    assert 1 + 1 == 2

@pytest.mark.cases
@pytest.mark.parametrize("case", [])
def test_of_cases(case):
    assert case

def test_of_nothing():
    assert 1 + 1 == 2
'''
SKIPS_ITSELF = '"""Skips."""\nimport pytest\npytest.importorskip("no_such_module_anywhere")\n'
SKIPPED = "test_it.py::test_that_skips: no reason at all"
WORKERS = pytest.mark.parametrize("workers", [(), ("-n", "2")], ids=["one process", "xdist"])


@WORKERS
def test_what_is_missing_is_listed_in_any_session(tmp_path: Path, workers: tuple[str, ...]) -> None:
    (tmp_path / "test_other.py").write_text(SKIPS_ITSELF, "utf-8")
    done = session(tmp_path, SOURCE, *workers, POLYGRAPH_SHARED=str(tmp_path / "nowhere"))
    assert done.returncode == OK
    assert SKIPPED in done.stdout
    assert "no_such_module_anywhere" in done.stdout.rpartition("allowed-skips.txt")[2]
    assert "1 tests not run: they need histories" in done.stdout
    assert "  test_it.py::test_of_histories\n" in done.stdout
    assert "1 tests not run: they need cases" in done.stdout
    assert "set POLYGRAPH_CASES to their folder" in done.stdout


def strict(
    folder: Path, asked_for: str, *words: str, allowed: str = "# none\n", **twins: str
) -> subprocess.CompletedProcess[str]:
    """A strict session of the tests whose names have one of these words."""
    return session(folder, SOURCE, "-k", asked_for, *words, allowed=allowed, **twins, **STRICT)


@WORKERS
def test_a_skip_that_nobody_allowed_fails_a_strict_session(
    tmp_path: Path, workers: tuple[str, ...]
) -> None:
    done = strict(tmp_path, "skips or nothing", *workers)
    assert done.returncode == FAILED
    assert SKIPPED in done.stdout


@WORKERS
def test_an_allowed_skip_passes(tmp_path: Path, workers: tuple[str, ...]) -> None:
    allowed = "test_it.py::test_that_skips  # this is a test of skips\n"
    done = strict(tmp_path, "skips or nothing", *workers, allowed=allowed)
    assert done.returncode == OK
    assert "not in tests/allowed-skips.txt" not in done.stdout


def test_an_allowance_needs_a_reason(tmp_path: Path) -> None:
    done = strict(tmp_path, "nothing", allowed="test_it.py::test_that_skips\n")
    assert done.returncode not in (OK, FAILED)
    assert "no reason given for test_it.py::test_that_skips" in done.stderr


def test_a_whole_file_that_skips_itself_counts(tmp_path: Path) -> None:
    (tmp_path / "test_other.py").write_text(SKIPS_ITSELF, "utf-8")
    assert strict(tmp_path, "nothing").returncode == FAILED


@WORKERS
def test_absent_data_fail_a_strict_session(tmp_path: Path, workers: tuple[str, ...]) -> None:
    nowhere = {"POLYGRAPH_SHARED": str(tmp_path / "nowhere")}
    assert strict(tmp_path, "histories or nothing", *workers, **nowhere).returncode == FAILED
    (tmp_path / "histories").mkdir()
    one = {"POLYGRAPH_SHARED": str(tmp_path)}
    assert strict(tmp_path, "histories or cases", *workers, **one).returncode == FAILED


@WORKERS
def test_data_that_are_said_to_be_absent_fail_nothing(
    tmp_path: Path, workers: tuple[str, ...]
) -> None:
    done = strict(tmp_path, "of", *workers, POLYGRAPH_SHARED="none")
    assert done.returncode == OK
    assert "1 tests not run: they need histories" in done.stdout
    assert "to their folder" not in done.stdout
    one = {"POLYGRAPH_SHARED": "none", "POLYGRAPH_HISTORIES": str(tmp_path)}
    done = strict(tmp_path, "of", *workers, **one)
    assert done.returncode == OK
    assert "2 passed" in done.stdout
    assert "they need histories" not in done.stdout


def test_data_that_nobody_asked_for_fail_nothing(tmp_path: Path) -> None:
    done = strict(tmp_path, "nothing", POLYGRAPH_SHARED=str(tmp_path / "nowhere"))
    assert done.returncode == OK
    assert "not run" not in done.stdout
