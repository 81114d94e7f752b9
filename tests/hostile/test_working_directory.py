"""Standing in a stranger's folder: nothing is imported or set by what lies there."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

from harness.judge.apart import judge_apart
from tests.hostile.on_texts import BESIDE
from tests.hostile.run_folders import Hostile, attacks, lay

ROOT = Path(__file__).parents[2]
POLYGRAPH = Path(sys.executable).with_name("polygraph")


@pytest.fixture
def hostile(tmp_path: Path) -> Hostile:
    """A run among everything that some program takes for code or settings."""
    every = attacks("plugin:beside*")
    assert len(every) == len(BESIDE)
    laid = lay(every[0], tmp_path)
    for attack in every[1:]:
        attack.lay(laid)
    laid.begin()
    return laid


def said(hostile: Hostile, *argv: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(argv, cwd=hostile.run, capture_output=True, timeout=100)


@pytest.mark.slow
@pytest.mark.parametrize(
    "argv",
    [
        ("check", "."),
        ("check", "-m", "cas-register", "."),
        ("check", "--self-test", "."),
        ("report", "."),
        ("export", "-f", "edn", "."),
        ("heal", "--store", "../../.."),
        ("list",),
    ],
    ids=lambda argv: argv[0],
)
def test_no_verb_runs_what_lies_in_the_working_directory(
    hostile: Hostile, argv: tuple[str, ...]
) -> None:
    done = said(hostile, str(POLYGRAPH), *argv)
    assert (done.returncode, b"unexpected" in done.stderr) == (0, False), done.stderr
    hostile.assert_harmless(done.stdout, done.stderr)


@pytest.mark.slow
def test_settings_of_the_plots_are_not_those_of_the_working_directory(hostile: Hostile) -> None:
    (hostile.run / "matplotlibrc").unlink()
    os.mkfifo(hostile.run / "matplotlibrc")  # whoever opens it waits for ever
    done = said(hostile, str(POLYGRAPH), "report", ".")
    assert done.returncode == 0, done.stderr
    assert (hostile.run / "plots" / "rate.png").is_file()


@pytest.mark.slow
def test_settings_of_numba_are_not_those_of_the_working_directory(hostile: Hostile) -> None:
    """One of them names the folder of compiled code, which is kept as pickles."""
    (hostile.run / ".numba_config.yaml").write_text("cache_dir: evil\ndebug_cache: 1\n")
    program = (
        "from harness.history.compiling import load_numba\n"
        "load_numba()\n"
        "import numba\n"
        "assert numba.njit(lambda number: number + 1)(1) == 2\n"
        "from numba.core import config\n"
        "print(repr(config.CACHE_DIR), config.DEBUG_CACHE)\n"
    )
    done = said(hostile, sys.executable, "-P", "-c", program)
    assert done.stdout == b"'' 0\n", done.stderr


def test_the_judging_process_imports_nothing_from_the_working_directory(
    hostile: Hostile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(hostile.run)
    (hostile.run / "verdict.json").unlink()
    warnings: list[str] = []
    assert judge_apart(hostile.run, warnings.append)["valid"] is True
    assert warnings == []
    hostile.assert_harmless()


@pytest.mark.slow
def test_no_module_of_ours_is_started_from_the_working_directory() -> None:
    """``python -m`` looks there first; ``harness.linux.surroundings.program`` does not."""
    found = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in (ROOT / "harness").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.List)
        and [ast.unparse(each) for each in node.elts[:2]] == ["sys.executable", "'-m'"]
    ]
    assert found == []
