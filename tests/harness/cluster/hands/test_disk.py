"""A disk of ours as the kernel sees it: what each way of syncing keeps, and what is left."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(__file__).with_name("disk_inside.py")
ROOT = Path(__file__).parents[4]


@pytest.mark.root
def test_each_way_of_syncing_keeps_and_nothing_else_does(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(PROGRAM), str(tmp_path)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        check=True,
        timeout=60,
    )
    told = json.loads(done.stdout)
    whole = "twelve bytes"
    # Its name was kept by the syncs that came after it, its bytes by none.
    assert told["after"] == {
        "never": "",
        **dict.fromkeys(("fsync", "dsync", "sync", "mapped"), whole),
    }
    proof = {"kept": True, "gone": True}
    assert told["lost"] == [
        {"lost": {"names": 0, "files": 1, "pages": 1}, **proof},
        {"lost": {"names": 0, "files": 0, "pages": 0}, **proof},
    ]
    assert told["old"] == "OSError"  # what was open before is dead
    assert told["full"] == 28
    assert told["met"] == {"1": 1}
    assert (told["mounted"], told["left"]) == (1, 0)
