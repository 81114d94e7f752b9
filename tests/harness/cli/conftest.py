"""Running the installed console script, and small files for it to judge."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

TOYS = Path(__file__).parents[2] / "toys/toy_plugin.py"
SCRIPT = Path(sys.executable).with_name("polygraph")
HISTORY = """\
{"index": 0, "time": 10, "process": 0, "type": "invoke", "f": "write", "value": 1}
{"index": 1, "time": 20, "process": 0, "type": "ok", "f": "write", "value": 1}
"""

Polygraph = Callable[..., "subprocess.CompletedProcess[str]"]
Started = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def environment() -> dict[str, str]:
    """This environment without any twin of a flag."""
    return {name: value for name, value in os.environ.items() if not name.startswith("POLYGRAPH_")}


@pytest.fixture
def polygraph(tmp_path: Path, environment: dict[str, str]) -> Polygraph:
    """Run the real console script in an empty folder; flags' twins as keyword arguments."""

    def run(*argv: str, stdin: str = "", **twins: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [SCRIPT, *argv],
            cwd=tmp_path,
            env=environment | twins,
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            timeout=250,
        )

    return run


@pytest.fixture
def started(tmp_path: Path, environment: dict[str, str]) -> Iterator[Started]:
    """Start the real console script in an empty folder; what still runs at the end is killed."""
    processes: list[subprocess.Popen[str]] = []

    def start(*argv: str, **settings: Any) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [SCRIPT, *argv], cwd=tmp_path, env=environment, text=True, **settings
        )
        processes.append(process)
        return process

    yield start
    for process in processes:
        process.kill()
        process.communicate()


@pytest.fixture
def history(tmp_path: Path) -> str:
    """The name of a history of one write, in the script's folder."""
    (tmp_path / "one.jsonl").write_text(HISTORY, "utf-8")
    return "one.jsonl"


@pytest.fixture
def toys() -> tuple[str, str]:
    """The flags that load the toy plug-in."""
    return ("--plugin", str(TOYS))
