"""What a session of tests leaves out is told, and a skip that nobody allowed fails it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent

SKIPPING = '''
"""One test skips, one runs."""
import pytest

def test_that_skips():
    pytest.skip("no reason at all")

def test_that_runs():
    assert sorted("ba") == ["a", "b"]
'''


def session(folder: Path, source: str, *, strict: bool) -> subprocess.CompletedProcess[str]:
    """Run pytest on one file in a folder with our conftest."""
    shutil.copy(HERE / "conftest.py", folder)
    if not (folder / "allowed-skips.txt").exists():
        (folder / "allowed-skips.txt").write_text("# none\n", "utf-8")
    (folder / "test_it.py").write_text(source, "utf-8")
    environment = {**os.environ, "POLYGRAPH_STRICT_SKIPS": "1" if strict else ""}
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", ".", "."],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_skip_that_nobody_allowed_fails_a_strict_session(tmp_path: Path) -> None:
    done = session(tmp_path, SKIPPING, strict=True)
    assert done.returncode == pytest.ExitCode.TESTS_FAILED
    assert "test_it.py::test_that_skips: no reason at all" in done.stdout


def test_the_same_skip_is_listed_in_any_session(tmp_path: Path) -> None:
    done = session(tmp_path, SKIPPING, strict=False)
    assert done.returncode == pytest.ExitCode.OK
    assert "test_it.py::test_that_skips: no reason at all" in done.stdout


def test_an_allowed_skip_passes(tmp_path: Path) -> None:
    allowed = "test_it.py::test_that_skips  # this is a test of skips\n"
    (tmp_path / "allowed-skips.txt").write_text(allowed, "utf-8")
    assert session(tmp_path, SKIPPING, strict=True).returncode == pytest.ExitCode.OK


def test_an_allowance_needs_a_reason(tmp_path: Path) -> None:
    (tmp_path / "allowed-skips.txt").write_text("test_it.py::test_that_skips\n", "utf-8")
    assert session(tmp_path, SKIPPING, strict=True).returncode != pytest.ExitCode.OK


def test_a_whole_file_that_skips_itself_counts(tmp_path: Path) -> None:
    source = '"""Skips."""\nimport pytest\npytest.importorskip("no_such_module_anywhere")\n'
    passing = '"""Runs."""\ndef test_that_runs():\n    assert 1 + 1 == 2\n'
    (tmp_path / "test_other.py").write_text(passing, "utf-8")
    done = session(tmp_path, source, strict=True)
    assert done.returncode == pytest.ExitCode.TESTS_FAILED
