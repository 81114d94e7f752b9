"""A session of pytest within a test: our conftest over a folder with one file of tests."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.groups import LIMIT_S

TESTS = Path(__file__).parent


def session(
    folder: Path,
    source: str,
    *words: str,
    allowed: str = "# none\n",
    limit_s: float = LIMIT_S,
    **twins: str,
) -> subprocess.CompletedProcess[str]:
    """Run pytest there with these words; environment variables as keyword arguments.

    ``limit_s`` is that of a quick test there.
    """
    conftest = (TESTS / "conftest.py").read_text("utf-8")
    assert "Haste()" in conftest
    for name, text in (
        ("conftest.py", conftest.replace("Haste()", f"Haste({limit_s})")),
        ("allowed-skips.txt", allowed),
        ("test_it.py", source),
    ):
        (folder / name).write_text(text, "utf-8")
    environment = {k: v for k, v in os.environ.items() if not k.startswith("POLYGRAPH_")}
    environment["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    plain = ["-q", "-p", "xdist", "-p", "no:cacheprovider", "-W", "ignore", "--rootdir", "."]
    return subprocess.run(
        [sys.executable, "-m", "pytest", *plain, *words, "."],
        cwd=folder,
        env=environment | {"PYTHONPATH": str(TESTS.parent)} | twins,
        capture_output=True,
        text=True,
        check=False,
    )
