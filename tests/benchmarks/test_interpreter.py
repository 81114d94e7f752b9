"""The interpreter benchmark runs, keeps its form, and puts every record on disk."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_last_line_is_json_with_every_figure() -> None:
    script = str(ROOT / "benchmarks" / "interpreter.py")
    command = [sys.executable, script, "--operations", "600", "--rounds", "1"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    figures = json.loads(done.stdout.splitlines()[-1])
    assert set(figures) == {"noop_ops_per_s", "register_ops_per_s", "calibration_ops_per_s"}
    for name in ("noop_ops_per_s", "register_ops_per_s"):
        assert set(figures[name]) == {"10", "100"}
        assert all(rate > 0 for rate in figures[name].values())
    assert figures["calibration_ops_per_s"] > 0
